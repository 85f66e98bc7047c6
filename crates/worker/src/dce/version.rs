//! DCE's version, and whether its command line and its JSON are supported.

use std::ffi::OsString;
use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use secrecy::SecretString;
use tokio::io::AsyncReadExt;
use tokio::time::timeout;

use super::classify_stderr::classify;
use super::environment::without_token;
use super::process::{Launch, SpawnError, Spawner};

/// Maximum length of a version; any real one is shorter.
const MAX_VERSION_BYTES: u64 = 4096;
/// The supported major version.
const MAJOR: u16 = 2;
/// The supported minor versions: 2.46 introduced `export --include-threads`; the next major version changes the command
/// line and the JSON.
const MINORS: std::ops::RangeInclusive<u16> = 46..=47;

/// A supported version of DCE; others cannot be constructed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct DceVersion {
    major: u16,
    minor: u16,
    patch: u16,
}

/// The command-line syntaxes of DCE. A version with another syntax gets a variant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// `export -c ID …`: every value follows an option (DCE 2.46 and 2.47).
    Options,
}

#[derive(Debug, thiserror::Error)]
pub enum VersionError {
    #[error(transparent)]
    Spawn(#[from] SpawnError),
    #[error("DiscordChatExporter --version did not answer within {} s", .0.as_secs_f32())]
    TimedOut(Duration),
    #[error("DiscordChatExporter --version failed: {0}")]
    Failed(String),
    #[error(
        "DiscordChatExporter --version printed {0:?}, which is not a version: check that DCE_BIN is the right program"
    )]
    Unreadable(String),
    /// A version with another command line or another JSON.
    #[error(
        "DiscordChatExporter {0} is not supported: install 2.46 or 2.47 (this service is tested with 2.47)"
    )]
    Unsupported(String),
}

impl DceVersion {
    pub const fn dialect(self) -> Dialect {
        Dialect::Options
    }
}

impl Spawner {
    /// Runs `--version` in `directory` and waits at most `limit` for the result.
    pub async fn version(
        &self,
        inherited: impl IntoIterator<Item = (OsString, OsString)>,
        directory: &Path,
        limit: Duration,
    ) -> Result<DceVersion, VersionError> {
        let launch = Launch {
            arguments: vec!["--version".into()],
            environment: without_token(directory, inherited),
            directory,
            token: &SecretString::default(),
        };
        let (mut dce, stdout) = self.start(launch).await?;
        let answer = timeout(limit, async {
            let mut printed = Vec::new();
            if let Some(stdout) = stdout {
                // Unreadable output is refused below, because it is not a version.
                let _ = stdout.take(MAX_VERSION_BYTES).read_to_end(&mut printed).await;
            }
            (printed, dce.wait().await)
        });
        let (printed, exit) = answer.await.map_err(|_| VersionError::TimedOut(limit))?;
        if let Some(failure) = classify(&exit) {
            let words = failure.detail.unwrap_or_else(|| failure.kind.message().to_owned());
            return Err(VersionError::Failed(words));
        }
        String::from_utf8_lossy(&printed).parse()
    }
}

/// Parses the output of `--version`: `v2.47.0` (DCE 2.47), with or without the `v` and the patch.
impl FromStr for DceVersion {
    type Err = VersionError;

    fn from_str(output: &str) -> Result<Self, VersionError> {
        let printed = output.trim();
        let (major, minor, patch) =
            numbers(printed).ok_or_else(|| VersionError::Unreadable(printed.chars().take(80).collect()))?;
        let version = Self { major, minor, patch };
        if major == MAJOR && MINORS.contains(&minor) {
            Ok(version)
        } else {
            Err(VersionError::Unsupported(version.to_string()))
        }
    }
}

/// Parses `v1.2.3` or `1.2`.
fn numbers(text: &str) -> Option<(u16, u16, u16)> {
    let mut parts = text.strip_prefix('v').unwrap_or(text).split('.');
    let major = number(parts.next()?)?;
    let minor = number(parts.next()?)?;
    let patch = parts.next().map_or(Some(0), number)?;
    parts.next().is_none().then_some((major, minor, patch))
}

/// Parses digits only: the standard parser would accept a sign.
fn number(digits: &str) -> Option<u16> {
    digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
}

impl fmt::Display for DceVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn supported_versions_are_parsed_as_dce_prints_them() {
        for (printed, shown) in [("v2.47.0\n", "2.47.0"), ("v2.46.1", "2.46.1"), ("2.47", "2.47.0")] {
            assert_eq!(printed.parse::<DceVersion>().unwrap().to_string(), shown);
        }
    }

    #[test]
    fn unsupported_versions_are_refused_with_a_remedy() {
        for printed in ["v2.45.0", "v2.48.0", "v3.0.0", "v1.47.0"] {
            let error = printed.parse::<DceVersion>().unwrap_err();
            assert!(matches!(error, VersionError::Unsupported(_)), "{printed}");
            assert!(error.to_string().contains("install 2.46 or 2.47"), "{error}");
        }
    }

    #[test]
    fn output_that_is_not_a_version_is_reported() {
        for printed in ["", "v", "v2", "v2.", "v2.x.0", "v2.+47.0", "v2.47.0.1", "bash 5.2", "v99999.1"] {
            let error = printed.parse::<DceVersion>().unwrap_err();
            assert!(matches!(error, VersionError::Unreadable(_)), "{printed:?}: {error}");
        }
    }
}
