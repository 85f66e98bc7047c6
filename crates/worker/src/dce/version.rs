//! DCE's version, and whether its command line and its JSON are supported.

use std::fmt;
use std::str::FromStr;

/// The supported major version. Version 3 changes both the command line and the JSON.
const MAJOR: u16 = 2;
/// The tested minor versions: 2.46 introduced `export --include-threads`.
const TESTED_MINORS: std::ops::RangeInclusive<u16> = 46..=48;
/// The beginning of the second line that the stand-in for DCE prints.
const STANDIN: &str = "dce-standin";

/// The program in `DCE_BIN`, as its `--version` describes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DceProgram {
    pub version: DceVersion,
    /// Whether it is `dce-standin`, which does not read what Discord holds.
    pub is_standin: bool,
}

/// A version of DCE that this service can use; others cannot be constructed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct DceVersion {
    major: u16,
    minor: u16,
    patch: u16,
}

/// The command-line syntaxes of DCE. A version with another syntax gets a variant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// `export -c ID …`: every value follows an option (DCE 2.46 to 2.48).
    Options,
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum VersionError {
    #[error(
        "DiscordChatExporter --version printed {0:?}, which is not a version: check that DCE_BIN is the right program"
    )]
    Unreadable(String),
    #[error("DiscordChatExporter {0} is too old: this service is tested with 2.46 to 2.48. Install 2.48")]
    TooOld(String),
    #[error(
        "DiscordChatExporter {0} is not supported: its command line and its JSON are not those of version 2. Install 2.48"
    )]
    NewMajor(String),
}

impl DceVersion {
    pub const fn dialect(self) -> Dialect {
        Dialect::Options
    }

    /// Whether it is newer than the tested versions.
    pub fn is_untested(self) -> bool {
        self.minor > *TESTED_MINORS.end()
    }
}

/// Parses the output of `--version`: the version on the first line; only the stand-in prints a second one.
impl FromStr for DceProgram {
    type Err = VersionError;

    fn from_str(output: &str) -> Result<Self, VersionError> {
        let mut lines = output.trim().lines();
        let version = lines.next().unwrap_or_default().parse()?;
        Ok(Self { version, is_standin: lines.next().is_some_and(|line| line.starts_with(STANDIN)) })
    }
}

/// Parses `v2.48.0`, with or without the `v` and the patch.
impl FromStr for DceVersion {
    type Err = VersionError;

    fn from_str(line: &str) -> Result<Self, VersionError> {
        let printed = line.trim();
        let (major, minor, patch) =
            numbers(printed).ok_or_else(|| VersionError::Unreadable(printed.chars().take(80).collect()))?;
        let version = Self { major, minor, patch };
        if major > MAJOR {
            Err(VersionError::NewMajor(version.to_string()))
        } else if major < MAJOR || minor < *TESTED_MINORS.start() {
            Err(VersionError::TooOld(version.to_string()))
        } else {
            Ok(version)
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
    fn tested_versions_are_parsed_as_dce_prints_them() {
        for (printed, shown) in [
            ("v2.48.0\n", "2.48.0"),
            ("v2.47.3\n", "2.47.3"),
            ("v2.47.0\n", "2.47.0"),
            ("v2.46.1", "2.46.1"),
            ("2.47", "2.47.0"),
        ] {
            let program: DceProgram = printed.parse().unwrap();
            assert_eq!(program.version.to_string(), shown);
            assert!(!program.version.is_untested() && !program.is_standin, "{printed}");
        }
    }

    #[test]
    fn a_newer_minor_version_is_usable_but_untested() {
        for printed in ["v2.49.0", "v2.100.1"] {
            assert!(printed.parse::<DceVersion>().unwrap().is_untested(), "{printed}");
        }
    }

    #[test]
    fn the_stand_in_is_recognised_by_its_second_line_only() {
        for (printed, is_standin) in [
            ("v2.48.0\ndce-standin, a stand-in for DiscordChatExporter\n", true),
            ("v2.48.0\r\ndce-standin\r\n", true),
            ("v2.48.0\nDiscordChatExporter\n", false),
            ("v2.48.0\n\ndce-standin\n", false),
        ] {
            assert_eq!(printed.parse::<DceProgram>().unwrap().is_standin, is_standin, "{printed:?}");
        }
    }

    #[test]
    fn other_versions_are_refused_with_reason_and_remedy() {
        for printed in ["v2.45.0", "v2.0.0", "v1.48.0"] {
            let error = printed.parse::<DceVersion>().unwrap_err();
            assert!(matches!(error, VersionError::TooOld(_)), "{printed}");
            assert!(error.to_string().contains("tested with 2.46 to 2.48. Install 2.48"), "{error}");
        }
        for printed in ["v3.0.0", "v3.48.0"] {
            let error = printed.parse::<DceVersion>().unwrap_err();
            assert!(matches!(error, VersionError::NewMajor(_)), "{printed}");
            assert!(error.to_string().contains("its command line and its JSON"), "{error}");
            assert!(error.to_string().ends_with("Install 2.48"), "{error}");
        }
    }

    #[test]
    fn output_that_is_not_a_version_is_reported() {
        for printed in
            ["", "v", "v2", "v2.", "v2.x.0", "v2.+47.0", "v2.47.0.1", "bash 5.2", "v99999.1", "dce-standin"]
        {
            let error = printed.parse::<DceProgram>().unwrap_err();
            assert!(matches!(error, VersionError::Unreadable(_)), "{printed:?}: {error}");
        }
    }
}
