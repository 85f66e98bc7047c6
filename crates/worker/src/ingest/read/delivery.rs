//! What the reader delivers to the writer, and how reading ends.

use std::io;

use dce_core::ids::Snowflake;
use dce_ingest::copy::batch::{RowTooLarge, SealedBatch};
use dce_ingest::document::frame::FrameError;
use dce_ingest::document::header::Header;
use dce_ingest::message::columns::MessageError;

/// What the reader delivers to the writer, in order.
#[derive(Debug)]
pub enum Delivery {
    /// The first document's description of its channel.
    Channel(Box<Header>),
    Rows {
        batch: Box<SealedBatch>,
        /// Whether no id so far was lower than one before it.
        in_order: bool,
    },
    /// All messages of this part have been delivered; once they are committed its file can be deleted.
    PartRead(u32),
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

/// Documents that were read to their end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Documents {
    /// Closed, with counts that agree.
    pub complete: u32,
    /// All others.
    pub cut: u32,
}
