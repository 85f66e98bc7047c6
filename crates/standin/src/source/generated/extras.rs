//! Optional parts of messages: attachments, the preview of a link, reactions, the list of emoji.

use super::emoji::Emoji;
use super::json::{push, push_hex, push_number};
use super::people::People;
use super::random::{Random, index};
use super::words::Words;
use crate::snowflake::Snowflake;

/// Users of all reactions of a message together, at most: keeps the largest message at some 15 kB.
const REACTORS: u64 = 36;

/// The elements of a list between `[` and `]`, which belongs in a message.
fn push_list<T>(
    to: &mut Vec<u8>,
    items: impl IntoIterator<Item = T>,
    mut push_item: impl FnMut(&mut Vec<u8>, T),
) {
    let mut is_empty = true;
    for item in items {
        push(to, if is_empty { "\n        " } else { ",\n        " });
        push_item(to, item);
        is_empty = false;
    }
    if !is_empty {
        push(to, "\n      ");
    }
}

/// Files of this message: mostly one.
pub(super) fn push_attachments(to: &mut Vec<u8>, id: Snowflake, channel: &str, random: &mut Random) {
    let count = match random.below(100) {
        0..85 => 1,
        85..94 => 2,
        94..99 => 3,
        _ => 4 + random.below(5),
    };
    push_list(to, 1..=count, |to, number| {
        push(to, "{\n          \"id\": \"");
        push_number(to, id.0 + number);
        push(to, "\",\n          \"url\": \"https://cdn.discordapp.com/attachments/");
        push(to, channel);
        push(to, "/");
        push_number(to, id.0 + number);
        push(to, "/picture.png?ex=");
        push_hex(to, random, 8);
        push(to, "&is=");
        push_hex(to, random, 8);
        push(to, "&hm=");
        push_hex(to, random, 64);
        push(to, "&\",\n          \"fileName\": \"picture.png\",\n          \"fileSizeBytes\": ");
        push_number(to, random.below(8_000_000));
        push(to, "\n        }");
    });
}

/// The preview of a link, as Discord makes it.
pub(super) fn push_embed(to: &mut Vec<u8>, words: &Words, random: &mut Random) {
    push(to, "\n        {\n          \"title\": \"");
    words.push(to, random, 40);
    push(to, "\",\n          \"url\": \"https://example.org/");
    push_hex(to, random, 12);
    push(to, "\",\n          \"timestamp\": null,\n          \"description\": \"");
    let length = random.low_below(400);
    words.push(to, random, length);
    push(
        to,
        "\",\n          \"thumbnail\": {\n            \"url\": \"https://images-ext-1.discordapp.net/external/",
    );
    push_hex(to, random, 43);
    push(
        to,
        "/preview.png\",\n            \"canonicalUrl\": \"https://example.org/preview.png\",\n            ",
    );
    push(
        to,
        "\"width\": 1280,\n            \"height\": 720\n          },\n          \"images\": [],\n          ",
    );
    push(to, "\"fields\": [],\n          \"inlineEmojis\": []\n        }\n      ");
}

/// Mostly one reaction, by one or two people.
pub(super) fn push_reactions(to: &mut Vec<u8>, emoji: &[Emoji], people: &People, random: &mut Random) {
    let count = match random.below(100) {
        0..83 => 1,
        83..94 => 2,
        94..98 => 3,
        _ => 4,
    };
    let first = random.low_below(emoji.len() as u64);
    let mut left = REACTORS;
    push_list(to, first..first + count, |to, number| {
        let users = reactors(random).min(left);
        left -= users;
        push(to, "{\n          \"emoji\": ");
        push(to, &emoji[index(number % emoji.len() as u64)].as_reaction);
        push(to, ",\n          \"count\": ");
        push_number(to, users.max(1));
        push(to, ",\n          \"users\": [");
        for (number, user) in people.group(users, random).enumerate() {
            push(to, if number == 0 { "\n            " } else { ",\n            " });
            push(to, &user.as_reactor);
        }
        push(to, if users == 0 { "]\n        }" } else { "\n          ]\n        }" });
    });
}

/// Half of the reactions have one user, few have many.
fn reactors(random: &mut Random) -> u64 {
    match random.below(100) {
        0..52 => 1,
        52..73 => 2,
        73..83 => 3,
        83..89 => 4,
        89..94 => 5,
        94..98 => 6 + random.below(4),
        _ => 10 + random.below(13),
    }
}

/// The emoji that a content has, as a bit mask.
pub(super) fn push_inline(to: &mut Vec<u8>, emoji: &[Emoji], used: u64) {
    let inline = emoji.iter().enumerate().filter(|(number, _)| used >> number & 1 == 1);
    push_list(to, inline, |to, (_, emoji)| push(to, &emoji.inline));
}
