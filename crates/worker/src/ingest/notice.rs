//! What is noticed about a message: losses that DCE does not report. Pure.

use std::ops::ControlFlow;

use dce_core::export::warnings::Counters;

use super::message::Message;
use super::object::{each_element, each_member};

/// Counts what one message shows. `left_out`: users of its reactions that were left out because it was too large.
pub fn notice(message: &Message<'_>, left_out: u64) -> Counters {
    let mut counters = Counters { blank: u64::from(is_blank(message)), ..Counters::default() };
    if left_out > 0 {
        counters.shortened = 1;
        counters.users_omitted = left_out;
        counters.shortened_ids.push(message.id);
    }
    // Nearly all messages have no reactions.
    if let Some(reactions) = message.reactions.filter(|reactions| !is_empty(reactions)) {
        let missing = missing_users(reactions).saturating_sub(left_out);
        counters.reactions_short = u64::from(missing > 0);
        counters.reaction_users_missing = missing;
    }
    counters
}

/// A message that a person wrote and of which nothing came. Discord refuses empty messages, so its content was withheld
/// (without the Message Content intent), or is of a kind that DCE does not export (a poll).
fn is_blank(message: &Message<'_>) -> bool {
    let none = |array: Option<&str>| array.is_none_or(is_empty);
    message.content.as_ref().is_none_or(|content| content.is_empty())
        && none(message.attachments)
        && none(message.embeds)
        && none(message.stickers)
        && message.forwarded.is_none()
        && !message.is_bot
        && message.kind.is_some_and(|kind| matches!(kind, r#""Default""# | r#""Reply""#))
}

fn is_empty(array: &str) -> bool {
    array == "[]"
}

/// How many users reactions count but do not list. A reaction may also list more, when it grew during the export.
/// DCE asks for the users of each reaction and takes a refusal for an empty list (DCE 2.47: docs/dce.md).
/// 0 for anything that is no list of reactions as DCE writes them.
fn missing_users(reactions: &str) -> u64 {
    let mut missing = Some(0_u64);
    let read = each_element(reactions, |reaction| {
        missing = missing
            .zip(users_of(reaction))
            .map(|(missing, (count, listed))| missing.saturating_add(count.saturating_sub(listed)));
    });
    read.and(missing).unwrap_or_default()
}

/// How many users a reaction counts, and how many it lists.
fn users_of(reaction: &str) -> Option<(u64, u64)> {
    let (mut count, mut listed) = (None, None);
    each_member(reaction, |key, value| {
        match key {
            "count" => count = value.parse().ok(),
            "users" => {
                let mut users = 0;
                listed = each_element(value, |_| users += 1).map(|()| users);
            }
            _ => {}
        }
        ControlFlow::Continue(())
    })?;
    count.zip(listed)
}

#[cfg(test)]
mod tests {
    use dce_core::ids::Snowflake;
    use serde_json::{Value, json};

    use super::*;

    /// What is noticed about a blank message of a person, changed like this.
    fn noticed(changes: &Value, left_out: u64) -> Counters {
        let mut message = json!({
            "id": "7", "type": "Default", "timestamp": "2024-07-03T09:46:40+00:00", "content": "",
            "author": {"id": "8", "name": "a", "isBot": false},
            "attachments": [], "embeds": [], "stickers": [], "reactions": [],
        });
        for (field, value) in changes.as_object().unwrap() {
            message[field] = value.clone();
        }
        notice(&Message::parse(&message.to_string()).unwrap(), left_out)
    }

    fn users(count: u64, listed: usize) -> Value {
        json!({ "count": count, "users": vec![json!({ "id": "1", "name": "[]," }); listed] })
    }

    #[test]
    fn only_messages_of_people_with_nothing_in_them_are_blank() {
        for (changes, blank) in [
            (json!({}), 1),
            (json!({ "type": "Reply" }), 1),
            (json!({ "content": null, "stickers": null, "forwardedMessage": null }), 1),
            (json!({ "type": "GuildMemberJoin" }), 0),
            (json!({ "type": "20" }), 0),
            (json!({ "author": { "id": "8", "isBot": true } }), 0),
            (json!({ "content": " " }), 0),
            (json!({ "attachments": [{}] }), 0),
            (json!({ "embeds": [{}] }), 0),
            (json!({ "stickers": [{}] }), 0),
            (json!({ "forwardedMessage": {} }), 0),
        ] {
            assert_eq!(noticed(&changes, 0), Counters { blank, ..Counters::default() }, "{changes}");
        }
    }

    #[test]
    fn users_that_a_reaction_counts_but_does_not_list_are_missing() {
        for (reactions, missing) in [
            (json!([]), 0),
            (json!([users(2, 2), users(0, 0)]), 0),
            (json!([users(3, 2), users(1, 1), users(5, 0)]), 6),
            (json!([users(1, 4), users(2, 1)]), 1), // one that grew makes up for no other
            (json!([{ "count": "3", "users": [] }]), 0),
            (json!("unexpected"), 0),
        ] {
            let expected = Counters {
                reactions_short: u64::from(missing > 0),
                reaction_users_missing: missing,
                ..Counters::default()
            };
            assert_eq!(
                noticed(&json!({ "content": "x", "reactions": reactions }), 0),
                expected,
                "{reactions}"
            );
        }
    }

    #[test]
    fn users_that_were_left_out_are_not_missing() {
        let reactions = json!([users(30, 0), users(12, 0)]);
        let noticed = noticed(&json!({ "content": "x", "reactions": reactions }), 40);
        assert_eq!((noticed.shortened, noticed.users_omitted), (1, 40));
        assert_eq!(noticed.shortened_ids.as_slice(), [Snowflake::new(7)]);
        assert_eq!((noticed.reactions_short, noticed.reaction_users_missing), (1, 2));
    }
}
