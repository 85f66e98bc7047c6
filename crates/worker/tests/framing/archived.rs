//! What is known to be archived is read over: nothing else may change by that, whatever the document.

use std::cell::RefCell;

use chrono::{DateTime, Utc};
use dce_core::export::warnings::Counters;
use dce_core::ids::Snowflake;
use dce_worker::ingest::frame::{DocumentEnd, Frame, FrameError, Framer, MAX_MESSAGE_BYTES};
use dce_worker::ingest::message::Message;
use dce_worker::ingest::notice::notice;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use crate::model::{Document, Json, Text, chunks, document, json, text};
use crate::recordings::recording;
use crate::{damage_bytes, one_damage};

/// Everything that is asked of a message.
#[derive(Debug, PartialEq)]
struct Asked {
    /// `None`: it cannot be read.
    message: Option<(Snowflake, DateTime<Utc>, Counters)>,
    repairs: u32,
    source_bytes: u64,
}

#[derive(Debug)]
struct Reading {
    /// Each with its JSON, unless it was read over.
    messages: Vec<(Asked, Option<String>)>,
    error: Option<FrameError>,
    finish: DocumentEnd,
}

impl Reading {
    fn of<'a>(
        chunks: impl IntoIterator<Item = &'a [u8]>,
        mut is_archived: impl FnMut(Snowflake) -> bool,
    ) -> Self {
        let mut framer = Framer::new(MAX_MESSAGE_BYTES);
        let (mut messages, mut error) = (Vec::new(), None);
        let known = RefCell::new(Vec::new());
        for chunk in chunks {
            let pushed = framer.push_beside(
                chunk,
                &mut |id| {
                    let is_archived = is_archived(id);
                    known.borrow_mut().extend(is_archived.then_some(id));
                    is_archived
                },
                &mut |frame| {
                    messages.extend(match frame {
                        Frame::Header(_) | Frame::End { .. } => None,
                        Frame::Message { json, repairs, left_out, source_bytes, archived, .. } => {
                            assert!(archived.is_none_or(|id| known.borrow().contains(&id)), "{archived:?}");
                            let message = Message::parse(json).ok();
                            let message = message
                                .map(|message| (message.id, message.timestamp, notice(&message, left_out)));
                            Some((Asked { message, repairs, source_bytes }, Some(json.to_owned())))
                        }
                        Frame::Archived { id, timestamp, source_bytes } => {
                            let message = Some((id, timestamp, Counters::default()));
                            Some((Asked { message, repairs: 0, source_bytes }, None))
                        }
                    });
                    Ok(())
                },
            );
            if let Err(fault) = pushed {
                assert_eq!(error.replace(fault), None, "an error is given once");
            }
        }
        assert_eq!(framer.messages(), messages.len() as u64);
        Self { messages, error, finish: framer.finish() }
    }

    fn read_over(&self) -> usize {
        self.messages.iter().filter(|(_, json)| json.is_none()).count()
    }
}

/// Reads all of it, and then without what is archived. Returns the second reading.
fn compare(bytes: &[u8], cuts: &[Index], is_archived: impl Fn(Snowflake) -> bool) -> Reading {
    let whole = Reading::of([bytes], |_| false);
    let reading = Reading::of(chunks(bytes, cuts), &is_archived);
    assert_eq!((&reading.error, reading.finish), (&whole.error, whole.finish));
    assert_eq!(reading.messages.len(), whole.messages.len());
    for ((asked, json), (expected, whole)) in reading.messages.iter().zip(&whole.messages) {
        assert_eq!(asked, expected);
        assert!(json.is_none() || json == whole);
        let id = asked.message.as_ref().map(|(id, ..)| *id);
        assert!(json.is_some() || id.is_some_and(&is_archived), "{id:?} is not archived");
    }
    reading
}

fn plain(text: &'static str) -> Json {
    Json::Text(Text::plain(text))
}

fn member(key: &'static str, usual: Json, others: BoxedStrategy<Json>) -> BoxedStrategy<(Text, Json)> {
    let key = prop_oneof![40 => Just(Text::plain(key)), 1 => Just(Text::escaped(key)), 1 => text()];
    (key, prop_oneof![12 => Just(usual), 2 => others, 1 => json()]).boxed()
}

fn member_of(key: &'static str, usual: BoxedStrategy<Json>) -> BoxedStrategy<(Text, Json)> {
    (Just(Text::plain(key)), prop_oneof![12 => usual, 1 => json()]).boxed()
}

fn object(members: Vec<BoxedStrategy<(Text, Json)>>) -> BoxedStrategy<Json> {
    members.prop_map(Json::Object).boxed()
}

fn array(element: BoxedStrategy<Json>) -> BoxedStrategy<Json> {
    prop::collection::vec(element, 0..3).prop_map(Json::Array).boxed()
}

