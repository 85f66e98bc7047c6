//! Decides the outcome of a source from the results of reading and writing. Pure.

use std::io;

use dce_core::export::failure::{Failure, FailureKind};

use crate::ingest::read::delivery::{Documents, ReadError};
use crate::ingest::write::error::WriteError;
use crate::lease::Instruction;
use dce_ingest::document::frame::FrameError;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SourceOutcome {
    /// Every message of every part is committed.
    Completed,
    /// Some messages are missing; the committed ones are kept.
    Failed(Failure),
    /// Another process owns the run: nothing more is written.
    Lost,
}

/// Decides the outcome. `instruction` is the last one of the lease; `parts` is the number of the source's documents.
pub(super) fn decide_outcome(
    instruction: Instruction,
    parts: usize,
    read: &Result<Documents, ReadError>,
    written: &Result<(), WriteError>,
) -> SourceOutcome {
    if instruction == Instruction::Abandon {
        return SourceOutcome::Lost;
    }
    match written {
        Err(WriteError::Lost) => return SourceOutcome::Lost,
        Err(error @ (WriteError::Unavailable(_) | WriteError::Exhausted(_))) => {
            return failed(FailureKind::DatabaseUnavailable, error);
        }
        Err(error @ WriteError::ReadOnly(_)) => return failed(FailureKind::DatabaseReadOnly, error),
        Err(error @ WriteError::Refused(_)) => return failed(FailureKind::DatabaseRefused, error),
        Ok(()) => {}
    }
    match read {
        Ok(Documents { complete, cut: 0 }) if *complete as usize == parts => SourceOutcome::Completed,
        Err(ReadError::WriterStopped) => failed(
            FailureKind::ImportInterrupted,
            &"the import was stopped before the last messages were stored",
        ),
        // Damage remains the reason even if the import was stopped afterwards.
        Err(error) => failed(read_failure(error), error),
        Ok(_) if instruction > Instruction::Continue => {
            SourceOutcome::Failed(Failure::new(FailureKind::ImportInterrupted))
        }
        Ok(Documents { cut, .. }) if parts > 1 => {
            failed(FailureKind::OutputTruncated, &format!("{cut} of {parts} parts are truncated"))
        }
        Ok(_) => SourceOutcome::Failed(Failure::new(FailureKind::OutputTruncated)),
    }
}

fn failed(kind: FailureKind, detail: &impl ToString) -> SourceOutcome {
    SourceOutcome::Failed(Failure::new(kind).with_detail(detail.to_string()))
}

fn read_failure(error: &ReadError) -> FailureKind {
    match error {
        ReadError::Frame(FrameError::CountMismatch { .. }) => FailureKind::OutputTruncated,
        ReadError::Frame(FrameError::MessageTooLarge { .. }) | ReadError::Row(_) => {
            FailureKind::MessageTooLarge
        }
        // The error of the decompression for invalid bytes.
        ReadError::Io(error)
            if matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput) =>
        {
            FailureKind::OutputUnreadable
        }
        ReadError::Io(_) => FailureKind::WorkerError,
        _ => FailureKind::OutputUnreadable,
    }
}

#[cfg(test)]
mod tests {
    use dce_core::store::StoreError;

    use super::*;

    /// The outcome if everything that was read is committed.
    fn outcome(last: Instruction, parts: usize, read: &Result<Documents, ReadError>) -> SourceOutcome {
        decide_outcome(last, parts, read, &Ok(()))
    }

    fn kind(last: Instruction, parts: usize, read: &Result<Documents, ReadError>) -> FailureKind {
        match outcome(last, parts, read) {
            SourceOutcome::Failed(failure) => failure.kind,
            other => panic!("{other:?} is not a failure"),
        }
    }

    #[test]
    fn complete_requires_every_part_to_be_closed() {
        let read = |complete, cut| Ok(Documents { complete, cut });
        assert_eq!(outcome(Instruction::Continue, 2, &read(2, 0)), SourceOutcome::Completed);
        let finished_before_the_stop = outcome(Instruction::HandBack, 2, &read(2, 0));
        assert_eq!(finished_before_the_stop, SourceOutcome::Completed);
        assert_eq!(kind(Instruction::Continue, 2, &read(1, 1)), FailureKind::OutputTruncated);
        assert_eq!(kind(Instruction::HandBack, 2, &read(1, 0)), FailureKind::ImportInterrupted);
    }

    #[test]
    fn damaged_files_and_unreadable_disks_are_different_failures() {
        let io = |error: io::ErrorKind| kind(Instruction::Continue, 1, &Err(ReadError::Io(error.into())));
        assert_eq!(io(io::ErrorKind::InvalidData), FailureKind::OutputUnreadable);
        assert_eq!(io(io::ErrorKind::PermissionDenied), FailureKind::WorkerError);
        let mismatch = ReadError::Frame(FrameError::CountMismatch { declared: 3, found: 2 });
        assert_eq!(kind(Instruction::Continue, 1, &Err(mismatch)), FailureKind::OutputTruncated);
    }

    #[test]
    fn a_run_owned_by_another_process_is_lost_whatever_was_read() {
        let read = || Ok(Documents { complete: 1, cut: 0 });
        let written = |error| decide_outcome(Instruction::Continue, 1, &read(), &Err(error));
        assert_eq!(outcome(Instruction::Abandon, 1, &read()), SourceOutcome::Lost);
        assert_eq!(written(WriteError::Lost), SourceOutcome::Lost);
        assert!(matches!(written(WriteError::Refused(StoreError::Lost)), SourceOutcome::Failed(_)));
    }
}
