//! What the reader delivers to the writer, and how reading ends.

use std::io;

use dce_core::ids::Snowflake;
use dce_ingest::copy::batch::{RowTooLarge, SealedBatch};
use dce_ingest::document::frame::FrameError;
use dce_ingest::document::header::Header;
use dce_ingest::message::columns::MessageError;

use super::summary::ReadSummary;

/// What the reader delivers to the writer, in order.
#[derive(Debug)]
pub enum Delivery {
    /// The first document's description of its channel.
    Channel(Box<Header>),
    Rows {
        batch: Box<SealedBatch>,
        /// Whether every message so far was of the millisecond of the one before it, or of a later one.
        in_order: bool,
        range: ReadRange,
    },
    /// All messages of this part have been delivered; once they are committed its file can be deleted.
    PartRead(u32),
}

/// The part of the channel that a batch completes. It ends before the millisecond of the batch's last message, because the
/// next batch may continue that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadRange {
    /// First id of the millisecond in which the batches before ended; `None`: where the attempt began.
    pub from: Option<Snowflake>,
    /// First id of the millisecond in which this batch ends; exclusive. `None`: no message so far.
    pub to: Option<Snowflake>,
    /// Whether the batch has messages of the millisecond in which the one before ended.
    pub continues: bool,
    pub present: Present,
}

/// Messages that exist although the batch lacks them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Present {
    pub ids: Vec<Snowflake>,
    /// The thread's starter was read, so that the placeholder which refers to it exists.
    pub has_starter: bool,
}

/// Why reading stopped before the end.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("the output cannot be read: {0}")]
    Io(#[from] io::Error),
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error(transparent)]
    Message(#[from] MessageError),
    #[error(transparent)]
    Row(#[from] RowTooLarge),
    #[error("the output is of channel {0}, which was not asked for")]
    OtherChannel(Snowflake),
    #[error("the writer has stopped")]
    WriterStopped,
}

impl ReadError {
    /// Whether only one document cannot be read on; the others can.
    pub(super) const fn concerns_one_document(&self) -> bool {
        match self {
            Self::Frame(_) | Self::Message(_) | Self::Row(_) | Self::OtherChannel(_) => true,
            Self::Io(_) | Self::WriterStopped => false,
        }
    }
}

/// How reading ended, and what was read.
#[derive(Debug)]
pub(crate) struct Read {
    pub(crate) documents: Result<Documents, ReadError>,
    pub(crate) summary: ReadSummary,
}

/// Documents that were read to their end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Documents {
    /// Closed, with counts that agree.
    pub complete: u32,
    /// All others.
    pub cut: u32,
}
