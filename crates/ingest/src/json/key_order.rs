//! Records the members of a message's objects and puts them into `jsonb`'s order.
//!
//! `jsonb` orders the members of an object by the length of their keys, then by their bytes, and sorts every object that
//! comes in another order. For a message from DCE that is a tenth of Postgres's work (measured: ADR 6). The copier has the
//! keys at hand. The stored `jsonb` is the same either way.

use std::cmp::Ordering;

use super::append::append;

/// Largest object that is put in order, in bytes.
const LARGEST: usize = 64 << 10;
/// Capacity kept from one message to the next, in members.
const KEPT_CAPACITY: usize = 1024;

/// `jsonb`'s order of two keys: by length, then by bytes.
pub(crate) fn jsonb_order<K: AsRef<[u8]>>(one: K, other: K) -> Ordering {
    let (one, other) = (one.as_ref(), other.as_ref());
    one.len().cmp(&other.len()).then_with(|| one.cmp(other))
}

/// A member in the copy of a message: `"key":value`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    /// Length and first bytes of the key as one number, which orders most keys without looking at the copy.
    rank: u64,
    start: usize,
    key_end: usize,
    end: usize,
}

impl Member {
    /// The key in its quotes.
    fn key(self, copy: &[u8]) -> &[u8] {
        &copy[self.start..self.key_end]
    }

    /// `jsonb`'s order.
    fn order(&self, other: &Self, copy: &[u8]) -> Ordering {
        self.rank.cmp(&other.rank).then_with(|| jsonb_order(self.key(copy), other.key(copy)))
    }
}

/// The members of the message being copied and of its open objects.
#[derive(Debug, Default)]
pub(crate) struct Objects {
    members: Vec<Member>,
    /// Index of the first member of each open object, without the message's own.
    open: Vec<usize>,
    /// A key has an escape or is not ASCII. It may equal another key that is written differently, and of equal keys the last
    /// one counts, so nothing is put in order.
    has_odd_key: bool,
    /// Scratch space: members in their new order, before they are written back into the copy.
    ordered: Vec<u8>,
}

impl Objects {
    /// Starts over inside the object of another message.
    pub(crate) fn restart(&mut self) {
        self.open.clear();
        self.has_odd_key = false;
        self.members.clear();
        self.members.shrink_to(KEPT_CAPACITY);
    }

    /// Enters an object.
    pub(crate) fn open(&mut self) {
        self.open.push(self.members.len());
    }

    /// Records a key of the innermost object. `start`: where its opening quote is in the copy. `key` has no quotes.
    pub(crate) fn key(&mut self, key: &[u8], start: usize) {
        self.has_odd_key |= key.contains(&b'\\');
        self.plain_key(key, start);
    }

    /// [`Self::key`] for a key without escapes.
    #[inline]
    pub(crate) fn plain_key(&mut self, key: &[u8], start: usize) {
        self.has_odd_key |= !key.is_ascii();
        let key_end = start + key.len() + 2;
        self.members.push(Member { rank: rank(key), start, key_end, end: key_end });
    }

    /// Leaves the innermost object, whose closing bracket ends the copy, and puts its members in order.
    pub(crate) fn close(&mut self, copy: &mut [u8]) {
        let first = self.open.pop();
        let members = &mut self.members[first.unwrap_or(0)..];
        let mut end = copy.len() - 1;
        for member in members.iter_mut().rev() {
            member.end = end;
            end = member.start - 1; // a comma; or the opening bracket
        }
        if !self.has_odd_key {
            put_in_order(members, copy, &mut self.ordered);
        }
        if let Some(first) = first {
            self.members.truncate(first);
        }
    }

    /// The message's own members, once it is closed.
    pub(crate) fn of_message(&self) -> &[Member] {
        &self.members
    }

    /// Whether all objects are in order, except for very large ones.
    pub(crate) const fn are_in_order(&self) -> bool {
        !self.has_odd_key
    }
}

fn put_in_order(members: &mut [Member], copy: &mut [u8], ordered: &mut Vec<u8>) {
    let (Some(first), Some(last)) = (members.first(), members.last()) else { return };
    let (start, end) = (first.start, last.end);
    if end - start > LARGEST || members.is_sorted_by(|one, other| one.order(other, copy).is_le()) {
        return;
    }
    members.sort_by(|one, other| one.order(other, copy)); // stable: of equal keys the last one stays the last
    ordered.clear();
    for member in members {
        if !ordered.is_empty() {
            ordered.push(b',');
        }
        let new_start = start + ordered.len();
        append(ordered, &copy[member.start..], member.end - member.start);
        let key_end = new_start + member.key_end - member.start;
        *member = Member { start: new_start, key_end, end: start + ordered.len(), ..*member };
    }
    copy[start..end].copy_from_slice(ordered);
}

