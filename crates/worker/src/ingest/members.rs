//! Where the members of a message's objects are, and putting them into `jsonb`'s order.
//!
//! `jsonb` keeps the members of an object by the length of their keys, then by their bytes, and sorts every object that comes
//! in another order: a tenth of what Postgres has to do for a message of DCE's (measured: ADR 6). Here the keys are at hand
//! anyway. What `jsonb` makes of the message stays the same.

use std::cmp::Ordering;

use super::append::append;

/// Larger objects stay as they are.
const LARGEST: usize = 64 << 10;
/// Room kept from one message to the next, in members.
const KEPT: usize = 1024;

/// How `jsonb` orders two keys: by length, then by bytes.
pub(super) fn jsonb_order<K: AsRef<[u8]>>(one: K, other: K) -> Ordering {
    let (one, other) = (one.as_ref(), other.as_ref());
    one.len().cmp(&other.len()).then_with(|| one.cmp(other))
}

/// A member in the copy of a message: `"key":value`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Member {
    /// The length of its key and its first bytes: in the order of numbers as keys are, as far as they tell keys apart.
    rank: u64,
    start: usize,
    key_end: usize,
    end: usize,
}

impl Member {
    /// With its quotes.
    fn key(self, copy: &[u8]) -> &[u8] {
        &copy[self.start..self.key_end]
    }

    /// The order of `jsonb`.
    fn order(&self, other: &Self, copy: &[u8]) -> Ordering {
        self.rank.cmp(&other.rank).then_with(|| jsonb_order(self.key(copy), other.key(copy)))
    }
}

/// The members of the message being copied and of its open objects.
#[derive(Debug, Default)]
pub(super) struct Objects {
    members: Vec<Member>,
    /// Where the members of each open object begin, but for the message's own.
    open: Vec<usize>,
    /// A key has an escape or is not ASCII: it may be equal to another without being so here, and then the last one counts.
    /// Nothing is put in order.
    has_odd_key: bool,
    /// Members in their order, on their way back into the copy.
    ordered: Vec<u8>,
}

impl Objects {
    /// Another copy begins, inside of an object.
    pub(super) fn restart(&mut self) {
        self.open.clear();
        self.has_odd_key = false;
        self.members.clear();
        self.members.shrink_to(KEPT);
    }

    /// An object begins.
    pub(super) fn open(&mut self) {
        self.open.push(self.members.len());
    }

    /// A key of the innermost object was copied to here, in quotes that are not part of `key`.
    pub(super) fn key(&mut self, key: &[u8], start: usize) {
        self.has_odd_key |= key.contains(&b'\\');
        self.plain_key(key, start);
    }

    /// The same of one without escapes.
    #[inline]
    pub(super) fn plain_key(&mut self, key: &[u8], start: usize) {
        self.has_odd_key |= !key.is_ascii();
        let key_end = start + key.len() + 2;
        self.members.push(Member { rank: rank(key), start, key_end, end: key_end });
    }

    /// The innermost object was copied; its closing bracket ends the copy.
    pub(super) fn close(&mut self, copy: &mut [u8]) {
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

    /// Those of the message itself, once it is closed.
    pub(super) fn of_message(&self) -> &[Member] {
        &self.members
    }

    /// Whether objects were put in order, but for very large ones.
    pub(super) const fn are_in_order(&self) -> bool {
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

/// One byte for the length, seven of the key itself, the first one on top.
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
    places: &'a [Member],
    in_order: bool,
}

impl<'a> Members<'a> {
    /// `places`: where they are in `json`. `in_order`: objects were put in order, but for very large ones.
    pub(super) const fn new(json: &'a str, places: &'a [Member], in_order: bool) -> Self {
        Self { json, places, in_order }
    }

    /// Whether objects were put in order, but for very large ones.
    pub(super) const fn are_in_order(self) -> bool {
        self.in_order
    }

    /// Whether the members of this object, which is a part of the message, are in order.
    pub(super) const fn are_in_order_of(self, object: &str) -> bool {
        self.in_order && object.len() <= LARGEST
    }

    /// Where they are.
    pub(super) const fn places(self) -> &'a [Member] {
        self.places
    }

    /// Key, in its quotes and with its escapes, and value of each.
    pub fn iter(self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.places.iter().map(move |member| {
            // Behind the key comes a colon. All of these places lie between ASCII characters.
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
    fn shorter_keys_come_first_and_equally_long_ones_by_their_bytes() {
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
    fn of_equal_keys_the_last_one_stays_the_last() {
        let (_, copy) = copied(&["b", "a", "b", "a", "a"]);
        assert_eq!(str::from_utf8(&copy).unwrap(), r#"{"a":1,"a":3,"a":4,"b":0,"b":2}"#);
    }

    #[test]
    fn keys_that_may_be_equal_without_looking_so_stay_where_they_are() {
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
