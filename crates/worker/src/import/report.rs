//! The texts with which an import reports its results.

use std::time::Duration;

use dce_core::export::failure::import_sentences;
use dce_core::export::failure::{Failure, FailureKind};
use dce_core::store::imports::ImportCounts;

use super::format;
use super::source_outcome::SourceOutcome;

pub(super) fn summary(
    completed: usize,
    sources: usize,
    counts: ImportCounts,
    bytes: u64,
    elapsed: Duration,
) -> String {
    format!(
        "{completed} of {sources} files imported in {}: {}, {}/s",
        format::duration(elapsed),
        describe_counts(counts),
        format::bytes_per_second(bytes, elapsed),
    )
}

pub(super) fn describe_counts(counts: ImportCounts) -> String {
    let updated = match counts.updated {
        0 => String::new(),
        updated => format!(", {} updated", format::grouped(updated.unsigned_abs())),
    };
    let erased = match counts.erased {
        0 => String::new(),
        erased => format!(", {} skipped because they were erased", format::grouped(erased)),
    };
    let messages = format::messages(counts.messages.unsigned_abs());
    format!("{messages}, {} new{updated}{erased}", format::grouped(counts.inserted.unsigned_abs()))
}

pub(super) fn describe_failure(failure: &Failure) -> String {
    let (message, action) = import_sentences(failure.kind);
    let detail = failure.detail.as_ref().map(|detail| format!(" ({detail})")).unwrap_or_default();
    format!("{}: {message}{detail} {action}", failure.kind.code())
}

/// Returns the reason to start no further run after this outcome, if there is one.
pub(super) fn reason_to_stop(outcome: &SourceOutcome) -> Option<String> {
    let SourceOutcome::Failed(failure) = outcome else { return None };
    match failure.kind {
        FailureKind::ImportInterrupted => Some("the import was stopped".to_owned()),
        kind @ (FailureKind::DatabaseUnavailable | FailureKind::DatabaseReadOnly) => {
            Some(import_sentences(kind).0.to_owned())
        }
        _ => None,
    }
}
