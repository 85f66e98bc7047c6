//! Messages larger than the limit: emitted without the users of their reactions if they fit then, otherwise refused.

use dce_ingest::document::frame::FrameError;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::model::{self, Document, Json, Text, chunks, json, layout, text};
use crate::reading::{Reading, read, read_limited};

type Message = Vec<(Text, Json)>;

/// The message without the users of its reactions, and the number of those users.
fn without_users(message: &Message) -> (Message, u64) {
    let mut dropped_users = 0;
    let mut message = message.clone();
    for reactions in arrays_of(&mut message, "reactions") {
        for reaction in reactions {
            let Json::Object(reaction) = reaction else { continue };
            for users in arrays_of(reaction, "users") {
                dropped_users += users.len() as u64;
                users.clear();
            }
        }
    }
    (message, dropped_users)
}

fn arrays_of<'a>(entries: &'a mut [(Text, Json)], key: &str) -> impl Iterator<Item = &'a mut Vec<Json>> {
    entries.iter_mut().filter(move |(name, _)| name.repaired() == key).filter_map(|(_, value)| match value {
        Json::Array(items) => Some(items),
        _ => None,
    })
}

fn key(name: &'static str) -> impl Strategy<Value = Text> {
    prop_oneof![4 => Just(Text::plain(name)), 1 => Just(Text::escaped(name))]
}

fn user() -> impl Strategy<Value = Json> {
    prop_oneof![
        4 => (text(), text()).prop_map(|(id, name)| {
            Json::Object(vec![(Text::plain("id"), Json::Text(id)), (Text::plain("users"), Json::Array(vec![Json::Text(name)]))])
        }),
        1 => json(),
    ]
}

/// Usually a list of these elements. Some lists have other elements, and some values are not lists.
fn list(element: impl Strategy<Value = Json> + 'static, longest: usize) -> impl Strategy<Value = Json> {
    let element = element.boxed();
    let list = prop::collection::vec(prop_oneof![8 => element.clone(), 1 => json().boxed()], 0..longest);
    let keyed = prop::collection::vec((text(), element), 0..3);
    prop_oneof![9 => list.prop_map(Json::Array), 1 => keyed.prop_map(Json::Object), 1 => json()]
}

fn reaction() -> impl Strategy<Value = Json> {
    (key("users"), list(user(), 12), text(), json(), any::<bool>()).prop_map(
        |(key, users, other, value, first)| {
            let (users, other) = ((key, users), (other, value));
            Json::Object(if first { vec![users, other] } else { vec![other, users] })
        },
    )
}

fn message() -> impl Strategy<Value = Message> {
    let reactions = || (key("reactions"), list(reaction(), 4));
    let other = || prop::collection::vec((text(), json()), 0..3);
    // Outside the message's own reactions, `users` must stay.
    let nested = (key("embeds"), reactions())
        .prop_map(|(key, reactions)| (key, Json::Array(vec![Json::Object(vec![reactions])])));
    (other(), reactions(), prop::option::of(nested), other(), prop::option::of(reactions())).prop_map(
        |(mut entries, reactions, nested, others, again)| {
            entries.push(reactions);
            entries.extend(nested);
            entries.extend(others);
            entries.extend(again);
            entries
        },
    )
}

/// A document of 1 to `max_messages` messages.
fn document(max_messages: usize) -> impl Strategy<Value = Document> {
    (prop::collection::vec(message(), 1..=max_messages), layout()).prop_map(|(messages, layout)| Document {
        topic: Text::plain(""),
        messages,
        count_first: None,
        extra: Json::Scalar("null"),
        layout,
        byte_order_mark: false,
    })
}

/// The header of these documents fits into this limit, and many of their messages do not.
const MIN_LIMIT: usize = 200;

/// A limit close to the size of one of the messages, with or without its users.
fn limit_near(sizes: &[usize], choice: Index, distance: usize) -> usize {
    (choice.get(sizes) + distance).saturating_sub(2).max(MIN_LIMIT)
}

