//! State changes of exports and runs. Each is one transaction that locks in one order: exports row, run, task, admission
//! lock, COMMIT. Whatever depends on a lock is read in a later statement: a statement sees only what was committed before
//! it began.

mod admission;
mod attempt_report;
mod attempt_sessions;
mod cancel;
mod channel_coverage;
mod checkpoint;
mod claim;
mod completion;
mod control_outcome;
mod create;
mod ending;
mod fence;
mod finish;
mod heartbeat;
mod lock;
mod phase;
mod reconcile;
mod rescue;
mod retry;
mod settle_export;

pub use attempt_report::{AttemptReport, Reread};
pub use attempt_sessions::{current_session, record_backend, terminate_sessions};
pub use cancel::{CANCEL_CHANNEL, cancel};
pub use checkpoint::{Checkpoint, checkpoint};
pub use claim::{Claim, ClaimedRun, RunOptions, Through, claim};
pub use completion::{Completion, Verified};
pub use control_outcome::ControlOutcome;
pub use create::{CreatedExport, NewExport, Submission, SubmissionOutcome, create, submit};
pub(crate) use ending::Ending;
pub use fence::Fence;
pub(crate) use finish::finish_attempt;
pub use finish::{complete, fail, hand_back, hand_back_with_reason, wait_for_proof};
pub use heartbeat::{HEARTBEAT_INTERVAL, LeaseState, heartbeat};
pub use phase::{begin_reading, set_phase};
pub use reconcile::{Reconciled, reconcile};
pub use rescue::{ExpiredLease, expired_leases, rescue, server_has_just_started, terminate_backends};
pub use retry::retry;
pub(crate) use settle_export::settle_export;
