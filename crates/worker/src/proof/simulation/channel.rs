//! A channel of a Discord whose every message has its own times.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use dce_core::ids::Snowflake;
use proptest::prelude::*;

use crate::proof::judge::{Listed, PAGE};

/// Discord's clock when the channel begins, in milliseconds since 2015. All times of a simulation are of this clock.
pub(super) const BEGINNING: u64 = 300_000_000_000;
/// The starter of a thread, in its parent channel.
pub(super) const STARTER: Snowflake = Snowflake::new(7);
const PLACEHOLDER: u64 = 21;

pub(super) const fn first_id(millisecond: u64) -> Snowflake {
    Snowflake::new(millisecond << 22)
}

pub(super) const fn millisecond(id: Snowflake) -> u64 {
    id.get() >> 22
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) id: Snowflake,
    visible_from: u64,
    deleted_at: u64,
    /// Whether the run's filter drops it.
    pub(super) is_dropped: bool,
    pub(super) is_placeholder: bool,
}

impl Message {
    /// Whether later messages were visible before it.
    pub(super) const fn is_late(&self) -> bool {
        self.visible_from > millisecond(self.id)
    }

    fn listed(&self) -> Listed {
        let (kind, reference) = if self.is_placeholder { (PLACEHOLDER, Some(STARTER)) } else { (0, None) };
        Listed { id: self.id, kind: Some(kind), author_id: None, reference }
    }
}

#[derive(Debug, Clone)]
pub(super) struct Channel {
    messages: Vec<Message>,
    pub(super) has_filter: bool,
}

impl Channel {
    /// What Discord lists at this time.
    pub(super) fn visible(&self, at: u64) -> impl Iterator<Item = &Message> {
        self.messages.iter().filter(move |message| message.visible_from <= at && at < message.deleted_at)
    }

    /// The newest messages below `before`.
    pub(super) fn page(&self, before: Snowflake, at: u64) -> Vec<Listed> {
        let mut page: Vec<_> = self.visible(at).filter(|message| message.id < before).collect();
        page.sort_by_key(|message| Reverse(message.id));
        page.truncate(PAGE);
        page.into_iter().map(Message::listed).collect()
    }

    pub(super) fn late_messages(&self) -> usize {
        self.messages.iter().filter(|message| message.is_late()).count()
    }

    /// Time between its beginning and its last message.
    pub(super) fn span(&self) -> u64 {
        self.messages.last().map_or(10_000, |last| millisecond(last.id) - BEGINNING + 1)
    }
}

/// What makes one message.
#[derive(Debug, Clone)]
struct Draft {
    /// The distance from the message before, in thousandths of the channel's pace.
    distance: u64,
    /// The lower part of the id, which orders messages of one millisecond.
    counter: u64,
    lifetime: Option<u64>,
    delay: Option<u64>,
    is_dropped: bool,
}

prop_compose! {
    fn draft()(
        distance in 0..1_000_u64,
        counter in 0..4_u64,
        lifetime in prop::option::weighted(0.05, 0..400_000_u64),
        delay in prop::option::weighted(0.05, 1..90_000_u64),
        is_dropped in any::<bool>(),
    ) -> Draft {
        Draft { distance, counter, lifetime, delay, is_dropped }
    }
}

prop_compose! {
    /// A channel or thread of one pace: busy, ordinary or quiet.
    pub(super) fn channel(can_be_late: bool)(
        pace in prop_oneof![1..60_u64, 100..3_000_u64, 5_000..90_000_u64],
        is_thread in any::<bool>(),
        has_filter in any::<bool>(),
        drafts in prop_oneof![prop::collection::vec(draft(), 0..3), prop::collection::vec(draft(), 3..350)],
    ) -> Channel {
        let mut now = BEGINNING;
        let mut ids = BTreeSet::new();
        let mut messages = Vec::new();
        for draft in drafts {
            now += draft.distance * pace / 1_000;
            let id = Snowflake::new(first_id(now).get() + draft.counter);
            if !ids.insert(id) {
                continue;
            }
            let is_placeholder = is_thread && messages.is_empty();
            let delay = draft.delay.filter(|_| can_be_late && !is_placeholder).unwrap_or(0);
            messages.push(Message {
                id,
                visible_from: now + delay,
                deleted_at: draft.lifetime.map_or(u64::MAX, |lifetime| now + delay + lifetime),
                is_dropped: draft.is_dropped && has_filter && !is_placeholder,
                is_placeholder,
            });
        }
        Channel { messages, has_filter }
    }
}
