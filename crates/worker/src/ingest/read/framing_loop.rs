//! The first thread of reading: from bytes, as they come, to blocks of frames.

use std::io;
use std::mem;
use std::time::{Duration, Instant};

use dce_ingest::document::frame::{Frame, FrameError};
use dce_ingest::document::framer::{Framer, MAX_MESSAGE_BYTES};
use tokio::sync::mpsc;

use super::block::{Block, Item};
use super::delivery::Delivery;
use super::idle_wait::IdleWait;
use super::source::{Chunk, Source};

/// Bytes read from a file at once: few enough to stay in the core's cache until they are copied.
const READ_BYTES: usize = 64 << 10;
/// Longest time that messages of a slow channel wait for others.
pub(super) const BATCH_TIME: Duration = Duration::from_millis(100);
/// Shortest and longest pause between two reads without data: a message is seen soon after it is written, and a silent
/// channel costs 50 reads a second.
const IDLE: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(20));

/// Reads documents and cuts them into messages.
pub(super) struct FramingLoop<S> {
    pub(super) source: S,
    pub(super) blocks: mpsc::Sender<Block>,
    /// Emptied blocks come back for their buffers.
    pub(super) emptied: mpsc::Receiver<Block>,
    /// Where batches go; watched to stop when nobody receives them.
    pub(super) deliveries: mpsc::Sender<Delivery>,
}

/// Nobody receives blocks any more. The reason is reported elsewhere.
struct ReceiverGone;

/// Why a chunk was not framed to its end.
enum Interrupted {
    Fault(FrameError),
    ReceiverGone,
}

impl From<FrameError> for Interrupted {
    fn from(fault: FrameError) -> Self {
        Self::Fault(fault)
    }
}

impl From<ReceiverGone> for Interrupted {
    fn from(ReceiverGone: ReceiverGone) -> Self {
        Self::ReceiverGone
    }
}

impl<S: Source> FramingLoop<S> {
    /// Reads to the documents' end, or until nobody receives blocks any more. Only the source can fail here; everything read
    /// before the failure is handed over.
    pub(super) fn run(mut self) -> io::Result<()> {
        let mut block = Block::default();
        let read = self.read(&mut block);
        // A receiver that is gone reports the reason itself.
        let _ = hand_over(&self.blocks, &mut self.emptied, &mut block);
        read
    }

    fn read(&mut self, block: &mut Block) -> io::Result<()> {
        let mut buffer = vec![0; READ_BYTES];
        let mut idle = IdleWait::new(IDLE.0, IDLE.1);
        let mut framer = Framer::new(MAX_MESSAGE_BYTES);
        // When the oldest message came that may still wait for others.
        let mut since = None;
        while !self.blocks.is_closed() && !self.deliveries.is_closed() {
            match self.source.read(&mut buffer)? {
                Chunk::Data(read) => {
                    idle.reset();
                    match self.frame(&mut framer, &buffer[..read], block) {
                        Ok(()) => {}
                        // The framer ignores the rest of the document and ends it as cut.
                        Err(Interrupted::Fault(fault)) => {
                            block.push(Item::Fault(fault));
                            block.is_due = true;
                        }
                        Err(Interrupted::ReceiverGone) => break,
                    }
                    if !block.is_empty() {
                        since.get_or_insert_with(Instant::now);
                    }
                }
                Chunk::EndOfPart { part } => {
                    let end = mem::replace(&mut framer, Framer::new(MAX_MESSAGE_BYTES)).finish();
                    block.push(Item::EndOfPart { part, end });
                }
                Chunk::Idle => {
                    block.is_due |= since.is_some_and(|since: Instant| since.elapsed() >= BATCH_TIME);
                    if !block.is_due {
                        idle.wait();
                    }
                }
                Chunk::End => break,
            }
            if block.is_due {
                since = None;
                if hand_over(&self.blocks, &mut self.emptied, block).is_err() {
                    break;
                }
            }
        }
        Ok(())
    }

    fn frame(&mut self, framer: &mut Framer, chunk: &[u8], block: &mut Block) -> Result<(), Interrupted> {
        let Self { blocks, emptied, .. } = self;
        framer.push(chunk, &mut |frame: Frame<'_>| {
            block.push_frame(frame);
            if block.is_full() {
                hand_over(blocks, emptied, block)?;
            }
            Ok(())
        })
    }
}

/// Sends the block and puts an empty one in its place.
fn hand_over(
    blocks: &mpsc::Sender<Block>,
    emptied: &mut mpsc::Receiver<Block>,
    block: &mut Block,
) -> Result<(), ReceiverGone> {
    let empty = emptied.try_recv().unwrap_or_default();
    blocks.blocking_send(mem::replace(block, empty)).map_err(|_| ReceiverGone)
}
