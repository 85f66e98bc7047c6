//! Writes the batches of one attempt: one per session at the same time, each in a transaction of its own. One COPY keeps one
//! core of the server busy; two sessions write nearly twice as fast as one (measured).

use dce_ingest::copy::batch::{Batch, SealedBatch};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc;

use super::batch_writer::BatchWriter;
use super::channel::channel;
use super::error::WriteError;
use crate::ingest::read::delivery::{Delivery, ReadRange};

/// Writes deliveries until there are no more, or until a batch cannot be written. Calls `part_committed` for each part whose
/// messages are all committed.
pub(crate) async fn write_all(
    writer: &BatchWriter<'_>,
    mut delivered: mpsc::Receiver<Delivery>,
    recycle: mpsc::Sender<Batch>,
    mut part_committed: impl FnMut(u32),
) -> Result<(), WriteError> {
    let mut in_flight = FuturesUnordered::new();
    let mut number = 0;
    // Parts that were read, each with the number of the first batch behind it.
    let mut parts: Vec<(u64, u32)> = Vec::new();
    let mut open = true;
    while open || !in_flight.is_empty() {
        tokio::select! {
            delivery = delivered.recv(), if open && in_flight.len() < writer.parallelism() => match delivery {
                Some(Delivery::Channel(header)) => {
                    writer.note_export(header.exported_at);
                    writer.checkpoints().describe(channel(*header));
                }
                Some(Delivery::Rows { batch, in_order, range }) => {
                    // The cursor may be inside the millisecond that this batch continues: a resume could not tell whether
                    // rows below it are counted.
                    if range.continues {
                        while let Some(written) = in_flight.next().await {
                            let _ = recycle.try_send(written?);
                        }
                    }
                    in_flight.push(write(writer, number, *batch, in_order, range));
                    number += 1;
                }
                Some(Delivery::PartRead(part)) => parts.push((number, part)),
                None => open = false,
            },
            Some(written) = in_flight.next() => {
                // Full or closed: then the buffer is freed.
                let _ = recycle.try_send(written?);
            }
        }
        let next_batch = writer.checkpoints().next_batch();
        parts
            .extract_if(.., |(batches, _)| *batches <= next_batch)
            .for_each(|(_, part)| part_committed(part));
    }
    Ok(())
}

async fn write(
    writer: &BatchWriter<'_>,
    number: u64,
    batch: SealedBatch,
    in_order: bool,
    range: ReadRange,
) -> Result<Batch, WriteError> {
    writer.write(number, &batch, in_order, &range).await?;
    Ok(batch.recycle())
}
