//! What DCE loses without a word, in both versions.

use dce_standin::scenario::{Channel, DceVersion, Scenario};
use dce_standin::snowflake::Snowflake;
use dce_testkit::discord::{Fault, Post, Route};

use crate::call::{CHANNEL, Call};

fn both(messages: u64, test: impl Fn(&Call)) {
    for version in [DceVersion::V2_47, DceVersion::V2_48] {
        let channel = Channel::generated(messages, 1);
        test(&Call::new(Scenario::new().version(version).channel(CHANNEL, channel)));
    }
}

/// An export that calls itself a success and warns of nothing.
fn succeeds(call: &Call, more: &[&str]) -> Vec<u64> {
    let ended = call.run(more);
    assert_eq!((ended.exit.as_str(), ended.stderr.as_str()), ("0", ""));
    call.ids()
}

#[test]
fn an_empty_page_is_the_end() {
    both(450, |call| {
        let pages = Fault::on(Route::messages(CHANNEL));
        call.discord.fault(pages.nth(4).empty_page());
        assert_eq!(succeeds(call, &[]), call.listed()[..200]);
    });
}

#[test]
fn a_hidden_history_is_an_empty_channel() {
    both(150, |call| {
        call.discord.hide_history(CHANNEL, true);
        assert!(succeeds(call, &[]).is_empty());
    });
}

#[test]
fn a_channel_without_a_last_message_has_none() {
    both(150, |call| {
        let listed = call.listed();
        call.discord.set_last_message_id(CHANNEL, None);
        let ended = call.run(&[]);
        assert_eq!(ended.exit, "0");
        assert!(ended.stderr.contains("does not contain any messages; an empty file"), "{}", ended.stderr);
        call.discord.set_last_message_id(CHANNEL, Some(listed[20]));
        let ended = call.run(&["--after", &listed[50].to_string()]);
        assert_eq!(ended.exit, "0");
        assert!(
            ended.stderr.contains("does not contain any messages within the specified period"),
            "{}",
            ended.stderr
        );
        assert!(call.ids().is_empty());
        assert!(call.requests_for_messages().is_empty());
    });
}

#[test]
fn a_message_later_than_the_last_one_is_the_end() {
    both(450, |call| {
        let listed = call.listed();
        let late = Snowflake(listed[449]).date() + chrono::TimeDelta::seconds(1);
        call.discord.post(CHANNEL, Post::new(listed[200]).timestamp(late));
        assert_eq!(succeeds(call, &[]), listed[..200]);
        // A resume begins with it.
        assert!(succeeds(call, &["--after", &listed[199].to_string()]).is_empty());
    });
}

#[test]
fn messages_of_the_bounds_own_millisecond_come_through() {
    both(10, |call| {
        let bound = (Snowflake(call.listed()[9]).millisecond() + 60_000) << 22;
        let same: Vec<_> = (1..=4).map(|low| bound + low).collect();
        for id in &same {
            call.discord.post(CHANNEL, Post::new(*id));
        }
        call.discord.post(CHANNEL, Post::new(bound + (1 << 22)));
        let ids = succeeds(call, &["--before", &same[2].to_string()]);
        assert_eq!(ids[10..], same);
    });
}

#[test]
fn ties_in_the_wrong_order_lose_one_across_the_edge_of_a_page_only() {
    both(97, |call| {
        let first = (Snowflake(call.listed()[96]).millisecond() + 60_000) << 22;
        let (a, b, last) = (first + 1, first + 2, first + (60_000 << 22));
        for id in [a, b, last] {
            call.discord.post(CHANNEL, Post::new(id));
        }
        call.discord.list_in_order(CHANNEL, &[b, a]);
        let ids = succeeds(call, &[]);
        assert_eq!(ids[97..], [b, a, last], "inside a page both are written, as listed");

        // One message more before them: the page ends between the two.
        for number in 0..2 {
            call.discord.post(CHANNEL, Post::new(first - ((10_000 + number) << 22)));
        }
        let ids = succeeds(call, &[]);
        assert_eq!(ids.len(), 101);
        assert!(!ids.contains(&a), "{a} comes after the page that ends with {b}, and is below it");
    });
}

#[test]
fn a_late_message_is_not_read_by_the_next_increment() {
    both(300, |call| {
        let listed = call.listed();
        call.discord.hide(CHANNEL, listed[298]);
        assert_eq!(succeeds(call, &[]).len(), 299);
        call.discord.appear(CHANNEL, listed[298]);
        let ended = call.run(&["--after", &listed[299].to_string()]);
        assert_eq!(ended.exit, "0");
        assert!(call.ids().is_empty());
    });
}
