//! Decides the outcome of an attempt from DCE's exit, the result of reading and the result of writing. Pure.

use dce_core::export::failure::{Failure, FailureKind};
use dce_core::settings::ByteSize;
use dce_core::store::transitions::Completion;

use crate::dce::{Exit, classify};
use crate::ingest::read::delivery::{Documents, ReadError};
use crate::ingest::write::error::WriteError;
use dce_ingest::document::frame::FrameError;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopReason {
    /// A cancel or a shutdown.
    HandBack,
    /// The database is read-only: nothing could be stored.
    ReadOnly,
    /// Neither DCE's output nor its progress advanced.
    Stalled,
    /// The attempt exceeded `EXPORT_TIMEOUT`.
    TimedOut,
    /// `WORK_DIR` has less than `MIN_FREE_DISK` free.
    DiskLow { free: ByteSize, least: ByteSize },
    /// The attempt's files that are not yet in Postgres exceed `ATTEMPT_DISK_LIMIT`.
    AttemptTooLarge { size: ByteSize, limit: ByteSize },
    /// Reading or writing failed; its error has the reason.
    Ingest,
    /// Another worker owns the run.
    Abandoned,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttemptOutcome {
    /// Everything in the run's window is committed, and Discord says so, if it was asked.
    Completed(Box<Completion>),
    Failed(Failure),
    /// DCE was through, but Discord did not answer whether that is all. The next attempt asks again.
    ProofPending(Failure),
    /// Stopped in order; SQL decides between cancelled and pending. The failure is the reason if it was neither a cancel
    /// nor a shutdown.
    HandedBack(Option<Failure>),
    /// Another worker owns the run: nothing more is written.
    Lost,
}

/// What reading an attempt's output came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReadOutcome {
    /// DCE was through and everything is committed. Whether it has read everything only Discord knows.
    Through,
    /// The attempt is over.
    Ended(AttemptOutcome),
}

/// Decides the outcome. A failed DCE leaves valid JSON whose count is too small but self-consistent, so DCE was through
/// only with exit code 0 *and* closed documents *and* equal counts *and* their commit (DCE 2.47: docs/dce.md).
pub fn decide_outcome(
    stopped: Option<StopReason>,
    exit: &Exit,
    read: &Result<Documents, ReadError>,
    written: &Result<(), WriteError>,
) -> ReadOutcome {
    match ended_early(stopped, exit, read, written) {
        Some(outcome) => ReadOutcome::Ended(outcome),
        None => ReadOutcome::Through,
    }
}

/// The outcome of an attempt whose rows could not be written.
pub fn write_failure(error: &WriteError) -> AttemptOutcome {
    match error {
        WriteError::Lost => AttemptOutcome::Lost,
        WriteError::Unavailable(_) => handed_back(FailureKind::DatabaseUnavailable, error),
        WriteError::ReadOnly(_) => handed_back(FailureKind::DatabaseReadOnly, error),
        WriteError::Exhausted(_) => failed(FailureKind::DatabaseUnavailable, error),
        WriteError::Refused(_) => failed(FailureKind::DatabaseRefused, error),
    }
}

/// The outcome, unless DCE was through and everything is committed.
fn ended_early(
    stopped: Option<StopReason>,
    exit: &Exit,
    read: &Result<Documents, ReadError>,
    written: &Result<(), WriteError>,
) -> Option<AttemptOutcome> {
    if let Err(error) = written {
        return Some(write_failure(error));
    }
    if stopped == Some(StopReason::Abandoned) {
        return Some(AttemptOutcome::Lost);
    }
    // If DCE had finished before the stop reached it, nothing is left to repeat.
    if is_complete(exit, read) {
        return None;
    }
    let stopped = match stopped {
        Some(StopReason::HandBack) => AttemptOutcome::HandedBack(None),
        Some(StopReason::ReadOnly) => {
            AttemptOutcome::HandedBack(Some(Failure::new(FailureKind::DatabaseReadOnly)))
        }
        Some(StopReason::Stalled) => AttemptOutcome::Failed(Failure::new(FailureKind::Stalled)),
        Some(StopReason::TimedOut) => AttemptOutcome::Failed(Failure::new(FailureKind::Timeout)),
        Some(StopReason::DiskLow { free, least }) => {
            let detail = format!("only {free} are free on the disk of WORK_DIR; MIN_FREE_DISK is {least}");
            failed(FailureKind::DiskFull, &detail)
        }
        Some(StopReason::AttemptTooLarge { size, limit }) => {
            let detail =
                format!("{size} of output were not yet stored in Postgres; ATTEMPT_DISK_LIMIT is {limit}");
            failed(FailureKind::DiskFull, &detail)
        }
        Some(StopReason::Ingest | StopReason::Abandoned) | None => return Some(dce_failure(exit, read)),
    };
    Some(stopped)
}

