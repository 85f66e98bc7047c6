//! The sentences about failures of an import, which is never retried by itself.

use super::sentences::FailureKind;

/// Message and action. Kinds that no import meets keep their general sentences.
pub const fn import_sentences(kind: FailureKind) -> (&'static str, &'static str) {
    match kind {
        FailureKind::OutputTruncated => (
            "The file is incomplete, or its number of messages differs from the number that it states.",
            "Its complete messages are archived. If you have a complete copy of the file, import that copy.",
        ),
        FailureKind::OutputUnreadable => (
            "The file is damaged, or is not JSON in the layout of DiscordChatExporter.",
            "The messages before the damage are archived. Export the channel again, or import another copy of the file.",
        ),
        FailureKind::MessageTooLarge => (
            "A message in the file is larger than 16 MiB and cannot be stored.",
            "The messages before it are archived. Remove it from the file to import the rest.",
        ),
        FailureKind::WorkerError => (
            "The file could not be read completely.",
            "Check its disk, then run `dce-worker import` again: it skips archived messages quickly.",
        ),
        FailureKind::DatabaseUnavailable => (
            "The database was unreachable or short of resources.",
            "Run `dce-worker import` again once the database is available: it skips archived messages quickly.",
        ),
        FailureKind::DatabaseReadOnly => (
            "The database is read-only, for instance because its disk quota is used up.",
            "Free space in the database or raise its quota, then run `dce-worker import` again: it skips archived messages quickly.",
        ),
        kind => (kind.message(), kind.action()),
    }
}
