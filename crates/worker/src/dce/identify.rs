//! Asks the program in `DCE_BIN` for its version, and for its options if the version is untested.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use secrecy::SecretString;
use tokio::io::AsyncReadExt;
use tokio::time::timeout;

use super::arguments::ExportArguments;
use super::classify_stderr::classify;
use super::environment::without_token;
use super::help::missing_options;
use super::process::{Launch, SpawnError, Spawner};
use super::version::{DceProgram, VersionError};

/// Maximum size of an answer. The help text of DCE 2.48 has 3 KB.
const MAX_ANSWER_BYTES: u64 = 64 * 1024;
const VERSION: &[&str] = &["--version"];
const EXPORT_HELP: &[&str] = &["export", "--help"];

#[derive(Debug, thiserror::Error)]
pub enum IdentifyError {
    #[error(transparent)]
    Spawn(#[from] SpawnError),
    #[error("DiscordChatExporter {question} did not answer within {} s", .limit.as_secs_f32())]
    TimedOut { question: String, limit: Duration },
    #[error("DiscordChatExporter {question} failed: {reason}")]
    Failed { question: String, reason: String },
    #[error(transparent)]
    Version(#[from] VersionError),
    /// A newer version whose command line has changed.
    #[error(
        "DiscordChatExporter {version} is not supported: its command `export` has no {options}. Install 2.48"
    )]
    MissingOptions { version: String, options: String },
}

impl Spawner {
    /// Identifies the program by its `--version`, in `directory`. Refuses an untested version whose `export --help`
    /// does not list every option that exports need. Waits at most `limit` for each answer.
    pub async fn identify(
        &self,
        inherited: impl IntoIterator<Item = (OsString, OsString)>,
        directory: &Path,
        limit: Duration,
    ) -> Result<DceProgram, IdentifyError> {
        let environment = without_token(directory, inherited);
        let program: DceProgram = self.ask(VERSION, &environment, directory, limit).await?.parse()?;
        if program.version.is_untested() {
            let help = self.ask(EXPORT_HELP, &environment, directory, limit).await?;
            let missing = missing_options(&help, &ExportArguments::every_option(program.version));
            if !missing.is_empty() {
                let (version, options) = (program.version.to_string(), missing.join(", "));
                return Err(IdentifyError::MissingOptions { version, options });
            }
        }
        Ok(program)
    }

    /// Runs the program without a token and returns what it prints.
    async fn ask(
        &self,
        question: &[&str],
        environment: &[(OsString, OsString)],
        directory: &Path,
        limit: Duration,
    ) -> Result<String, IdentifyError> {
        let launch = Launch {
            arguments: question.iter().map(OsString::from).collect(),
            environment: environment.to_vec(),
            directory,
            token: &SecretString::default(),
        };
        let (mut dce, stdout) = self.start(launch).await?;
        let answer = timeout(limit, async {
            let mut printed = Vec::new();
            if let Some(stdout) = stdout {
                // The caller refuses output that it cannot read.
                let _ = stdout.take(MAX_ANSWER_BYTES).read_to_end(&mut printed).await;
            }
            (printed, dce.wait().await)
        });
        let question = question.join(" ");
        let Ok((printed, exit)) = answer.await else {
            return Err(IdentifyError::TimedOut { question, limit });
        };
        if let Some(failure) = classify(&exit) {
            let reason = failure.detail.unwrap_or_else(|| failure.kind.message().to_owned());
            return Err(IdentifyError::Failed { question, reason });
        }
        Ok(String::from_utf8_lossy(&printed).into_owned())
    }
}