/// Why an attempt that nobody stopped is not complete.
fn dce_failure(exit: &Exit, read: &Result<Documents, ReadError>) -> AttemptOutcome {
    match read {
        Err(ReadError::WriterStopped) => {
            failed(FailureKind::WorkerError, &"the writer stopped without an error")
        }
        Err(error) => failed(read_failure(error), error),
        // DCE's own error has precedence: a failed DCE leaves a truncated document too.
        Ok(documents) => match classify(exit) {
            Some(failure) => AttemptOutcome::Failed(failure),
            None => failed(FailureKind::OutputTruncated, &describe(*documents)),
        },
    }
}

/// Whether DCE exited with 0 and closed every document: no more messages exist in the range that was read.
pub fn is_complete(exit: &Exit, read: &Result<Documents, ReadError>) -> bool {
    exit.code == Some(0)
        && classify(exit).is_none()
        && matches!(read, Ok(Documents { complete: 1.., cut: 0 }))
}

fn failed(kind: FailureKind, detail: &impl ToString) -> AttemptOutcome {
    AttemptOutcome::Failed(Failure::new(kind).with_detail(detail.to_string()))
}

fn handed_back(kind: FailureKind, detail: &impl ToString) -> AttemptOutcome {
    AttemptOutcome::HandedBack(Some(Failure::new(kind).with_detail(detail.to_string())))
}

fn read_failure(error: &ReadError) -> FailureKind {
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
        Documents { complete: 0, cut: 0 } => "DCE wrote no output".to_owned(),
        Documents { complete, cut } => format!("{cut} of {} output files are truncated", complete + cut),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dce::Stderr;

    const ALL: Documents = Documents { complete: 2, cut: 0 };
    const CUT: Documents = Documents { complete: 1, cut: 1 };
    const CANCELLED: &str = "ERROR\nSystem.Threading.Tasks.TaskCanceledException: A task was canceled.\n";

    fn exit(code: i32, stderr: &str) -> Exit {
        Exit { code: Some(code), signal: None, stderr: Stderr::from(stderr) }
    }

    /// The outcome if everything that was read is committed.
    fn outcome(reason: Option<StopReason>, exit: &Exit, documents: Documents) -> ReadOutcome {
        decide_outcome(reason, exit, &Ok(documents), &Ok(()))
    }

    fn kind(outcome: &ReadOutcome) -> FailureKind {
        match outcome {
            ReadOutcome::Ended(AttemptOutcome::Failed(failure)) => failure.kind,
            other => panic!("{other:?} is not a failure"),
        }
    }

    #[test]
    fn through_requires_exit_code_0_closed_documents_and_a_commit() {
        assert_eq!(outcome(None, &exit(0, ""), ALL), ReadOutcome::Through);
        assert_eq!(kind(&outcome(None, &exit(0, ""), CUT)), FailureKind::OutputTruncated);
        assert_eq!(kind(&outcome(None, &exit(0, ""), Documents::default())), FailureKind::OutputTruncated);
        let lost = decide_outcome(None, &exit(0, ""), &Ok(ALL), &Err(WriteError::Lost));
        assert_eq!(lost, ReadOutcome::Ended(AttemptOutcome::Lost));
    }

    #[test]
    fn a_failed_dce_with_a_valid_document_is_not_complete() {
        let dropped =
            "ERROR\nSystem.Net.Http.HttpRequestException: An error occurred while sending the request.\n";
        assert_eq!(kind(&outcome(None, &exit(1, dropped), ALL)), FailureKind::DiscordUnavailable);
    }

    #[test]
    fn a_stopped_attempt_is_handed_back_unless_dce_had_finished() {
        let hand_back = Some(StopReason::HandBack);
        assert_eq!(
            outcome(hand_back, &exit(1, CANCELLED), CUT),
            ReadOutcome::Ended(AttemptOutcome::HandedBack(None))
        );
        assert_eq!(outcome(hand_back, &exit(0, ""), ALL), ReadOutcome::Through);
        assert_eq!(kind(&outcome(Some(StopReason::Stalled), &exit(1, CANCELLED), CUT)), FailureKind::Stalled);
    }

    #[test]
    fn a_disk_stop_names_its_limit_and_is_retryable() {
        let (small, large) = (ByteSize(9_900_000), ByteSize(256_000_000));
        let disk_low = StopReason::DiskLow { free: small, least: large };
        let too_large = StopReason::AttemptTooLarge { size: large, limit: small };
        for (reason, words) in [
            (disk_low, ["9.9 MB", "MIN_FREE_DISK is 256 MB"]),
            (too_large, ["256 MB", "ATTEMPT_DISK_LIMIT is 9.9 MB"]),
        ] {
            let ReadOutcome::Ended(AttemptOutcome::Failed(failure)) =
                outcome(Some(reason), &exit(1, CANCELLED), CUT)
            else {
                panic!("{reason:?} is a failure")
            };
            assert_eq!(failure.kind, FailureKind::DiskFull);
            assert!(failure.kind.is_retryable());
            let detail = failure.detail.unwrap_or_default();
            assert!(words.iter().all(|word| detail.contains(word)), "{detail}");
            assert_eq!(outcome(Some(reason), &exit(0, ""), ALL), ReadOutcome::Through);
        }
    }
}
