//! What tests change about a channel, on top of the messages of its source.

use std::collections::{BTreeMap, BTreeSet};

use dce_standin::snowflake::Snowflake;

use super::post::Post;

/// When a message that is hidden for now becomes visible.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Appears {
    /// With the request for messages after this many more.
    AfterRequests(u64),
    OnCall,
}

/// The `last_message_id` of a channel.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum LastMessageId {
    /// Of the newest message that the channel ever had.
    #[default]
    Newest,
    Null,
    Fixed(Snowflake),
}

/// What the bot may see of a channel.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Access {
    #[default]
    Full,
    /// Read Message History is missing.
    HistoryHidden,
    /// The channel can be seen, its messages cannot.
    MessagesForbidden,
    Forbidden,
}

#[derive(Debug, Default)]
pub(super) struct Changes {
    pub(super) posted: BTreeMap<Snowflake, Post>,
    deleted: BTreeSet<Snowflake>,
    late: BTreeMap<Snowflake, Appears>,
    /// Place of a message among those of its millisecond, where it is not that of its id.
    ranks: BTreeMap<Snowflake, usize>,
    /// No page ends inside a millisecond.
    pub(super) keeps_milliseconds_whole: bool,
    pub(super) access: Access,
    /// What the latest attempt was scripted to be refused is granted.
    pub(super) lifts_scripted_refusals: bool,
    pub(super) last_message_id: LastMessageId,
}

impl Changes {
    pub(super) fn post(&mut self, post: Post) {
        self.deleted.remove(&post.id());
        self.posted.insert(post.id(), post);
    }

    /// Restricts the access to this, or grants full access again if it is restricted to this.
    pub(super) fn restrict(&mut self, access: Access, restricts: bool) {
        if restricts {
            self.access = access;
        } else if self.access == access {
            self.access = Access::Full;
        }
    }

    pub(super) fn delete(&mut self, id: Snowflake) {
        self.deleted.insert(id);
    }

    pub(super) fn appears_after(&mut self, id: Snowflake, requests: u64) {
        self.late.insert(id, Appears::AfterRequests(requests));
    }

    pub(super) fn hide_until_called(&mut self, id: Snowflake) {
        self.late.insert(id, Appears::OnCall);
    }

    pub(super) fn appear(&mut self, id: Snowflake) {
        self.late.remove(&id);
    }

    pub(super) fn list_in_order(&mut self, ids: &[u64]) {
        self.ranks.extend(ids.iter().map(|id| Snowflake(*id)).zip(0..));
    }

    /// Counts a request for the channel's messages.
    pub(super) fn count_request(&mut self) {
        self.late.retain(|_, appears| match appears {
            Appears::OnCall => true,
            Appears::AfterRequests(0) => false,
            Appears::AfterRequests(left) => {
                *left -= 1;
                true
            }
        });
    }

    pub(super) fn is_visible(&self, id: Snowflake) -> bool {
        !self.deleted.contains(&id) && !self.late.contains_key(&id)
    }

    /// Where Discord lists a message: by millisecond, in it by the given order, else by id.
    pub(super) fn place(&self, id: Snowflake) -> (u64, usize, Snowflake) {
        (id.millisecond(), self.ranks.get(&id).copied().unwrap_or(usize::MAX), id)
    }
}
