//! One source on its way into Postgres: read on a thread of its own, written as every run is.

use std::convert::Infallible;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use dce_core::export::failure::{Failure, FailureKind};
use dce_core::store::transitions::ClaimedRun;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::documents::Documents;
use super::group_parts::ImportSource;
use super::progress::ImportProgress;
use super::source_outcome::{SourceOutcome, decide_outcome};
use crate::ingest::archived::archived_of;
use crate::ingest::lanes::{BATCHES_WAITING, write_all};
use crate::ingest::reader::{Origins, ReadError, Reader};
use crate::ingest::sessions::Sessions;
use crate::ingest::writer::Writer;
use crate::lease::{Instruction, LAST_WRITES, Lease};

/// How often the messages are counted for whoever looks.
const COUNT: Duration = Duration::from_millis(200);

/// Reads and writes the source to its end, or to an order to stop: then what was read is still written.
pub(super) async fn attempt(
    sessions: &Sessions,
    source: &ImportSource,
    run: &ClaimedRun,
    lease: &mut Lease<'_>,
    progress: &Arc<ImportProgress>,
) -> SourceOutcome {
    let stop = CancellationToken::new();
    let _stopped = stop.clone().drop_guard(); // the reader too, if this is dropped
    let (deliveries, delivered) = mpsc::channel(BATCHES_WAITING);
    let (recycle, recycled) = mpsc::channel(BATCHES_WAITING + 1);
    let (archived, looks) = archived_of(run);
    let reader = Reader {
        source: Documents::of(source, Arc::clone(progress), stop.clone()),
        origins: Origins::Files,
        channel_id: run.channel_id,
        job_id: run.job_id,
        cursor: run.cursor,
        archived,
        deliveries,
        recycled,
    };
    let reading = tokio::task::spawn_blocking(move || reader.read());
    let writer = Writer::new(sessions, run).of_files();
    let writing = async {
        let mut written = write_all(&writer, delivered, recycle, looks, None).await;
        let read = reading.await.unwrap_or_else(|panic| Err(ReadError::Io(io::Error::other(panic))));
        if written.is_ok() {
            // No other attempt follows that would go on from a cursor, so what is committed counts, in any order.
            written = writer.finish(true).await;
        }
        (read, written)
    };
    // Counted as long as it is written.
    let mut work = pin!(async {
        tokio::select! {
            done = writing => done,
            never = count(&writer, progress) => match never {},
        }
    });
    let mut order = Instruction::Continue;
    let (read, written) = loop {
        match order {
            Instruction::Abandon => return SourceOutcome::Lost,
            Instruction::HandBackNow => match timeout(LAST_WRITES, work).await {
                Ok(done) => break done,
                Err(_) => return SourceOutcome::Failed(Failure::new(FailureKind::ImportInterrupted)),
            },
            Instruction::Continue | Instruction::HandBack => tokio::select! {
                done = &mut work => break done,
                new = lease.instruction_beyond(order) => {
                    order = new;
                    stop.cancel();
                }
            },
        }
    };
    decide_outcome(order, source.parts.len(), &read, &written)
}

/// Passes on how many messages are committed.
async fn count(writer: &Writer<'_>, progress: &ImportProgress) -> Infallible {
    loop {
        sleep(COUNT).await;
        progress.messages_now.store(writer.books().messages(), Ordering::Relaxed);
    }
}
