//! The messages of a channel as Discord lists them: those of its source with the changes of a test, by page.

use std::io;
use std::iter::Peekable;

use dce_standin::snowflake::Snowflake;
use dce_standin::source::ListedMessages;

use super::changes::{Changes, LastMessageId};
use super::post::Post;

/// The most messages of a page.
pub(super) const LARGEST_PAGE: usize = 100;

/// What a request for messages asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Position {
    Newest,
    Before(Snowflake),
    After(Snowflake),
    Around(Snowflake),
}

/// A message, wherever it is kept.
#[derive(Debug, Clone, Copy)]
pub(super) enum Entry<'a> {
    /// By its number in the source.
    Source(Snowflake, u64),
    Posted(&'a Post),
}

#[derive(Clone, Copy)]
pub(super) struct History<'a> {
    /// None: only posts.
    pub(super) source: Option<&'a ListedMessages>,
    pub(super) changes: &'a Changes,
}

impl<'a> History<'a> {
    /// A page, the newest message first.
    pub(super) fn page(&self, position: Position, limit: usize) -> Vec<Entry<'a>> {
        match position {
            Position::Newest => self.newest(None, limit),
            Position::Before(id) => self.newest(Some(id), limit),
            Position::After(id) => {
                let Some(from) = id.0.checked_add(1) else { return Vec::new() };
                let mut page = self.listed(self.ascending(Snowflake(from)), limit, false);
                page.reverse();
                page
            }
            Position::Around(id) => {
                // The message itself, or the next older one if it is gone, with as many on either side.
                let mut page = self.page(Position::After(id), limit / 2);
                let below = id.0.checked_add(1).map(Snowflake);
                page.extend(self.newest(below, limit - page.len()));
                page
            }
        }
    }

    /// One message by its id.
    pub(super) fn find(&self, id: Snowflake) -> Option<Entry<'a>> {
        self.ascending(id).next().filter(|entry| entry.id() == id)
    }

    pub(super) fn last_message_id(&self) -> Option<Snowflake> {
        match self.changes.last_message_id {
            LastMessageId::Newest => self.newest_ever(),
            LastMessageId::Null => None,
            LastMessageId::Fixed(id) => Some(id),
        }
    }

    fn newest_ever(&self) -> Option<Snowflake> {
        let source = self.source.and_then(|source| Some(source.id(source.count().checked_sub(1)?)));
        source.max(self.changes.posted.keys().next_back().copied())
    }

    /// The ids of all visible messages, the lowest first.
    pub(super) fn ids(&self) -> Vec<u64> {
        self.ascending(Snowflake(0)).map(|entry| entry.id().0).collect()
    }

    /// All visible messages as DCE writes them, the lowest id first.
    pub(super) fn dce_messages(&self, guild: &str) -> io::Result<Vec<Vec<u8>>> {
        let read = |entry| {
            let mut message = Vec::new();
            self.read_dce(entry, guild, &mut message).map(|()| message)
        };
        self.ascending(Snowflake(0)).map(read).collect()
    }

    fn newest(&self, below: Option<Snowflake>, limit: usize) -> Vec<Entry<'a>> {
        self.listed(self.descending(below), limit, true)
    }

    /// The first `limit` entries, each millisecond in the order of the list.
    fn listed(
        &self,
        entries: impl Iterator<Item = Entry<'a>>,
        limit: usize,
        is_descending: bool,
    ) -> Vec<Entry<'a>> {
        let mut page: Vec<Entry<'a>> = Vec::new();
        for entry in entries {
            // A millisecond is whole before its order is known.
            let continues =
                page.last().is_some_and(|last| last.id().millisecond() == entry.id().millisecond());
            if page.len() >= limit && !continues {
                break;
            }
            page.push(entry);
        }
        page.sort_by_key(|entry| self.changes.place(entry.id()));
        if is_descending {
            page.reverse();
        }
        if self.changes.keeps_milliseconds_whole && page.len() > limit {
            let last = page[limit].id().millisecond();
            let whole = page.iter().position(|entry| entry.id().millisecond() == last).filter(|at| *at > 0);
            page.truncate(whole.unwrap_or(limit));
        }
        page.truncate(limit);
        page
    }

    fn ascending(&self, from: Snowflake) -> impl Iterator<Item = Entry<'a>> + use<'a> {
        let Self { source, changes } = *self;
        let numbers = source.map_or(0..0, |source| source.count_below(from)..source.count());
        let of_source = numbers.filter_map(move |number| Some(Entry::Source(source?.id(number), number)));
        let posted = changes.posted.range(from..).map(|(_, post)| Entry::Posted(post));
        let merged = Merged { source: of_source.peekable(), posted: posted.peekable(), is_descending: false };
        merged.filter(|entry| changes.is_visible(entry.id()))
    }

    /// From the newest message, or the newest one below an id.
    fn descending(&self, below: Option<Snowflake>) -> impl Iterator<Item = Entry<'a>> + use<'a> {
        let Self { source, changes } = *self;
        let count =
            |source: &ListedMessages| below.map_or_else(|| source.count(), |below| source.count_below(below));
        let numbers = source.map_or(0..0, |source| 0..count(source)).rev();
        let of_source = numbers.filter_map(move |number| Some(Entry::Source(source?.id(number), number)));
        let posted = changes.posted.iter().rev().map(|(_, post)| Entry::Posted(post));
        let posted = posted.skip_while(move |post| below.is_some_and(|below| post.id() >= below));
        let merged = Merged { source: of_source.peekable(), posted: posted.peekable(), is_descending: true };
        merged.filter(|entry| changes.is_visible(entry.id()))
    }

    /// Appends a message as DCE writes it.
    pub(super) fn read_dce(&self, entry: Entry<'_>, guild: &str, to: &mut Vec<u8>) -> io::Result<()> {
        match (entry, self.source) {
            (Entry::Source(_, number), Some(source)) => source.read(number, to),
            (Entry::Source(..), None) => Ok(()),
            (Entry::Posted(post), _) => {
                to.extend(post.dce_json(guild));
                Ok(())
            }
        }
    }
}

