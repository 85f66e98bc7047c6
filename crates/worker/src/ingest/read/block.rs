//! Blocks of frames on their way from the framing thread to the batching thread.

use std::ops::Range;

use dce_ingest::document::frame::{DocumentEnd, Frame, FrameError};
use dce_ingest::document::header::Header;
use dce_ingest::{Member, Members};

/// Bytes of messages in a block: few enough for the core's cache, enough to make the handover cheap.
const BLOCK_BYTES: usize = 256 << 10;
/// Capacity kept from one block to the next, in bytes. An oversized message's memory is freed.
const KEPT_BYTES: usize = BLOCK_BYTES * 2;
/// Capacity kept for messages, and for members of messages.
const KEPT_ITEMS: usize = 16 << 10;

/// Frames in the order of the documents, with the bytes that they refer to.
#[derive(Debug, Default)]
pub(super) struct Block {
    json: String,
    members: Vec<Member>,
    items: Vec<Item>,
    /// The batch must not wait for more messages.
    pub(super) is_due: bool,
}

#[derive(Debug)]
pub(super) enum Item {
    Header(Box<Header>),
    /// A message whose content is in the block.
    Message(MessageItem),
    /// The rest of the document is ignored.
    Fault(FrameError),
    EndOfPart {
        part: u32,
        end: DocumentEnd,
    },
}

/// A [`Frame::Message`] that refers to its block.
#[derive(Debug)]
pub(super) struct MessageItem {
    json: Range<usize>,
    members: Option<Range<usize>>,
    in_order: bool,
    pub(super) repairs: u32,
    pub(super) dropped_users: u64,
    pub(super) source_bytes: u64,
}

impl Block {
    pub(super) fn push_frame(&mut self, frame: Frame<'_>) {
        let item = match frame {
            Frame::Header(header) => Item::Header(header),
            Frame::Message { json, members, repairs, dropped_users, source_bytes } => {
                let json = {
                    let start = self.json.len();
                    self.json.push_str(json);
                    start..self.json.len()
                };
                let in_order = members.is_some_and(Members::are_in_order);
                let members = members.map(|members| {
                    let start = self.members.len();
                    self.members.extend_from_slice(members.positions());
                    start..self.members.len()
                });
                Item::Message(MessageItem { json, members, in_order, repairs, dropped_users, source_bytes })
            }
            // `Item::EndOfPart` has the same count, and counts what comes behind the end.
            Frame::End { .. } => return,
        };
        self.items.push(item);
    }

    pub(super) fn push(&mut self, item: Item) {
        self.items.push(item);
    }

    pub(super) fn items(&self) -> &[Item] {
        &self.items
    }

    /// The JSON of a message of this block, and its members.
    pub(super) fn message(&self, item: &MessageItem) -> (&str, Option<Members<'_>>) {
        let json = &self.json[item.json.clone()];
        let members = item.members.clone().map(|positions| &self.members[positions]);
        (json, members.map(|members| Members::new(json, members, item.in_order)))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.json.len() >= BLOCK_BYTES
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