/// The part of a reading that depends on the limit.
#[derive(Debug, Default, PartialEq)]
struct Outcome {
    messages: Vec<String>,
    repairs: Vec<u32>,
    dropped_users: Vec<u64>,
    error: Option<FrameError>,
}

impl Outcome {
    /// The outcome that the framer must have. `whole` and `short`: readings without a limit of the document with and without
    /// users.
    fn expected(document: &Document, whole: &Reading, short: &Reading, limit: usize) -> Self {
        let mut expected = Self::default();
        for (index, message) in document.messages.iter().enumerate() {
            let (json, dropped_users) = if whole.messages[index].len() <= limit {
                (&whole.messages[index], 0)
            } else if short.messages[index].len() <= limit {
                (&short.messages[index], without_users(message).1)
            } else {
                expected.error = Some(FrameError::MessageTooLarge { index: index as u64, limit });
                break;
            };
            expected.messages.push(json.clone());
            expected.repairs.push(model::repairs(message));
            expected.dropped_users.push(dropped_users);
        }
        expected
    }
}

impl From<Reading> for Outcome {
    fn from(reading: Reading) -> Self {
        let Reading { messages, repairs, dropped_users, error, .. } = reading;
        Self { messages, repairs, dropped_users, error }
    }
}

/// The written document, its reading, and the reading of the same document without users.
fn readings(document: &Document) -> (Vec<u8>, Reading, Reading) {
    let messages = document.messages.iter().map(|message| without_users(message).0).collect();
    let short = Document { messages, ..document.clone() };
    let bytes = document.write().bytes;
    let whole = read([bytes.as_slice()]);
    (bytes, whole, read([short.write().bytes.as_slice()]))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn users_are_dropped_if_and_only_if_the_message_is_too_large_with_them(
        document in document(3),
        choice in any::<Index>(),
        distance in 0..5_usize,
        cuts in prop::collection::vec(any::<Index>(), 0..20),
    ) {
        let (bytes, whole, short) = readings(&document);
        prop_assert_eq!(whole.error, None);
        let sizes: Vec<usize> = whole.messages.iter().chain(&short.messages).map(String::len).collect();
        let limit = limit_near(&sizes, choice, distance);
        let expected = Outcome::expected(&document, &whole, &short, limit);
        prop_assert_eq!(Outcome::from(read_limited(limit, chunks(&bytes, &cuts))), expected);
    }
}

// These cases try every position of a document, so there are fewer and smaller documents.
proptest! {
    #![proptest_config(ProptestConfig::with_cases(25))]

    #[test]
    fn an_oversized_message_is_read_the_same_wherever_its_bytes_are_split(document in document(1), choice in any::<Index>()) {
        let (bytes, whole, short) = readings(&document);
        let sizes: Vec<usize> = short.messages.iter().map(String::len).collect();
        let limit = limit_near(&sizes, choice, 2);
        let expected = Outcome::expected(&document, &whole, &short, limit);
        prop_assert_eq!(&Outcome::from(read_limited(limit, bytes.chunks(1))), &expected);
        for len in 0..bytes.len() {
            let (before, after) = bytes.split_at(len);
            prop_assert_eq!(&Outcome::from(read_limited(limit, [before, after])), &expected, "split at {}", len);
        }
    }
}

#[test]
fn an_oversized_message_keeps_everything_except_its_users() {
    let user = r#"{"id":"800000000000000001","name":"user \"]}\" name"}"#;
    let message = |users: &str| {
        format!(
            r#"{{"id":"1","content":"c","mentions":[{user}],"reactions":[{{"count":9,"emoji":{{}},"users":[{users}]}}]}}"#
        )
    };
    let oversized = message(&[user; 9].join(" , "));
    let document =
        format!(r#"{{"channel":{{"id":"1"}},"messages":[{{"id":"0"}},{oversized},{{"id":"2"}}]}}"#);
    let reading = read_limited(200, [document.as_bytes()]);
    assert_eq!(reading.messages, [r#"{"id":"0"}"#, &message(""), r#"{"id":"2"}"#]);
    assert_eq!((reading.dropped_users, reading.error), (vec![0, 9, 0], None));
}
