//! What an attempt has read, for the proof of its end. Pure.

use dce_core::ids::Snowflake;
use dce_ingest::message::columns::Message;
use dce_ingest::message::placeholder::Placeholder;

use super::delivery::Present;
use super::message_order::MessageOrder;
use super::recent_ids::RecentIds;

/// Where an attempt's reading ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::ingest) struct ReadEnd {
    pub(in crate::ingest) newest: Snowflake,
    /// The first id of the last millisecond.
    pub(in crate::ingest) millisecond: Snowflake,
}

/// What an attempt has read, filtered or not.
#[derive(Debug, Clone, Default)]
pub struct ReadSummary {
    recent: RecentIds,
    /// The thread's starter, if it was read.
    starter: Option<Snowflake>,
    /// The placeholder of the thread's starter, if it was read.
    placeholder: Option<Placeholder>,
    /// The ids of the latest millisecond, sorted.
    latest: Vec<Snowflake>,
}

impl ReadSummary {
    /// Adds a message from inside the window.
    pub(super) fn add(&mut self, message: &Message<'_>) {
        self.recent.push(message.id);
        if self.placeholder.is_none() {
            self.placeholder = Placeholder::find(message);
        }
    }

    /// Completes the summary when everything is read.
    pub(super) fn finish(&mut self, order: &MessageOrder) {
        self.starter = order.has_starter().then_some(order.start().starter);
        order.latest().clone_into(&mut self.latest);
    }

    /// The newest message that was read, apart from a starter from below the window.
    pub const fn newest(&self) -> Option<Snowflake> {
        self.recent.newest()
    }

    /// Whether a placeholder at Discord is accounted for: it was read, or the starter that it stands for was.
    pub fn saw_placeholder(&self, id: Snowflake, starter: Option<Snowflake>) -> bool {
        let read_as_placeholder = self.placeholder.is_some_and(|placeholder| placeholder.id == id);
        let read_as_starter = starter.is_some_and(|id| self.starter == Some(id) || self.recent.contains(id));
        read_as_placeholder || read_as_starter || self.recent.contains(id)
    }

    /// Whether this attempt did not read a recent message. `false` if it did, and if the message was sent too long before
    /// the newest one to know: more than eleven minutes, or a hundred thousand messages.
    pub fn lacks(&self, id: Snowflake) -> bool {
        self.recent.lacks(id)
    }

    /// Where reading ended; `None`: nothing was read.
    pub(in crate::ingest) fn end(&self) -> Option<ReadEnd> {
        let millisecond = self.latest.first()?.first_of_millisecond();
        self.newest().map(|newest| ReadEnd { newest, millisecond })
    }

    /// The messages of the millisecond in which reading ended.
    pub(in crate::ingest) fn present_at_end(&self) -> Present {
        self.present(&self.latest, self.starter.is_some())
    }

    /// These messages, and the starter that the placeholder stands for.
    pub(super) fn present(&self, ids: &[Snowflake], has_starter: bool) -> Present {
        let stood_for = self.placeholder.and_then(|placeholder| placeholder.starter);
        Present { ids: ids.iter().copied().chain(stood_for).collect(), has_starter }
    }
}

#[cfg(test)]
mod tests {
    use super::super::message_order::ReadStart;
    use super::*;

    const THREAD: Snowflake = Snowflake::new(900 << 22);
    const PLACEHOLDER: Snowflake = Snowflake::new(950 << 22);

    /// The summary of an attempt that read these messages of a thread: id and type.
    fn read(after: Option<Snowflake>, messages: &[(Snowflake, &str)]) -> ReadSummary {
        let start = ReadStart { after, cursor: None, starter: THREAD, counts_starter: true };
        let mut order = MessageOrder::new(start);
        let mut summary = ReadSummary::default();
        for (id, kind) in messages {
            let json = format!(
                r#"{{"id":"{id}","timestamp":"2024-07-03T09:46:40Z","type":"{kind}","reference":{{"messageId":"{THREAD}"}}}}"#
            );
            let message = Message::parse(&json).unwrap();
            order.place(message.id);
            summary.add(&message);
        }
        summary.finish(&order);
        summary
    }

    #[test]
    fn a_placeholder_is_accounted_for_if_it_or_its_starter_was_read() {
        let other = Snowflake::new(960 << 22);
        let older = read(None, &[(PLACEHOLDER, "21"), (other, "Default")]);
        let newer = read(None, &[(THREAD, "Default"), (other, "Default")]);
        for summary in [&older, &newer] {
            assert!(summary.saw_placeholder(PLACEHOLDER, Some(THREAD)));
        }
        assert!(older.saw_placeholder(PLACEHOLDER, None) && !newer.saw_placeholder(PLACEHOLDER, None));
        let neither = read(None, &[(other, "Reply")]);
        assert!(!neither.saw_placeholder(PLACEHOLDER, Some(THREAD)));
    }

    #[test]
    fn placeholder_and_starter_are_present_in_place_of_each_other() {
        let older = read(None, &[(PLACEHOLDER, "21")]).present_at_end();
        assert_eq!(older, Present { ids: vec![PLACEHOLDER, THREAD], has_starter: false });
        let newer = read(None, &[(THREAD, "Default")]).present_at_end();
        assert_eq!(newer, Present { ids: vec![THREAD], has_starter: true });
    }

    #[test]
    fn the_end_is_the_millisecond_of_the_last_message() {
        let (one, other) = (Snowflake::new((970 << 22) + 9), Snowflake::new((970 << 22) + 2));
        let summary = read(None, &[(PLACEHOLDER, "Default"), (one, "Default"), (other, "Default")]);
        assert_eq!(summary.end(), Some(ReadEnd { newest: one, millisecond: Snowflake::new(970 << 22) }));
        assert_eq!(summary.present_at_end().ids, [other, one]);
        assert_eq!(summary.newest(), Some(one));
        assert_eq!(read(None, &[]).end(), None);
    }
}
