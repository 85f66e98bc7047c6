//! The batches of one attempt on their way into Postgres: as many at once as there are sessions, each its own
//! transaction. One COPY keeps one core of the server busy (measured: two sessions write nearly twice as fast as one).

use std::pin::pin;
use std::time::Duration;

use dce_core::ids::Snowflake;
use futures_util::future::FusedFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::archived::Looks;
use super::batch::{Batch, SealedBatch};
use super::reader::Delivery;
use super::writer::{WriteError, Writer};
use crate::dce::Parts;

/// Batches on their way from the reader to the writer, besides the one being filled and those being written.
pub(crate) const BATCHES_WAITING: usize = 2;

/// How long a look at what is archived may go on when everything is written.
const LAST_LOOK: Duration = Duration::from_millis(250);

/// Writes what the reader delivers until it has nothing more, or a batch cannot be written, and answers what it asks.
/// `parts`: DCE's files, which are deleted when all of their messages are committed; `None`: the files are not ours.
pub async fn write_all(
    writer: &Writer<'_>,
    mut delivered: mpsc::Receiver<Delivery>,
    recycle: mpsc::Sender<Batch>,
    looks: Looks,
    parts: Option<&Parts>,
) -> Result<(), WriteError> {
    let mut looking = pin!(looks.answer(writer.sessions()).fuse());
    let mut under_way = FuturesUnordered::new();
    let mut number = 0;
    let mut reached = None;
    let mut read: Vec<(u64, u32)> = Vec::new();
    let mut open = true;
    while open || !under_way.is_empty() {
        tokio::select! {
            delivery = delivered.recv(), if open && under_way.len() < writer.lanes() => match delivery {
                Some(Delivery::Channel(header)) => writer.books().describe((*header).into()),
                Some(Delivery::Rows { batch, in_order }) => {
                    let last = batch.summary().span.map(|span| span.highest_id);
                    under_way.push(write(writer, number, *batch, in_order, reached));
                    number += 1;
                    reached = reached.max(last);
                }
                Some(Delivery::PartRead(part)) => read.push((number, part)),
                None => open = false,
            },
            () = &mut looking, if !looking.is_terminated() => {}
            Some(written) = under_way.next() => {
                // Full or gone: then the buffer is freed.
                let _ = recycle.try_send(written?);
            }
        }
        if let Some(parts) = parts {
            let low_water = writer.books().low_water();
            read.retain(|(batches, part)| *batches > low_water || !delete(parts, *part));
        }
    }
    if !looking.is_terminated() {
        // Nobody needs the answer, but cut off at once it would cost its session.
        let _ = timeout(LAST_LOOK, looking).await;
    }
    Ok(())
}

async fn write(
    writer: &Writer<'_>,
    number: u64,
    batch: SealedBatch,
    in_order: bool,
    before: Option<Snowflake>,
) -> Result<Batch, WriteError> {
    writer.write(number, &batch, in_order, before).await?;
    Ok(batch.recycle())
}

fn delete(parts: &Parts, part: u32) -> bool {
    if let Err(error) = parts.delete(part) {
        tracing::warn!(part, error = %error, "part.not_deleted");
    }
    true
}
