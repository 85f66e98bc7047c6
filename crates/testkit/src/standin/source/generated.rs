//! A synthetic channel: the same messages for the same seed, each computed from its number alone, so that an
//! export can begin anywhere and takes no memory.

use std::io;

use chrono::{DateTime, Datelike as _, Timelike as _};
use dce_testkit::scenario::Generate;

use super::Messages;
use crate::header::Header;
use crate::snowflake::Snowflake;

/// 2024-07-03T09:46:40Z: time of the first message, Unix milliseconds.
const FIRST_MS: i64 = 1_720_000_000_000;
/// From one message to the next, milliseconds; up to half of it is left to chance.
const INTERVAL_MS: u64 = 2_000;
const AUTHORS: u64 = 40;
const WORDS: [&str; 20] = [
    "the",
    "quick",
    "brown",
    "fox",
    "jumps",
    "over",
    "lazy",
    "dog",
    "export",
    "message",
    "build",
    "안녕하세요",
    "채널",
    "백업",
    "오늘",
    "привет",
    "日本語",
    "مرحبا",
    r"\uD83D\uDE80",
    "✅",
];

/// The messages of a synthetic channel.
pub(crate) struct Generated {
    header: Header,
    asked: Generate,
    next: u64,
    /// JSON of each author as it stands in a message.
    authors: Vec<String>,
    /// The same, indented as a mention.
    mentions: Vec<String>,
}

impl Generated {
    pub(crate) fn new(channel: &str, asked: Generate) -> serde_json::Result<Self> {
        let head = format!(
            "{{\n  \"guild\": {{\n    \"id\": \"900000000000000001\",\n    \"name\": \"Generated Guild\",\n    \
             \"iconUrl\": \"https://cdn.discordapp.com/embed/avatars/0.png\"\n  }},\n  \"channel\": {{\n    \
             \"id\": \"{channel}\",\n    \"type\": \"GuildTextChat\",\n    \"categoryId\": \"900000000000001012\",\n    \
             \"category\": \"Generated\",\n    \"name\": \"generated-{channel}\",\n    \"topic\": null\n  }},\n"
        );
        let header = Header::from_bytes(head.into_bytes())?;
        let authors: Vec<_> = (0..AUTHORS).map(author).collect();
        let mentions = authors.iter().map(|author| author.replace('\n', "\n  ")).collect();
        Ok(Self { header, asked, next: 0, authors, mentions })
    }

    fn id(&self, number: u64) -> Snowflake {
        let chance = Chance::of(self.asked.seed, number).draw();
        let ms = FIRST_MS + (number * INTERVAL_MS + chance % (INTERVAL_MS / 2)).cast_signed();
        Snowflake(Snowflake::from_unix_ms(ms).0 + (chance >> 52))
    }

    fn write(&self, number: u64, to: &mut Vec<u8>) -> Snowflake {
        let id = self.id(number);
        let mut chance = Chance::of(self.asked.seed, number);
        let author = chance.below(AUTHORS);
        let is_reply = number > 0 && chance.one_in(6);
        push(to, "    {\n      \"id\": \"");
        push_number(to, id.0);
        push(
            to,
            if is_reply { "\",\n      \"type\": \"Reply\"" } else { "\",\n      \"type\": \"Default\"" },
        );
        push(to, ",\n      \"timestamp\": \"");
        push_time(to, id);
        push(to, "\",\n      \"timestampEdited\": ");
        if chance.one_in(20) {
            push(to, "\"");
            push_time(to, Snowflake(id.0 + (5_000 << 22)));
            push(to, "\"");
        } else {
            push(to, "null");
        }
        push(to, ",\n      \"callEndedTimestamp\": null,\n      \"isPinned\": ");
        push(to, if chance.one_in(100) { "true" } else { "false" });
        push(to, ",\n      \"content\": \"");
        push_content(to, &mut chance);
        push(to, "\",\n      \"author\": ");
        push(to, &self.authors[index(author)]);
        push(to, ",\n      \"attachments\": [");
        push_attachments(to, id, &mut chance);
        push(to, "],\n      \"embeds\": [],\n      \"stickers\": [],\n      \"reactions\": [");
        push_reactions(to, &mut chance);
        push(to, "],\n      \"mentions\": [");
        if is_reply || chance.one_in(10) {
            push(to, "\n        ");
            push(to, &self.mentions[index(chance.below(AUTHORS))]);
            push(to, "\n      ");
        }
        push(to, "],\n      ");
        if is_reply {
            push(to, "\"reference\": {\n        \"type\": \"Default\",\n        \"messageId\": \"");
            push_number(to, self.id(number - 1).0);
            push(to, "\",\n        \"channelId\": \"");
            push(to, &self.header.channel.id);
            push(to, "\",\n        \"guildId\": \"");
            push(to, &self.header.guild.id);
            push(to, "\"\n      },\n      ");
        }
        push(to, "\"inlineEmojis\": []\n    }");
        id
    }
}

