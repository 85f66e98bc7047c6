//! Losses in a message that DCE does not report.

use std::ops::ControlFlow;

use dce_snowflake::Snowflake;

use super::columns::Message;
use crate::json::walk::{each_element, each_member};

/// Counted losses of any number of messages.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Quality {
    /// Messages by people without any content.
    pub blank: u64,
    /// Messages with a reaction that lists fewer users than it counts.
    pub reactions_short: u64,
    /// Number of users missing from those reactions.
    pub reaction_users_missing: u64,
    /// Ids of messages stored without the users of their reactions, because they are too large with them.
    pub shortened: Vec<Snowflake>,
    /// Number of users dropped from those messages.
    pub users_dropped: u64,
}

impl Quality {
    /// Counts the losses of one message, of which `dropped_users` were dropped because it is too large with them.
    pub fn add(&mut self, message: &Message<'_>, dropped_users: u64) {
        self.blank += u64::from(is_blank(message));
        if dropped_users > 0 {
            self.users_dropped += dropped_users;
            self.shortened.push(message.id);
        }
        // Nearly all messages have no reactions.
        if let Some(reactions) = message.reactions.filter(|reactions| !is_empty(reactions)) {
            let missing = missing_users(reactions).saturating_sub(dropped_users);
            self.reactions_short += u64::from(missing > 0);
            // A document may declare any count.
            self.reaction_users_missing = self.reaction_users_missing.saturating_add(missing);
        }
    }

    /// Adds the losses of other messages.
    pub fn merge(&mut self, other: &Self) {
        self.blank += other.blank;
        self.reactions_short += other.reactions_short;
        self.reaction_users_missing =
            self.reaction_users_missing.saturating_add(other.reaction_users_missing);
        self.shortened.extend(&other.shortened);
        self.users_dropped += other.users_dropped;
    }
}

/// Whether a person wrote the message and none of its content came. Discord refuses empty messages, so Discord withheld the
/// content (the Message Content intent is missing), or DCE does not export its kind (a poll).
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

/// Number of users that reactions count but do not list; 0 for anything but a list of reactions as DCE writes it. DCE asks
/// for the users of each reaction and treats a refusal as an empty list (DCE 2.47: docs/dce.md). A reaction that grew
/// during the export may also list more users than it counts.
fn missing_users(reactions: &str) -> u64 {
    let mut missing = Some(0_u64);
    let read = each_element(reactions, |reaction| {
        missing = missing
            .zip(users_of(reaction))
            .map(|(missing, (count, listed))| missing.saturating_add(count.saturating_sub(listed)));
    });
    read.and(missing).unwrap_or_default()
}

/// Number of users that a reaction counts, and number that it lists.
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
    use serde_json::{Value, json};

    use super::*;

    /// The losses of a person's blank message with these fields changed.
    fn quality(changes: &Value, dropped_users: u64) -> Quality {
        let mut message = json!({
            "id": "7", "type": "Default", "timestamp": "2024-07-03T09:46:40+00:00", "content": "",
            "author": {"id": "8", "name": "a", "isBot": false},
            "attachments": [], "embeds": [], "stickers": [], "reactions": [],
        });
        for (field, value) in changes.as_object().unwrap() {
            message[field] = value.clone();
        }
        let mut quality = Quality::default();
        quality.add(&Message::parse(&message.to_string()).unwrap(), dropped_users);
        quality
    }

    fn users(count: u64, listed: usize) -> Value {
        json!({ "count": count, "users": vec![json!({ "id": "1", "name": "[]," }); listed] })
    }

    #[test]
    fn only_empty_messages_by_people_are_blank() {
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
            assert_eq!(quality(&changes, 0), Quality { blank, ..Quality::default() }, "{changes}");
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
            let expected = Quality {
                reactions_short: u64::from(missing > 0),
                reaction_users_missing: missing,
                ..Quality::default()
            };
            assert_eq!(
                quality(&json!({ "content": "x", "reactions": reactions }), 0),
                expected,
                "{reactions}"
            );
        }
    }

    #[test]
    fn dropped_users_are_not_missing() {
        let reactions = json!([users(30, 0), users(12, 0)]);
        let quality = quality(&json!({ "content": "x", "reactions": reactions }), 40);
        assert_eq!((quality.shortened, quality.users_dropped), (vec![Snowflake::new(7)], 40));
        assert_eq!((quality.reactions_short, quality.reaction_users_missing), (1, 2));
    }
}