fn texts() -> BoxedStrategy<Json> {
    text().prop_map(Json::Text).boxed()
}

/// Nearly what DCE writes.
fn message() -> impl Strategy<Value = Vec<(Text, Json)>> {
    let ids = || select(vec!["1", "2", "3", "007", "x", ""]).prop_map(plain).boxed();
    let times =
        select(vec!["2024-07-03T18:46:40.1234567+09:00", "2024-02-30T09:46:40Z", ""]).prop_map(plain).boxed();
    let flags = select(vec!["true", "false", "null"]).prop_map(Json::Scalar).boxed();
    let counts = select(vec!["0", "1", "2", "3", "-1", "1.0"]).prop_map(Json::Scalar).boxed();
    let author = object(vec![
        member("id", plain("8"), texts()),
        member("name", plain("ann"), texts()),
        member("isBot", Json::Scalar("false"), flags),
    ]);
    let reaction =
        object(vec![member("count", Json::Scalar("1"), counts), member_of("users", array(json().boxed()))]);
    let members = vec![
        member("id", plain("1257995925154955791"), ids()),
        member("type", plain("Default"), texts()),
        member("timestamp", plain("2024-07-03T09:46:40.991+00:00"), times),
        member("content", plain("\u{fc}ber"), texts()),
        member_of("author", author),
        member("attachments", Json::Array(vec![]), array(json().boxed())),
        member_of("reactions", prop_oneof![2 => Just(Json::Array(vec![])), 1 => array(reaction)].boxed()),
    ];
    (members, prop::collection::vec((any::<Index>(), any::<Index>()), 0..2), any::<u8>()).prop_map(
        |(mut members, moves, twice)| {
            for (from, to) in moves {
                let moved = members.remove(from.index(members.len()));
                members.insert(to.index(members.len() + 1), moved);
            }
            if let Some(again) = members.get(usize::from(twice)).cloned() {
                members.push(again);
            }
            members
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn what_is_archived_changes_nothing_but_the_work(
        document in document(),
        messages in prop::collection::vec(message(), 1..5),
        damage in prop::collection::vec(one_damage(), 0..3),
        cuts in prop::collection::vec(any::<Index>(), 0..3),
        archived in any::<u8>(),
    ) {
        let mut bytes = Document { messages, ..document }.write().bytes;
        damage_bytes(&mut bytes, damage);
        compare(&bytes, &cuts, |id| archived < 200 || id.get() % 2 == 0);
    }
}

#[test]
fn what_dce_writes_is_read_over_if_there_is_nothing_to_be_noticed() {
    for (case, read_over) in [("small", 10), ("reactions", 44), ("weird", 4)] {
        let bytes = recording(case, "part.json");
        let reading = compare(&bytes, &[], |_| true);
        let unremarkable = |(asked, json): &(Asked, Option<String>)| {
            let is_blank = json.as_ref().is_some_and(|json| json.contains(r#""content":"","#));
            asked.repairs == 0
                && !is_blank
                && asked.message.as_ref().is_some_and(|(.., noticed)| *noticed == Counters::default())
        };
        assert_eq!(
            reading.messages.iter().filter(|message| unremarkable(message)).count(),
            reading.read_over(),
            "{case}"
        );
        assert_eq!(reading.read_over(), read_over, "{case}");
        assert_eq!(compare(&bytes, &[], |_| false).read_over(), 0, "{case}");
    }
}

#[test]
fn a_message_is_read_over_whatever_escapes_and_reactions_it_has() {
    let message = |content: &str, reactions: &str| {
        format!(
            r#"{{"channel":{{"id":"1"}},"messages":[{{"id":"5","timestamp":"2024-07-03T09:46:40Z","content":"{content}","author":{{"id":"8","name":"a\"b"}},"reactions":[{reactions}]}}]}}"#
        )
    };
    for (content, reactions, read_over) in [
        ("a", "", 1),
        (r#"\n\\\"\/\ud83d\uDE00\u00e9"#, "", 1),
        ("a", r#"{"emoji":{"users":[1]},"count":2,"users":[{"id":"[]"},{}]}"#, 1),
        ("a", r#"{"count":1,"users":[{},{}]},{"users":[],"count":0}"#, 1),
        // Blank, to be repaired, or with users missing: noticed.
        ("", "", 0),
        (r"\u0000", "", 0),
        (r"\ud83d", "", 0),
        (r"\ud83d\ud83d", "", 0),
        (r"\udc00", "", 0),
        ("a", r#"{"count":2,"users":[{}]}"#, 0),
    ] {
        let document = message(content, reactions);
        assert_eq!(compare(document.as_bytes(), &[], |_| true).read_over(), read_over, "{document}");
    }
}