impl Messages for Generated {
    fn header(&self) -> &Header {
        &self.header
    }

    fn ends(&self) -> Option<(Snowflake, Snowflake)> {
        let last = self.asked.messages.checked_sub(1)?;
        Some((self.id(0), self.id(last)))
    }

    fn next(&mut self, buffer: &mut Vec<u8>) -> io::Result<Option<Snowflake>> {
        if self.next >= self.asked.messages {
            return Ok(None);
        }
        let id = self.write(self.next, buffer);
        self.next += 1;
        Ok(Some(id))
    }

    fn skip_to(&mut self, after: Snowflake) {
        let since = after.date().timestamp_millis().saturating_sub(FIRST_MS);
        self.next = u64::try_from(since).unwrap_or(0) / INTERVAL_MS;
    }
}

/// A small generator of numbers (splitmix64): fast, and good enough to choose words.
struct Chance(u64);

impl Chance {
    fn of(seed: u64, number: u64) -> Self {
        Self(seed.wrapping_mul(0xD134_2543_DE82_EF95) ^ number.wrapping_mul(0xA24B_AED4_963E_E407))
    }

    fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.draw() % limit
    }

    fn one_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }
}

fn push(to: &mut Vec<u8>, text: &str) {
    to.extend_from_slice(text.as_bytes());
}

fn push_number(to: &mut Vec<u8>, number: u64) {
    push_padded(to, number, 1);
}

/// Decimal with at least `width` digits; `width` is at most 20, the longest there is.
fn push_padded(to: &mut Vec<u8>, mut number: u64, width: usize) {
    let mut digits = [b'0'; 20];
    let mut start = digits.len();
    while number > 0 {
        start -= 1;
        digits[start] = b'0' + (number % 10).to_le_bytes()[0];
        number /= 10;
    }
    to.extend_from_slice(&digits[start.min(digits.len() - width)..]);
}

/// As DCE writes it: no trailing zeros in the fraction, no fraction of zero.
fn push_time(to: &mut Vec<u8>, id: Snowflake) {
    let time: DateTime<_> = id.date();
    push_padded(to, u64::from(time.year().unsigned_abs()), 4);
    let parts = [
        (b'-', time.month()),
        (b'-', time.day()),
        (b'T', time.hour()),
        (b':', time.minute()),
        (b':', time.second()),
    ];
    for (separator, value) in parts {
        to.push(separator);
        push_padded(to, u64::from(value), 2);
    }
    let ms = time.timestamp_subsec_millis();
    if ms > 0 {
        to.push(b'.');
        push_padded(to, u64::from(ms), 3);
        while to.last() == Some(&b'0') {
            to.pop();
        }
    }
    push(to, "+00:00");
}