/// One byte for the length, then the first seven bytes of the key, most significant first.
#[inline]
fn rank(key: &[u8]) -> u64 {
    let length = u8::try_from(key.len()).unwrap_or(u8::MAX);
    let mut rank = [length, 0, 0, 0, 0, 0, 0, 0];
    if let Some(first) = key.first_chunk::<7>() {
        rank[1..].copy_from_slice(first);
    } else {
        rank[1..=key.len()].copy_from_slice(key);
    }
    u64::from_be_bytes(rank)
}

/// The members of a message, in the order of its JSON.
#[derive(Debug, Clone, Copy)]
pub struct Members<'a> {
    json: &'a str,
    positions: &'a [Member],
    in_order: bool,
}

impl<'a> Members<'a> {
    /// `positions`: where the members are in `json`. `in_order`: all objects are in order, except for very large ones.
    pub const fn new(json: &'a str, positions: &'a [Member], in_order: bool) -> Self {
        Self { json, positions, in_order }
    }

    /// Whether all objects are in order, except for very large ones.
    pub const fn are_in_order(self) -> bool {
        self.in_order
    }

    /// Whether the members of `object`, a part of the message, are in order.
    pub(crate) const fn are_in_order_of(self, object: &str) -> bool {
        self.in_order && object.len() <= LARGEST
    }

    /// Where the members are in the message's JSON.
    pub const fn positions(self) -> &'a [Member] {
        self.positions
    }

    /// Each member's key, with quotes and escapes, and its value.
    pub fn iter(self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.positions.iter().map(move |member| {
            // A colon follows the key. All of these positions lie between ASCII characters.
            (&self.json[member.start..member.key_end], &self.json[member.key_end + 1..member.end])
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copied(keys: &[&str]) -> (Objects, Vec<u8>) {
        let (mut objects, mut copy) = (Objects::default(), b"{".to_vec());
        for (number, key) in keys.iter().enumerate() {
            if number > 0 {
                copy.push(b',');
            }
            objects.key(key.as_bytes(), copy.len());
            copy.extend_from_slice(format!("{key:?}:{number}").as_bytes());
        }
        copy.push(b'}');
        objects.close(&mut copy);
        (objects, copy)
    }

    #[test]
    fn keys_are_ordered_by_length_then_by_bytes() {
        let (objects, copy) =
            copied(&["isPinned", "id", "type", "name", "Name", "isPinnee", "isPinned0", "", "i"]);
        let json = str::from_utf8(&copy).unwrap();
        let expected = ["", "i", "id", "Name", "name", "type", "isPinned", "isPinnee", "isPinned0"];
        let members: Vec<_> =
            Members::new(json, objects.of_message(), objects.are_in_order()).iter().collect();
        assert_eq!(members.iter().map(|(key, _)| key.trim_matches('"')).collect::<Vec<_>>(), expected);
        assert_eq!(members.iter().map(|(_, value)| *value).collect::<String>(), "781432056");
        assert_eq!(
            json,
            format!(
                "{{{}}}",
                members.iter().map(|(key, value)| format!("{key}:{value}")).collect::<Vec<_>>().join(",")
            )
        );
    }

    #[test]
    fn very_long_keys_are_ordered_too() {
        let [long, longer] = ["a".repeat(300), "a".repeat(301)];
        let (_, copy) = copied(&[&longer, &long, "b"]);
        assert_eq!(str::from_utf8(&copy).unwrap(), format!(r#"{{"b":2,"{long}":1,"{longer}":0}}"#));
    }

    #[test]
    fn the_last_of_equal_keys_stays_the_last() {
        let (_, copy) = copied(&["b", "a", "b", "a", "a"]);
        assert_eq!(str::from_utf8(&copy).unwrap(), r#"{"a":1,"a":3,"a":4,"b":0,"b":2}"#);
    }

    #[test]
    fn objects_with_keys_that_can_be_written_differently_keep_their_order() {
        for odd in ["\\u0061", "\u{fc}"] {
            let (mut objects, mut copy) =
                (Objects::default(), format!(r#"{{"{odd}":1,"a":2}}"#).into_bytes());
            objects.key(odd.as_bytes(), 1);
            objects.key(b"a", odd.len() + 6);
            let before = copy.clone();
            objects.close(&mut copy);
            assert_eq!(copy, before);
        }
    }
}
