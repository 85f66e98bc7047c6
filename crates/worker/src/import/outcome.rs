//! What became of a source: a pure decision over what was read and what was written.

use std::io;

use dce_core::export::failure::{Failure, FailureKind};

use crate::ingest::frame::FrameError;
use crate::ingest::reader::{Documents, ReadError};
use crate::ingest::writer::WriteError;
use crate::lease::Order;

/// How a source ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Every message of every part is committed.
    Completed,
    /// Not every one; what was is kept.
    Failed(Failure),
    /// The run has been taken away: nothing more is written.
    Lost,
}

/// Decides. `order`: what the run's owner was told last. `parts`: how many documents the source has.
pub fn judge(
    order: Order,
    parts: usize,
    read: &Result<Documents, ReadError>,
    written: &Result<(), WriteError>,
) -> Outcome {
    if order == Order::Abandon {
        return Outcome::Lost;
    }
    match written {
        Err(WriteError::Lost) => return Outcome::Lost,
        Err(error @ (WriteError::Unavailable(_) | WriteError::Exhausted(_))) => {
            return failed(FailureKind::DatabaseUnavailable, error);
        }
        Err(error @ WriteError::ReadOnly(_)) => return failed(FailureKind::DatabaseReadOnly, error),
        Err(error @ WriteError::Refused(_)) => return failed(FailureKind::DatabaseRefused, error),
        Ok(()) => {}
    }
    match read {
        Ok(Documents { complete, cut: 0 }) if *complete as usize == parts => Outcome::Completed,
        Err(ReadError::WriterStopped) => {
            failed(FailureKind::ImportInterrupted, &"it was stopped before its last messages were stored")
        }
        // Damage that was met stays true, whether or not somebody stopped the import after it.
        Err(error) => failed(unreadable(error), error),
        Ok(_) if order > Order::Continue => Outcome::Failed(Failure::new(FailureKind::ImportInterrupted)),
        Ok(Documents { cut, .. }) if parts > 1 => {
            failed(FailureKind::OutputTruncated, &format!("{cut} of {parts} parts are not closed"))
        }
        Ok(_) => Outcome::Failed(Failure::new(FailureKind::OutputTruncated)),
    }
}

fn failed(kind: FailureKind, detail: &impl ToString) -> Outcome {
    Outcome::Failed(Failure::new(kind).with_detail(detail.to_string()))
}

fn unreadable(error: &ReadError) -> FailureKind {
    match error {
        ReadError::Frame(FrameError::CountMismatch { .. }) => FailureKind::OutputTruncated,
        ReadError::Frame(FrameError::MessageTooLarge { .. }) | ReadError::Row(_) => {
            FailureKind::MessageTooLarge
        }
        // What the decompression says of bytes that cannot be.
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

    fn kind(order: Order, parts: usize, read: &Result<Documents, ReadError>) -> Option<FailureKind> {
        match judge(order, parts, read, &Ok(())) {
            Outcome::Completed => None,
            Outcome::Failed(failure) => Some(failure.kind),
            Outcome::Lost => panic!("lost"),
        }
    }

    #[test]
    fn complete_is_every_part_closed() {
        let read = |complete, cut| Ok(Documents { complete, cut });
        assert_eq!(kind(Order::Continue, 2, &read(2, 0)), None);
        assert_eq!(kind(Order::HandBack, 2, &read(2, 0)), None, "through before the stop");
        assert_eq!(kind(Order::Continue, 2, &read(1, 1)), Some(FailureKind::OutputTruncated));
        assert_eq!(kind(Order::HandBack, 2, &read(1, 0)), Some(FailureKind::ImportInterrupted));
    }

    #[test]
    fn damage_is_told_from_a_disk_that_cannot_be_read() {
        let of = |error: io::ErrorKind| kind(Order::Continue, 1, &Err(ReadError::Io(error.into())));
        assert_eq!(of(io::ErrorKind::InvalidData), Some(FailureKind::OutputUnreadable));
        assert_eq!(of(io::ErrorKind::PermissionDenied), Some(FailureKind::WorkerError));
        let mismatch = ReadError::Frame(FrameError::CountMismatch { declared: 3, found: 2 });
        assert_eq!(kind(Order::Continue, 1, &Err(mismatch)), Some(FailureKind::OutputTruncated));
    }

    #[test]
    fn a_run_that_was_taken_away_is_lost_whatever_was_read() {
        let read = || Ok(Documents { complete: 1, cut: 0 });
        assert_eq!(judge(Order::Abandon, 1, &read(), &Ok(())), Outcome::Lost);
        assert_eq!(judge(Order::Continue, 1, &read(), &Err(WriteError::Lost)), Outcome::Lost);
        let refused = Err(WriteError::Refused(StoreError::Lost));
        assert!(matches!(judge(Order::Continue, 1, &read(), &refused), Outcome::Failed(_)));
    }
}
