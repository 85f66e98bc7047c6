//! Failures of attempts, and their JSON for tables and clients.

mod import_sentences;
mod sentences;

use std::time::Duration;

pub use import_sentences::import_sentences;
pub use sentences::{FailureKind, INVALID_TOKEN_WAITS};

impl FailureKind {
    /// Whether this failure proves that Discord accepts the token.
    pub const fn proves_a_valid_token(self) -> bool {
        matches!(
            self,
            Self::MissingAccess
                | Self::UnknownChannel
                | Self::NotATextChannel
                | Self::ForumNeedsThreads
                | Self::MissingMessageContentIntent
                | Self::DceCannotReadMessage
                | Self::HistoryHidden
                | Self::OutputShort
        )
    }

    /// Parses a code from a table.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.code() == code)
    }
}

/// The failure of an attempt, as the worker reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub kind: FailureKind,
    /// One line of DCE's or the system's own message, without tokens and message content.
    pub detail: Option<String>,
    /// The wait that Discord requested, from the body of a 429.
    pub retry_after: Option<Duration>,
}

impl Failure {
    pub const fn new(kind: FailureKind) -> Self {
        Self { kind, detail: None, retry_after: None }
    }

    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// As [`Failure::to_json`], for a run that was handed back and continues by itself.
    pub fn to_waiting_json(&self) -> serde_json::Value {
        let mut json = self.to_json();
        json["retryable"] = true.into();
        if self.kind == FailureKind::InvalidToken {
            json["action"] = INVALID_TOKEN_WAITS.into();
        }
        json
    }

    /// As [`Failure::to_json`], for a run that imports a file.
    pub fn to_import_json(&self) -> serde_json::Value {
        let (message, action) = import_sentences(self.kind);
        let mut json = self.to_json();
        json["message"] = message.into();
        json["action"] = action.into();
        json["retryable"] = false.into();
        json
    }

    /// The JSON of `error` columns and of the API.
    pub fn to_json(&self) -> serde_json::Value {
        let mut json = serde_json::json!({
            "code": self.kind.code(),
            "message": self.kind.message(),
            "action": self.kind.action(),
            "retryable": self.kind.is_retryable(),
        });
        if let Some(detail) = &self.detail {
            json["detail"] = serde_json::Value::from(detail.as_str());
        }
        json
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_unique_and_parses() {
        for kind in FailureKind::ALL {
            assert_eq!(FailureKind::from_code(kind.code()), Some(*kind));
        }
    }

    #[test]
    fn no_failure_of_an_import_promises_a_retry() {
        use FailureKind::{
            DatabaseReadOnly, DatabaseRefused, DatabaseUnavailable, ImportInterrupted, MessageTooLarge,
            OutputTruncated, OutputUnreadable, WorkerError,
        };
        for kind in [
            OutputTruncated,
            OutputUnreadable,
            MessageTooLarge,
            WorkerError,
            DatabaseUnavailable,
            DatabaseReadOnly,
            DatabaseRefused,
            ImportInterrupted,
        ] {
            let json = Failure::new(kind).with_detail("a detail").to_import_json();
            assert_eq!((&json["code"], &json["detail"]), (&kind.code().into(), &"a detail".into()));
            assert_eq!(json["retryable"], false);
            for word in ["No action needed", "automatically", "resumes", "DCE_BIN", "end_at"] {
                assert!(!json.to_string().contains(word), "{json}");
            }
        }
    }
}
