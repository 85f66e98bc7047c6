//! The ids of the newest messages that an attempt has read, in bounded memory. Pure.
//!
//! A message may become visible at Discord later than one that was sent after it. Whoever compares Discord's newest page
//! with what was read needs to know the ids of the last minute.

use std::collections::VecDeque;

use dce_core::ids::Snowflake;

/// Milliseconds before the newest message that are kept: the last minute before a bound, and ten minutes by which the bound
/// may be lowered because Discord's clock is behind.
const KEPT_MS: u64 = 11 * 60 * 1000;
/// Most ids that are kept.
const MOST_IDS: usize = 100_000;

/// A sliding window over the ids of an attempt, in the order in which they were read.
#[derive(Debug, Clone, Default)]
pub(super) struct RecentIds {
    ids: VecDeque<Snowflake>,
    newest: Option<Snowflake>,
    /// Milliseconds from here on are kept completely.
    complete_from_ms: u64,
}

impl RecentIds {
    pub(super) fn push(&mut self, id: Snowflake) {
        let newest = self.newest.max(Some(id));
        self.newest = newest;
        let oldest_kept = newest.map_or(0, |newest| newest.millisecond().saturating_sub(KEPT_MS));
        while let Some(first) = self.ids.front()
            && (first.millisecond() < oldest_kept || self.ids.len() == MOST_IDS)
        {
            self.complete_from_ms = self.complete_from_ms.max(first.millisecond() + 1);
            self.ids.pop_front();
        }
        self.ids.push_back(id);
    }

    /// The highest id.
    pub(super) const fn newest(&self) -> Option<Snowflake> {
        self.newest
    }

    pub(super) fn contains(&self, id: Snowflake) -> bool {
        self.ids.contains(&id)
    }

    /// Whether the message was not read: `false` if it was, and if its time is too long ago to know.
    pub(super) fn lacks(&self, id: Snowflake) -> bool {
        id.millisecond() >= self.complete_from_ms && !self.contains(id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(millisecond: u64) -> Snowflake {
        Snowflake::new(millisecond << 22)
    }

    fn read(ids: impl IntoIterator<Item = Snowflake>) -> RecentIds {
        let mut recent = RecentIds::default();
        ids.into_iter().for_each(|id| recent.push(id));
        recent
    }

    #[test]
    fn without_messages_every_id_is_lacking() {
        let recent = RecentIds::default();
        assert!(recent.lacks(id(1)) && recent.newest().is_none());
    }

    #[test]
    fn ids_are_kept_while_they_are_recent() {
        let last = KEPT_MS * 3;
        let recent = read((0..=last).step_by(1000).map(id));
        assert_eq!(recent.newest(), Some(id(last)));
        let oldest = last - KEPT_MS;
        assert!(recent.contains(id(oldest)) && !recent.lacks(id(oldest)));
        assert!(recent.lacks(id(oldest + 1)) && recent.lacks(id(last - 1)));
        assert!(
            !recent.contains(id(oldest - 1000)) && !recent.lacks(id(oldest - 1000)),
            "not known any more"
        );
        assert!(recent.ids.len() < 1000);
    }

    #[test]
    fn what_falls_out_of_bounded_memory_is_not_lacking() {
        let most = MOST_IDS as u64;
        let recent = read((1..=most + 10).map(id));
        assert_eq!(recent.ids.len(), MOST_IDS);
        assert!((1..=10).all(|ms| !recent.contains(id(ms)) && !recent.lacks(id(ms))));
        assert!(recent.contains(id(11)) && recent.lacks(id(most + 11)));
    }

    #[test]
    fn disorder_does_not_hide_the_newest() {
        let recent = read([id(50), id(70), id(60)]);
        assert_eq!(recent.newest(), Some(id(70)));
        assert!(recent.contains(id(60)) && recent.lacks(id(65)));
    }
}
