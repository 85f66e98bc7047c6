//! Frames on their way from the thread that cuts documents to the one that makes rows of them.

use std::ops::Range;

use chrono::{DateTime, Utc};
use dce_core::ids::Snowflake;

use super::document::{DocumentEnd, Frame, FrameError, Members};
use super::header::Header;
use super::members::Member;

/// Bytes of messages in a block: little enough to stay in the core's cache, enough that handing over costs nothing.
const BLOCK_BYTES: usize = 256 << 10;
/// Room kept from one block to the next, so that a giant's memory is given back.
const KEPT_BYTES: usize = BLOCK_BYTES * 2;
/// Most messages in a block: of archived ones it holds no more than that they are there.
const BLOCK_ITEMS: usize = 2 << 10;
/// Room kept for messages, and for members of messages.
const KEPT_ITEMS: usize = 16 << 10;

/// Some frames, in the order of the documents, with what they point to.
#[derive(Debug, Default)]
pub(super) struct Block {
    json: String,
    members: Vec<Member>,
    items: Vec<Item>,
    /// Whoever gets this shall not wait for more.
    pub(super) is_due: bool,
}

/// One thing that was found.
#[derive(Debug)]
pub(super) enum Item {
    /// What stands before a document's messages.
    Header(Box<Header>),
    /// A message; what it says is in its block.
    Message(Placed),
    /// As in [`Frame::Archived`].
    Archived { id: Snowflake, timestamp: DateTime<Utc>, source_bytes: u64 },
    /// The rest of the document is ignored.
    Fault(FrameError),
    /// The document was read to its end.
    EndOfPart { part: u32, end: DocumentEnd },
}

/// A message's place in its block; the rest as in [`Frame::Message`].
#[derive(Debug)]
pub(super) struct Placed {
    json: Range<usize>,
    members: Option<Range<usize>>,
    in_order: bool,
    pub(super) repairs: u32,
    pub(super) left_out: u64,
    pub(super) source_bytes: u64,
    pub(super) archived: Option<Snowflake>,
}

impl Block {
    /// Adds what was framed.
    pub(super) fn push(&mut self, frame: Frame<'_>) {
        let item = match frame {
            Frame::Header(header) => Item::Header(header),
            Frame::Message { json, members, repairs, left_out, source_bytes, archived } => {
                let json = {
                    let start = self.json.len();
                    self.json.push_str(json);
                    start..self.json.len()
                };
                let in_order = members.is_some_and(Members::are_in_order);
                let members = members.map(|members| {
                    let start = self.members.len();
                    self.members.extend_from_slice(members.places());
                    start..self.members.len()
                });
                Item::Message(Placed { json, members, in_order, repairs, left_out, source_bytes, archived })
            }
            Frame::Archived { id, timestamp, source_bytes } => Item::Archived { id, timestamp, source_bytes },
            // The document's end says the same, and whether anything came after.
            Frame::End { .. } => return,
        };
        self.items.push(item);
    }

    /// Adds what became of a document.
    pub(super) fn note(&mut self, item: Item) {
        self.items.push(item);
    }

    /// What was found, in its order.
    pub(super) fn items(&self) -> &[Item] {
        &self.items
    }

    /// What a message of this block says, and where its members are.
    pub(super) fn message(&self, placed: &Placed) -> (&str, Option<Members<'_>>) {
        let json = &self.json[placed.json.clone()];
        let members = placed.members.clone().map(|places| &self.members[places]);
        (json, members.map(|members| Members::new(json, members, placed.in_order)))
    }

    /// Whether it holds nothing.
    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Whether it shall be handed over.
    pub(super) fn is_full(&self) -> bool {
        self.json.len() >= BLOCK_BYTES || self.items.len() >= BLOCK_ITEMS
    }

    /// An empty block in the same buffers.
    pub(super) fn recycle(mut self) -> Self {
        self.json.clear();
        self.json.shrink_to(KEPT_BYTES);
        self.members.clear();
        self.members.shrink_to(KEPT_ITEMS);
        self.items.clear();
        self.items.shrink_to(KEPT_ITEMS);
        Self { is_due: false, ..self }
    }
}
