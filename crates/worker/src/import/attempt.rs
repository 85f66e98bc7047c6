//! One attempt to import a source: the same ingest as a live attempt.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use dce_core::export::failure::{Failure, FailureKind};
use dce_core::store::transitions::ClaimedRun;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::documents::Documents;
use super::group_parts::ImportSource;
use super::progress::ImportProgress;
use super::source_outcome::{SourceOutcome, decide_outcome};
use crate::ingest::read::source::Author;
use crate::ingest::write::sessions::Sessions;
use crate::ingest::{Ingest, Ingested};
use crate::lease::{Instruction, LAST_WRITES, Lease};

/// Interval between updates of the displayed number of messages.
const COUNT: Duration = Duration::from_millis(200);

/// Ingests the source to its end, or until an order to stop; everything read by then is still written.
pub(super) async fn attempt(
    sessions: &Sessions,
    source: &ImportSource,
    run: &ClaimedRun,
    lease: &mut Lease<'_>,
    progress: &Arc<ImportProgress>,
) -> SourceOutcome {
    let stop = CancellationToken::new();
    let _stopped = stop.clone().drop_guard(); // ends the reader, too, if this is dropped
    let ingest = Ingest::new(sessions, run, Author::Unknown, None);
    let documents = Documents::new(source, Arc::clone(progress), stop.clone());
    let ingesting = async {
        let Ingested { read, mut written } = ingest.run(documents, |_| {}).await;
        if written.is_ok() {
            // No other attempt resumes from a cursor, so all committed batches count, in any order.
            written = ingest.finish().await;
        }
        (read, written)
    };
    let mut work = pin!(async {
        tokio::select! {
            done = ingesting => done,
            never = count(&ingest, progress) => match never {},
        }
    });
    let mut instruction = Instruction::Continue;
    let (read, written) = loop {
        match instruction {
            Instruction::Abandon => return SourceOutcome::Lost,
            Instruction::HandBackNow => match timeout(LAST_WRITES, work).await {
                Ok(done) => break done,
                Err(_) => return SourceOutcome::Failed(Failure::new(FailureKind::ImportInterrupted)),
            },
            Instruction::Continue | Instruction::HandBack => tokio::select! {
                done = &mut work => break done,
                new = lease.instruction_beyond(instruction) => {
                    instruction = new;
                    stop.cancel();
                }
            },
        }
    };
    decide_outcome(instruction, source.parts.len(), &read, &written)
}

/// Publishes the number of committed messages.
async fn count(ingest: &Ingest<'_>, progress: &ImportProgress) -> Infallible {
    loop {
        sleep(COUNT).await;
        progress.messages_now.store(ingest.checkpoints().messages(), Ordering::Relaxed);
    }
}