impl Entry<'_> {
    pub(super) fn id(&self) -> Snowflake {
        match self {
            Self::Source(id, _) => *id,
            Self::Posted(post) => post.id(),
        }
    }
}

/// Two sequences in one order; of two with the same id the post is the later state.
struct Merged<A: Iterator, B: Iterator> {
    source: Peekable<A>,
    posted: Peekable<B>,
    is_descending: bool,
}

impl<'a, A: Iterator<Item = Entry<'a>>, B: Iterator<Item = Entry<'a>>> Iterator for Merged<A, B> {
    type Item = Entry<'a>;

    fn next(&mut self) -> Option<Entry<'a>> {
        let (Some(source), Some(posted)) = (self.source.peek(), self.posted.peek()) else {
            return self.source.next().or_else(|| self.posted.next());
        };
        let order = source.id().cmp(&posted.id());
        let order = if self.is_descending { order.reverse() } else { order };
        if order.is_eq() {
            self.source.next();
        }
        if order.is_lt() { self.source.next() } else { self.posted.next() }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use dce_standin::scenario::Channel;
    use dce_standin::snowflake::Snowflake;
    use dce_standin::source::ListedMessages;

    use super::{Changes, History, Position, Post};

    /// An id by its millisecond and its number in it.
    fn id(ms: u64, number: u64) -> u64 {
        (ms << 22) + number
    }

    fn posted(ids: &[u64]) -> Changes {
        let mut changes = Changes::default();
        for id in ids {
            changes.post(Post::new(*id));
        }
        changes
    }

    fn page(changes: &Changes, position: Position, limit: usize) -> Vec<u64> {
        let history = History { source: None, changes };
        history.page(position, limit).iter().map(|entry| entry.id().0).collect()
    }

    #[test]
    fn pages_are_cut_by_the_number_of_the_id_and_list_the_newest_first() {
        // 18 and 19 digits: as text the last one is the lowest.
        let ids = [999_999_999_999_999_998, 999_999_999_999_999_999, 1_000_000_000_000_000_001];
        let changes = posted(&ids);
        let at = Snowflake;
        assert_eq!(page(&changes, Position::Newest, 100), [ids[2], ids[1], ids[0]]);
        assert_eq!(page(&changes, Position::Before(at(ids[2])), 1), [ids[1]]);
        assert_eq!(page(&changes, Position::Before(at(1_000_000_000_000_000_000)), 100), [ids[1], ids[0]]);
        assert_eq!(page(&changes, Position::After(at(ids[0])), 1), [ids[1]]);
        assert_eq!(page(&changes, Position::After(at(0)), 2), [ids[1], ids[0]]);
        assert_eq!(page(&changes, Position::After(at(u64::MAX)), 2), [0; 0]);
        assert_eq!(page(&changes, Position::Around(at(ids[1])), 1), [ids[1]]);
        assert_eq!(page(&changes, Position::Around(at(ids[1])), 3), [ids[2], ids[1], ids[0]]);
    }

    #[test]
    fn around_a_deleted_message_is_its_older_neighbour() {
        let mut changes = posted(&[id(1, 0), id(2, 0), id(3, 0)]);
        changes.delete(Snowflake(id(2, 0)));
        assert_eq!(page(&changes, Position::Around(Snowflake(id(2, 0))), 1), [id(1, 0)]);
    }

    #[test]
    fn one_millisecond_is_listed_in_the_given_order_and_cut_by_id() {
        let (a, b) = (id(2, 0), id(2, 1));
        let mut changes = posted(&[id(1, 0), a, b, id(3, 0)]);
        changes.list_in_order(&[b, a]);
        assert_eq!(page(&changes, Position::Newest, 100), [id(3, 0), a, b, id(1, 0)]);
        // A page that ends between them ends with b; the next one begins after b's id and lacks a.
        assert_eq!(page(&changes, Position::After(Snowflake(0)), 2), [b, id(1, 0)]);
        assert_eq!(page(&changes, Position::After(Snowflake(b)), 2), [id(3, 0)]);
        assert_eq!(page(&changes, Position::Before(Snowflake(id(3, 0))), 1), [a]);
        changes.keeps_milliseconds_whole = true;
        assert_eq!(page(&changes, Position::After(Snowflake(0)), 2), [id(1, 0)]);
        assert_eq!(page(&changes, Position::After(Snowflake(id(1, 0))), 2), [a, b]);
    }

    #[test]
    fn posts_replace_messages_of_the_source_and_deleted_ones_are_gone() {
        let source = Channel::generated(1_000_000, 3).source;
        let source = ListedMessages::open("7", &source, Path::new("/")).unwrap().unwrap();
        let last = source.id(999_999);
        let mut changes = Changes::default();
        changes.post(Post::new(source.id(999_998).0));
        changes.post(Post::new(last.0 + 1));
        changes.delete(source.id(999_997));
        let history = History { source: Some(&source), changes: &changes };
        let page = history.page(Position::Newest, 4);
        let ids: Vec<_> = page.iter().map(|entry| entry.id().0).collect();
        let expected = [last.0 + 1, last.0, source.id(999_998).0, source.id(999_996).0];
        assert_eq!(ids, expected);
        assert!(matches!(page[2], super::Entry::Posted(_)));
        assert_eq!(history.last_message_id(), Some(Snowflake(last.0 + 1)));
        changes.delete(Snowflake(last.0 + 1));
        let history = History { source: Some(&source), changes: &changes };
        assert_eq!(history.last_message_id(), Some(Snowflake(last.0 + 1)), "not updated by a deletion");
    }
}