fn push_content(to: &mut Vec<u8>, chance: &mut Chance) {
    for _ in 0..4 + chance.below(24) {
        push(to, WORDS[index(chance.below(WORDS.len() as u64))]);
        to.push(b' ');
    }
    push(to, if chance.one_in(12) { r#"\n\"said\" a \\ path"# } else { "end" });
    if chance.one_in(5_000) {
        push(to, r"\u0000");
    }
}

fn push_attachments(to: &mut Vec<u8>, id: Snowflake, chance: &mut Chance) {
    if !chance.one_in(8) {
        return;
    }
    push(to, "\n        {\n          \"id\": \"");
    push_number(to, id.0 + 1);
    push(to, "\",\n          \"url\": \"https://cdn.discordapp.com/attachments/1/");
    push_number(to, id.0 + 1);
    push(
        to,
        "/picture.png?ex=1&is=2&hm=3\",\n          \"fileName\": \"picture.png\",\n          \"fileSizeBytes\": ",
    );
    push_number(to, chance.below(8_000_000));
    push(to, "\n        }\n      ");
}

fn push_reactions(to: &mut Vec<u8>, chance: &mut Chance) {
    if !chance.one_in(6) {
        return;
    }
    push(
        to,
        "\n        {\n          \"emoji\": {\n            \"id\": \"\",\n            \"name\": \"✅\",\n            \
         \"code\": \"white_check_mark\",\n            \"isAnimated\": false,\n            \"imageUrl\": \
         \"https://cdn.jsdelivr.net/gh/twitter/twemoji@latest/assets/svg/2705.svg\"\n          },\n          \
         \"count\": 1,\n          \"users\": [\n            {\n              \"id\": \"",
    );
    let user = chance.below(AUTHORS);
    push_number(to, user_id(user));
    push(to, "\",\n              \"name\": \"user");
    push_number(to, user);
    push(to, "\",\n              \"discriminator\": \"0000\",\n              \"nickname\": \"user");
    push_number(to, user);
    push(
        to,
        "\",\n              \"color\": null,\n              \"isBot\": false,\n              \"avatarUrl\": \
         \"https://cdn.discordapp.com/embed/avatars/1.png\"\n            }\n          ]\n        }\n      ",
    );
}

fn user_id(user: u64) -> u64 {
    800_000_000_000_000_000 + user
}

fn author(user: u64) -> String {
    let id = user_id(user);
    let is_bot = user.is_multiple_of(20);
    format!(
        "{{\n        \"id\": \"{id}\",\n        \"name\": \"user{user}\",\n        \"discriminator\": \"0000\",\n        \
         \"nickname\": \"Üser {user} 사용자\",\n        \"color\": \"#00FF00\",\n        \"isBot\": {is_bot},\n        \
         \"roles\": [\n          {{\n            \"id\": \"900000000000000011\",\n            \"name\": \"helper\",\n            \
         \"color\": \"#00FF00\",\n            \"position\": 2\n          }}\n        ],\n        \"avatarUrl\": \
         \"https://cdn.discordapp.com/avatars/{id}/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.png?size=512\"\n      }}"
    )
}

/// An index into a table that is far smaller than any `usize`.
#[expect(clippy::cast_possible_truncation, reason = "callers stay below the length of a small table")]
fn index(below: u64) -> usize {
    below as usize
}

#[cfg(test)]
mod tests {
    use dce_testkit::scenario::Generate;

    use super::{Generated, Messages};
    use crate::snowflake::{Snowflake, iso};
    use crate::source::document::id_of;

    fn all(mut messages: Generated) -> Vec<(Snowflake, Vec<u8>)> {
        let mut read = Vec::new();
        loop {
            let mut message = Vec::new();
            let Some(id) = messages.next(&mut message).unwrap() else { return read };
            read.push((id, message));
        }
    }

    fn channel(messages: u64) -> Generated {
        Generated::new("7", Generate { messages, seed: 3 }).unwrap()
    }

    #[test]
    fn messages_are_json_in_dce_s_layout_and_in_order() {
        let messages = all(channel(3_000));
        assert!(messages.is_sorted_by(|one, next| one.0 < next.0));
        for (id, message) in &messages {
            assert_eq!(id_of(message), Some(*id));
            let value: serde_json::Value = serde_json::from_slice(message).unwrap();
            assert_eq!(value["timestamp"], iso(id.date()));
            assert!(
                !message.ends_with(b"\n    }\n")
                    && message.windows(6).filter(|w| w == b"\n    }").count() == 1
            );
        }
        assert_eq!(channel(3_000).ends(), Some((messages[0].0, messages[2_999].0)));
    }

    #[test]
    fn a_later_start_gives_the_same_messages() {
        let messages = all(channel(100));
        let mut rest = channel(100);
        rest.skip_to(messages[60].0);
        let rest: Vec<_> = all(rest).into_iter().filter(|(id, _)| *id > messages[60].0).collect();
        assert_eq!(rest, messages[61..]);
    }
}
