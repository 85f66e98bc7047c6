//! Threads that were begun from a message: DCE 2.48 writes that message first, DCE 2.47 a placeholder in its place.

use std::collections::{BTreeMap, BTreeSet};

use dce_core::ids::Snowflake;
use dce_standin::scenario::{Attempt, Channel, DceVersion, Ending, Scenario};
use dce_testkit::service::Service;
use serde_json::{Value, json};

use crate::archive::stored;
use crate::document::Document;

const PARENT: &str = "1000";
/// The id of the thread and of the message from which it was begun.
const THREAD: u64 = 299_692_000_000 << 22;
/// Messages of the thread without placeholder and starter.
const REPLIES: usize = 8;

/// A parent and a thread that was begun from one of its messages.
struct Thread {
    parent: Document,
    /// The placeholder, then the replies.
    own: Document,
}

impl Thread {
    fn new() -> Self {
        let generated = Document::generated(REPLIES as u64 + 1);
        let id = |second: u64| THREAD + ((second * 1000) << 22);
        let ids: Vec<_> = (1..=REPLIES as u64 + 1).map(|number| id(number * 10)).collect();
        let mut own = generated.in_channel(&THREAD.to_string()).renumbered(&ids);
        own.make_placeholder(0, PARENT, THREAD);
        Self { parent: generated.in_channel(PARENT).renumbered(&[THREAD]), own }
    }

    fn scenario(&self, version: DceVersion, thread: Channel) -> Scenario {
        Scenario::new()
            .version(version)
            .channel(PARENT, self.parent.channel())
            .channel(THREAD.to_string(), thread)
    }

    /// A time between the starter and the placeholder.
    fn start_at() -> String {
        (Snowflake::new(THREAD).time() + chrono::TimeDelta::seconds(5)).to_rfc3339()
    }

    /// Starter and replies, as DCE 2.48 writes them.
    fn with_starter(&self) -> BTreeMap<String, Value> {
        let mut messages = self.own.messages();
        messages.remove(&self.own.id(0));
        messages.extend(self.parent.messages());
        messages
    }
}

async fn export(service: &Service, options: &Value) -> Value {
    let mut body = json!({ "channel_id": THREAD.to_string() });
    for (name, value) in options.as_object().unwrap() {
        body[name] = value.clone();
    }
    service.ended(&service.export(&body).await).await
}

fn assert_counts(export: &Value, messages: usize, inserted: usize) {
    assert_eq!((&export["status"], &export["error"]), (&"completed".into(), &Value::Null), "{export}");
    let counts = ["message_count", "inserted_count", "updated_count"].map(|name| export[name].clone());
    assert_eq!(counts, [messages, inserted, 0].map(Value::from), "{export}");
}

async fn missing(service: &Service) -> BTreeSet<String> {
    let ids: Vec<String> =
        sqlx::query_scalar("SELECT message_id FROM messages WHERE missing_since IS NOT NULL")
            .fetch_all(&service.pool())
            .await
            .unwrap();
    ids.into_iter().collect()
}

#[tokio::test]
async fn a_starter_from_below_the_window_counts_once_and_does_not_move_the_first_message() {
    let thread = Thread::new();
    let first = thread.own.id(1);
    let last = thread.own.id(REPLIES);
    // After the starter alone; after the starter and one reply; further on.
    for drops in [&[][..], &[1], &[1, 1, 2], &[2], &[1, 3, 2]] {
        let channel = drops.iter().fold(thread.own.channel(), |channel, after| {
            channel.attempt(Attempt::ends_after(*after, Ending::Dropped))
        });
        let service = Service::start(&thread.scenario(DceVersion::V2_48, channel)).await;
        let window = json!({ "start_at": Thread::start_at() });
        let export = export(&service, &window).await;
        assert_counts(&export, REPLIES + 1, REPLIES + 1);
        let run = &export["runs"][0];
        assert_eq!(run["attempt"], drops.len() + 1, "{run}");
        assert_eq!(
            (&run["first_message_id"], &run["last_message_id"]),
            (&json!(first), &json!(last)),
            "{drops:?}"
        );
        assert_eq!(stored(&service.pool(), &THREAD.to_string()).await, thread.with_starter(), "{drops:?}");

        let again = self::export(&service, &window).await;
        assert_counts(&again, REPLIES + 1, 0);
    }
}

#[tokio::test]
async fn placeholder_and_starter_are_not_missing_while_the_other_is_read() {
    let thread = Thread::new();
    let mut left = Thread { parent: thread.parent.clone(), own: thread.own.clone() };
    let gone = left.own.remove(3);
    let placeholder = thread.own.id(0);
    let service = Service::start(&thread.scenario(DceVersion::V2_47, thread.own.channel())).await;
    assert_counts(&export(&service, &json!({})).await, REPLIES + 1, REPLIES + 1);

    let update = async |version, thread: &Thread, options: &Value| {
        service.scenario.rewrite(&thread.scenario(version, thread.own.channel()));
        let mut options = options.clone();
        options["on_conflict"] = "update".into();
        export(&service, &options).await
    };
    let window = json!({ "start_at": Thread::start_at() });
    assert_counts(&update(DceVersion::V2_48, &thread, &json!({})).await, REPLIES + 1, 1);
    assert_eq!(missing(&service).await, BTreeSet::new(), "the placeholder stays");
    assert_counts(&update(DceVersion::V2_48, &thread, &window).await, REPLIES + 1, 0);
    assert_eq!(missing(&service).await, BTreeSet::new(), "nor with a start above the starter");
    assert_counts(&update(DceVersion::V2_47, &thread, &json!({})).await, REPLIES + 1, 0);
    assert_eq!(missing(&service).await, BTreeSet::new(), "the starter stays");
    for version in [DceVersion::V2_48, DceVersion::V2_47] {
        assert_counts(&update(version, &left, &json!({})).await, REPLIES, 0);
        assert_eq!(missing(&service).await, BTreeSet::from([gone.clone()]));
    }
    // Neither is read: Discord has none of them.
    left.own.remove(0);
    assert_counts(&update(DceVersion::V2_48, &left, &json!({})).await, REPLIES - 1, 0);
    assert_eq!(missing(&service).await, BTreeSet::from([gone, placeholder, THREAD.to_string()]));
}

#[tokio::test]
async fn a_first_post_with_the_threads_own_id_is_an_ordinary_message() {
    let ids: Vec<_> = (0..6_u64).map(|number| THREAD + ((number * 1000) << 22)).collect();
    let post = Document::generated(6).in_channel(&THREAD.to_string()).renumbered(&ids);
    let channel = post
        .channel()
        .attempt(Attempt::ends_after(1, Ending::Dropped))
        .attempt(Attempt::ends_after(2, Ending::Dropped));
    let service = Service::start(&Scenario::new().channel(THREAD.to_string(), channel)).await;
    let export = export(&service, &json!({})).await;
    assert_counts(&export, 6, 6);
    let run = &export["runs"][0];
    assert_eq!((&run["attempt"], &run["first_message_id"]), (&3.into(), &json!(THREAD.to_string())), "{run}");
    assert_eq!(stored(&service.pool(), &THREAD.to_string()).await, post.messages());
}
