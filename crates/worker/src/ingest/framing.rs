//! The first half of reading: from bytes, as they come, to blocks of frames.

use std::io;
use std::mem;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::archived::Archived;
use super::block::{Block, Item};
use super::frame::{Frame, FrameError, Framer, MAX_MESSAGE_BYTES};
use super::reader::{Delivery, Source};
use crate::dce::{Followed, IdleWait};

/// Bytes read from a file at once: they stay in the cache of the core until they are copied.
const READ_BYTES: usize = 64 << 10;
/// On a slow channel what has come so far goes on after this time.
const BATCH_TIME: Duration = Duration::from_millis(100);
/// Pause when nothing new is there: short after data, longer on a channel that is silent.
const IDLE: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(20));

/// Reads documents and cuts them into messages.
pub(super) struct Framing<S> {
    /// The documents.
    pub(super) source: S,
    /// What of them need not be read in full.
    pub(super) archived: Archived,
    /// Where blocks go.
    pub(super) blocks: mpsc::Sender<Block>,
    /// Where they come back for their buffers.
    pub(super) emptied: mpsc::Receiver<Block>,
    /// Where batches go in the end; looked at for whether anybody takes them.
    pub(super) deliveries: mpsc::Sender<Delivery>,
}

/// Nobody takes blocks any more, for a reason that is told elsewhere.
struct NotTaken;

/// Why a chunk was not framed to its end.
enum Interrupted {
    Fault(FrameError),
    NotTaken,
}

impl From<FrameError> for Interrupted {
    fn from(fault: FrameError) -> Self {
        Self::Fault(fault)
    }
}

impl From<NotTaken> for Interrupted {
    fn from(NotTaken: NotTaken) -> Self {
        Self::NotTaken
    }
}

impl<S: Source> Framing<S> {
    /// Reads to the documents' end, or until nobody takes blocks any more. Only the files themselves can be a fault here;
    /// what was read before it is handed over.
    pub(super) fn run(mut self) -> io::Result<()> {
        let mut block = Block::default();
        let read = self.follow(&mut block);
        // Whoever does not take it says why.
        let _ = hand_over(&self.blocks, &mut self.emptied, &mut block);
        read
    }

    fn follow(&mut self, block: &mut Block) -> io::Result<()> {
        let mut buffer = vec![0; READ_BYTES];
        let mut idle = IdleWait::new(IDLE.0, IDLE.1);
        let mut framer = Framer::new(MAX_MESSAGE_BYTES);
        // When the oldest message came that may still wait for others.
        let mut since = None;
        while !self.blocks.is_closed() && !self.deliveries.is_closed() {
            match self.source.read(&mut buffer)? {
                Followed::Data(read) => {
                    idle.reset();
                    match self.frame(&mut framer, &buffer[..read], block) {
                        Ok(()) => {}
                        // The framer ignores the rest of the document and calls it cut.
                        Err(Interrupted::Fault(fault)) => {
                            block.note(Item::Fault(fault));
                            block.is_due = true;
                        }
                        Err(Interrupted::NotTaken) => break,
                    }
                    if !block.is_empty() {
                        since.get_or_insert_with(Instant::now);
                    }
                }
                Followed::EndOfPart { part } => {
                    let end = mem::replace(&mut framer, Framer::new(MAX_MESSAGE_BYTES)).finish();
                    block.note(Item::EndOfPart { part, end });
                }
                Followed::Idle => {
                    block.is_due |= since.is_some_and(|since: Instant| since.elapsed() >= BATCH_TIME);
                    if !block.is_due {
                        idle.wait();
                    }
                }
                Followed::End => break,
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
        let Self { archived, blocks, emptied, .. } = self;
        framer.push_beside(chunk, &mut |id| archived.has(id), &mut |frame: Frame<'_>| {
            block.push(frame);
            if block.is_full() {
                hand_over(blocks, emptied, block)?;
            }
            Ok(())
        })
    }
}

/// Passes the block on and puts an empty one in its place.
fn hand_over(
    blocks: &mpsc::Sender<Block>,
    emptied: &mut mpsc::Receiver<Block>,
    block: &mut Block,
) -> Result<(), NotTaken> {
    let empty = emptied.try_recv().unwrap_or_default();
    blocks.blocking_send(mem::replace(block, empty)).map_err(|_| NotTaken)
}
