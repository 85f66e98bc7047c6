//! Threads that were begun from a message.

use std::fs;

use dce_standin::scenario::{Channel, DceVersion, Scenario};
use dce_testkit::discord::{Fault, Post, Route};
use serde_json::Value;

use crate::call::{CHANNEL, Call};

const PARENT: &str = "900000000000001002";

/// A thread of which only the placeholder is left, begun from the first message of its parent.
fn thread_of_its_placeholder(version: DceVersion) -> (Call, u64, u64) {
    let scenario = Scenario::new()
        .version(version)
        .channel(CHANNEL, Channel::generated(0, 1))
        .channel(PARENT, Channel::generated(3, 2));
    let call = Call::new(scenario);
    let starter = call.discord.message_ids(PARENT)[0];
    let placeholder = starter + (3_600_000 << 22);
    call.discord.post(CHANNEL, Post::new(placeholder).thread_starter(PARENT, starter));
    (call, starter, placeholder)
}

fn first_type(call: &Call) -> String {
    let document: Value = serde_json::from_slice(&fs::read(call.part()).unwrap()).unwrap();
    document["messages"][0]["type"].as_str().unwrap().to_owned()
}

#[test]
fn a_thread_of_nothing_but_its_placeholder_ends() {
    let (call, starter, _) = thread_of_its_placeholder(DceVersion::V2_48);
    assert_eq!(call.run(&[]).exit, "0");
    assert_eq!(call.ids(), [starter]);
    // The page held nothing but an empty message.
    assert!(call.discord.requests().iter().any(|request| request.route == Route::Application));
}

#[test]
fn a_starter_that_is_refused_leaves_its_placeholder() {
    let (call, _, placeholder) = thread_of_its_placeholder(DceVersion::V2_48);
    call.discord.fault(Fault::on(Route::messages(PARENT)).status(403));
    let ended = call.run(&[]);
    assert_eq!((ended.exit.as_str(), ended.stderr.as_str()), ("0", ""));
    assert_eq!((call.ids(), first_type(&call).as_str()), (vec![placeholder], "ThreadStarterMessage"));
}

#[test]
fn version_2_47_asks_for_no_starter() {
    let (call, _, placeholder) = thread_of_its_placeholder(DceVersion::V2_47);
    assert_eq!(call.run(&[]).exit, "0");
    assert_eq!((call.ids(), first_type(&call).as_str()), (vec![placeholder], "21"));
    assert!(!call.discord.requests().iter().any(|request| request.is_for_messages_of(PARENT)));
}
