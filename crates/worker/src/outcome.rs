//! What became of an attempt: a pure decision over how DCE ended, what was read and what was written.

use dce_core::export::failure::{Failure, FailureKind};
use dce_core::settings::ByteSize;

use crate::dce::{Exit, classify};
use crate::ingest::frame::FrameError;
use crate::ingest::reader::{Documents, ReadError};
use crate::ingest::writer::WriteError;

/// Why the worker itself stopped DCE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// A cancel or a shutdown.
    HandBack,
    /// The database takes no writes: what would be read could not be kept.
    ReadOnly,
    /// DCE gave no sign of life.
    Stalled,
    /// The attempt took too long.
    TimedOut,
    /// Too little space is free where attempts write.
    DiskLow {
        /// What was free.
        free: ByteSize,
        /// What should be.
        least: ByteSize,
    },
    /// The attempt's files that are not stored yet take too much space.
    AttemptTooLarge {
        /// What they took.
        size: ByteSize,
        /// What they may.
        limit: ByteSize,
    },
    /// Reading or writing failed; the error says why.
    Ingest,
    /// The run has another owner.
    Abandoned,
}

/// How an attempt ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Complete: DCE ended in order, every document is closed with equal counts, everything is committed.
    Completed,
    /// See [`Failure`].
    Failed(Failure),
    /// Stopped in order; SQL decides between cancelled and pending. With what kept the worker from going on, where that was
    /// neither a cancel nor a shutdown.
    HandedBack(Option<Failure>),
    /// The run has another owner: nothing more is written.
    Lost,
}

/// Decides. A failed DCE leaves valid JSON with a self-consistent count that is too small, so only exit code 0 *and*
/// closed documents *and* equal counts *and* their commit are complete (DCE 2.47: docs/dce.md).
pub fn judge(
    stopped: Option<Stopped>,
    exit: &Exit,
    read: &Result<Documents, ReadError>,
    written: &Result<(), WriteError>,
) -> Outcome {
    match written {
        Err(WriteError::Lost) => return Outcome::Lost,
        Err(error @ WriteError::Unavailable(_)) => {
            return handed_back(FailureKind::DatabaseUnavailable, error);
        }
        Err(error @ WriteError::ReadOnly(_)) => return handed_back(FailureKind::DatabaseReadOnly, error),
        Err(error @ WriteError::Exhausted(_)) => return failed(FailureKind::DatabaseUnavailable, error),
        Err(error @ WriteError::Refused(_)) => return failed(FailureKind::DatabaseRefused, error),
        Ok(()) => {}
    }
    if stopped == Some(Stopped::Abandoned) {
        return Outcome::Lost;
    }
    // A DCE that was through before it heard of the stop has left nothing to be done again.
    match stopped.filter(|_| !is_through(exit, read)) {
        Some(Stopped::HandBack) => return Outcome::HandedBack(None),
        Some(Stopped::ReadOnly) => {
            return Outcome::HandedBack(Some(Failure::new(FailureKind::DatabaseReadOnly)));
        }
        Some(Stopped::Stalled) => return Outcome::Failed(Failure::new(FailureKind::Stalled)),
        Some(Stopped::TimedOut) => return Outcome::Failed(Failure::new(FailureKind::Timeout)),
        Some(Stopped::DiskLow { free, least }) => {
            let detail = format!("only {free} are free where WORK_DIR is; MIN_FREE_DISK is {least}");
            return failed(FailureKind::DiskFull, &detail);
        }
        Some(Stopped::AttemptTooLarge { size, limit }) => {
            let detail =
                format!("{size} of output waited to be stored in Postgres; ATTEMPT_DISK_LIMIT is {limit}");
            return failed(FailureKind::DiskFull, &detail);
        }
        Some(Stopped::Ingest | Stopped::Abandoned) | None => {}
    }
    match read {
        Err(ReadError::WriterStopped) => {
            failed(FailureKind::WorkerError, &"the writer stopped without an error")
        }
        Err(error) => failed(unreadable(error), error),
        // DCE's own words come first: it leaves a cut document when it fails.
        Ok(documents) => match classify(exit) {
            Some(failure) => Outcome::Failed(failure),
            None if is_through(exit, read) => Outcome::Completed,
            None => failed(FailureKind::OutputTruncated, &describe(*documents)),
        },
    }
}

/// DCE ended in order and wrote everything it had to: nothing will come below what was read.
pub fn is_through(exit: &Exit, read: &Result<Documents, ReadError>) -> bool {
    exit.code == Some(0)
        && classify(exit).is_none()
        && matches!(read, Ok(Documents { complete: 1.., cut: 0 }))
}

