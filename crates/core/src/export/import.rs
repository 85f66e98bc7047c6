//! Failures in the words of an import: a file is read once, by whoever has it, and nothing goes on by itself.

use super::failure::{Failure, FailureKind};

impl Failure {
    /// As [`Failure::to_json`], for a run that imports a file.
    pub fn to_import_json(&self) -> serde_json::Value {
        let (message, action) = words(self.kind);
        let mut json = self.to_json();
        json["message"] = message.into();
        json["action"] = action.into();
        json["retryable"] = false.into();
        json
    }
}

/// What happened and what the user can do. Kinds that no import meets keep the words they have.
pub const fn words(kind: FailureKind) -> (&'static str, &'static str) {
    match kind {
        FailureKind::OutputTruncated => (
            "The file ends before its end, or has another number of messages than it says.",
            "Its whole messages are archived; if there is a whole copy of the file, import that.",
        ),
        FailureKind::OutputUnreadable => (
            "The file is damaged, or not the JSON that DiscordChatExporter writes.",
            "What could be read before the damage is archived; export the channel again, or import another copy of the file.",
        ),
        FailureKind::MessageTooLarge => (
            "A message in the file is larger than 16 MB and cannot be stored.",
            "What stands before it in the file is archived; take the message out of the file to import the rest.",
        ),
        FailureKind::WorkerError => (
            "The file could not be read to its end.",
            "Check the disk that it is on, then run `dce-worker import` again: what is archived already costs no time.",
        ),
        FailureKind::DatabaseUnavailable => (
            "The database could not be reached, or lacked what it needs.",
            "Run `dce-worker import` again once the database is back: what is archived already costs no time.",
        ),
        FailureKind::DatabaseReadOnly => (
            "The database takes no writes, for instance because its disk quota is used up.",
            "Make room or enlarge the database, then run `dce-worker import` again: what is archived already costs no time.",
        ),
        kind => (kind.message(), kind.action()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_an_import_goes_on_by_itself() {
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
            for word in ["Nothing to do", "by itself", "DCE_BIN", "end_at"] {
                assert!(!json.to_string().contains(word), "{json}");
            }
        }
    }
}