fn failed(kind: FailureKind, detail: &impl ToString) -> Outcome {
    Outcome::Failed(Failure::new(kind).with_detail(detail.to_string()))
}

fn handed_back(kind: FailureKind, detail: &impl ToString) -> Outcome {
    Outcome::HandedBack(Some(Failure::new(kind).with_detail(detail.to_string())))
}

fn unreadable(error: &ReadError) -> FailureKind {
    match error {
        ReadError::Io(error) if error.kind() == std::io::ErrorKind::StorageFull => FailureKind::DiskFull,
        ReadError::Io(_) => FailureKind::WorkerError,
        ReadError::Frame(FrameError::MessageTooLarge { .. }) | ReadError::Row(_) => {
            FailureKind::MessageTooLarge
        }
        ReadError::Frame(FrameError::CountMismatch { .. }) => FailureKind::OutputTruncated,
        // DCE exports a category that holds a single channel as that channel.
        ReadError::OtherChannel(_) => FailureKind::NotATextChannel,
        _ => FailureKind::OutputUnreadable,
    }
}

fn describe(documents: Documents) -> String {
    match documents {
        Documents { complete: 0, cut: 0 } => "there is no output".to_owned(),
        Documents { complete, cut } => format!("{cut} of {} output files are not closed", complete + cut),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dce::Stderr;

    const ALL: Documents = Documents { complete: 2, cut: 0 };
    const CUT: Documents = Documents { complete: 1, cut: 1 };

    fn exit(code: i32, stderr: &str) -> Exit {
        Exit { code: Some(code), signal: None, stderr: Stderr::from(stderr) }
    }

    fn kind(outcome: &Outcome) -> FailureKind {
        match outcome {
            Outcome::Failed(failure) => failure.kind,
            other => panic!("{other:?} is no failure"),
        }
    }

    #[test]
    fn complete_needs_exit_code_closed_documents_and_a_commit() {
        assert_eq!(judge(None, &exit(0, ""), &Ok(ALL), &Ok(())), Outcome::Completed);
        assert_eq!(kind(&judge(None, &exit(0, ""), &Ok(CUT), &Ok(()))), FailureKind::OutputTruncated);
        assert_eq!(
            kind(&judge(None, &exit(0, ""), &Ok(Documents::default()), &Ok(()))),
            FailureKind::OutputTruncated
        );
        assert_eq!(judge(None, &exit(0, ""), &Ok(ALL), &Err(WriteError::Lost)), Outcome::Lost);
    }

    #[test]
    fn a_valid_document_of_a_failed_dce_is_not_complete() {
        let dropped = exit(
            1,
            "ERROR\nSystem.Net.Http.HttpRequestException: An error occurred while sending the request.\n",
        );
        assert_eq!(kind(&judge(None, &dropped, &Ok(ALL), &Ok(()))), FailureKind::DiscordUnavailable);
    }

    #[test]
    fn a_stop_is_a_hand_back_unless_dce_was_through() {
        let cancelled =
            exit(1, "ERROR\nSystem.Threading.Tasks.TaskCanceledException: A task was canceled.\n");
        assert_eq!(judge(Some(Stopped::HandBack), &cancelled, &Ok(CUT), &Ok(())), Outcome::HandedBack(None));
        assert_eq!(judge(Some(Stopped::HandBack), &exit(0, ""), &Ok(ALL), &Ok(())), Outcome::Completed);
        assert_eq!(kind(&judge(Some(Stopped::Stalled), &cancelled, &Ok(CUT), &Ok(()))), FailureKind::Stalled);
    }

    #[test]
    fn a_stop_for_the_disk_tells_which_limit_and_is_tried_again() {
        let stopped = exit(1, "ERROR\nSystem.Threading.Tasks.TaskCanceledException: A task was canceled.\n");
        let (low, high) = (ByteSize(9_900_000), ByteSize(256_000_000));
        let stops = [
            (Stopped::DiskLow { free: low, least: high }, ["9.9 MB", "MIN_FREE_DISK is 256 MB"]),
            (Stopped::AttemptTooLarge { size: high, limit: low }, ["256 MB", "ATTEMPT_DISK_LIMIT is 9.9 MB"]),
        ];
        for (reason, words) in stops {
            let Outcome::Failed(failure) = judge(Some(reason), &stopped, &Ok(CUT), &Ok(())) else {
                panic!("{reason:?} is a failure")
            };
            assert_eq!(failure.kind, FailureKind::DiskFull);
            assert!(failure.kind.is_retryable());
            let detail = failure.detail.unwrap_or_default();
            assert!(words.iter().all(|word| detail.contains(word)), "{detail}");
            assert_eq!(judge(Some(reason), &exit(0, ""), &Ok(ALL), &Ok(())), Outcome::Completed);
        }
    }
}
