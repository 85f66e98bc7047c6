//! A synthetic channel: the same messages for the same seed, each computed from its number alone, so that an export can
//! begin anywhere and needs no memory. Sizes and shares are those of an export of a community of researchers (2,384
//! messages): see the tests.

mod emoji;
mod extras;
mod json;
mod people;
mod random;
#[cfg(test)]
mod tests;
mod words;

use std::io;

use crate::scenario::Generate;

use emoji::Emoji;
use json::{push, push_number, push_time};
use people::{People, Person};
use random::Random;
use words::{Content, Words};

use super::Messages;
use crate::header::Header;
use crate::snowflake::Snowflake;

/// 2024-07-03T09:46:40Z: time of the first message, Unix milliseconds.
const FIRST_MS: i64 = 1_720_000_000_000;
/// From one message to the next, milliseconds; up to half of it is random.
const INTERVAL_MS: u64 = 2_000;
/// A reply answers one of this many messages before it.
const REPLY_REACH: u64 = 20;

/// Per mille of all messages, or of the messages that a comment names.
mod share {
    pub(super) const EDITED: u64 = 91;
    pub(super) const PINNED: u64 = 5;
    /// The others are only words, and fewer: the parts that make messages long come together more often than by chance.
    pub(super) const LIVELY: u64 = 500;
    /// Of the lively ones.
    pub(super) const REPLY: u64 = 376;
    pub(super) const ATTACHMENTS: u64 = 174;
    pub(super) const LINK: u64 = 118;
    pub(super) const REACTIONS: u64 = 288;
    /// Of replies: they mention whom they answer.
    pub(super) const REPLY_MENTIONS: u64 = 870;
    /// Of lively ones that are no replies.
    pub(super) const MENTION: u64 = 120;
    /// Of those with attachments.
    pub(super) const ATTACHMENTS_ALONE: u64 = 400;
    /// Of links: Discord shows a preview.
    pub(super) const EMBED: u64 = 550;
}

/// The messages of a synthetic channel.
pub struct Generated {
    header: Header,
    asked: Generate,
    next: u64,
    people: People,
    emoji: Vec<Emoji>,
    words: Words,
}

/// A message that another one answers.
struct Answered<'a> {
    id: Snowflake,
    author: &'a Person,
}

impl Generated {
    pub fn new(channel: &str, asked: Generate) -> serde_json::Result<Self> {
        let head = format!(
            "{{\n  \"guild\": {{\n    \"id\": \"900000000000000001\",\n    \"name\": \"Generated Guild\",\n    \
             \"iconUrl\": \"https://cdn.discordapp.com/embed/avatars/0.png\"\n  }},\n  \"channel\": {{\n    \
             \"id\": \"{channel}\",\n    \"type\": \"GuildTextChat\",\n    \"categoryId\": \"900000000000001012\",\n    \
             \"category\": \"Generated\",\n    \"name\": \"generated-{channel}\",\n    \"topic\": null\n  }},\n"
        );
        let header = Header::from_bytes(head.into_bytes())?;
        let (people, emoji, words) = (People::new(), emoji::all(), Words::new());
        Ok(Self { header, asked, next: 0, people, emoji, words })
    }

    fn random(&self, number: u64) -> Random {
        Random::new(self.asked.seed, number)
    }

    /// How many messages there are.
    pub fn count(&self) -> u64 {
        self.asked.messages
    }

    /// The id of message `number`, from 0.
    pub fn id(&self, number: u64) -> Snowflake {
        id(number, &mut self.random(number))
    }

    /// The message that `number` answers.
    fn answered(&self, number: u64, random: &mut Random) -> Answered<'_> {
        let earlier = number - 1 - random.low_below(number.min(REPLY_REACH));
        let mut random = self.random(earlier);
        Answered { id: id(earlier, &mut random), author: self.people.someone(&mut random) }
    }

    /// Appends message `number`, from 0, and returns its id.
    pub fn write(&self, number: u64, to: &mut Vec<u8>) -> Snowflake {
        // Id and author are drawn first: `answered` repeats these draws.
        let mut random = self.random(number);
        let id = id(number, &mut random);
        let author = self.people.someone(&mut random);
        let is_lively = random.per_mille(share::LIVELY);
        let is_reply = is_lively && random.per_mille(share::REPLY) && number > 0;
        let answered = is_reply.then(|| self.answered(number, &mut random));
        let mentioned = match &answered {
            Some(answered) => random.per_mille(share::REPLY_MENTIONS).then_some(answered.author),
            None => (is_lively && random.per_mille(share::MENTION)).then(|| self.people.someone(&mut random)),
        };
        push(to, "    {\n      \"id\": \"");
        push_number(to, id.0);
        push(to, "\",\n      \"type\": \"");
        push(to, if answered.is_some() { "Reply" } else { "Default" });
        push(to, "\",\n      \"timestamp\": \"");
        push_time(to, id);
        push(to, "\",\n      \"timestampEdited\": ");
        if random.per_mille(share::EDITED) {
            push(to, "\"");
            push_time(to, Snowflake(id.0 + ((1_000 + random.low_below(600_000)) << 22)));
            push(to, "\"");
        } else {
            push(to, "null");
        }
        push(to, ",\n      \"callEndedTimestamp\": null,\n      \"isPinned\": ");
        push(to, if random.per_mille(share::PINNED) { "true" } else { "false" });
        let has_attachments = is_lively && random.per_mille(share::ATTACHMENTS);
        let mut emoji_used = 0;
        let mut has_link = false;
        push(to, ",\n      \"content\": \"");
        if !(has_attachments && random.per_mille(share::ATTACHMENTS_ALONE)) {
            has_link = is_lively && random.per_mille(share::LINK);
            let in_words = if answered.is_none() { mentioned.map(|person| person.id) } else { None };
            let content = Content { is_lively, mention: in_words, has_link };
            emoji_used = self.words.push_content(to, &mut random, &self.emoji, &content);
        }
        push(to, "\",\n      \"author\": ");
        push(to, &author.as_author);
        push(to, ",\n      \"attachments\": [");
        if has_attachments {
            extras::push_attachments(to, id, &self.header.channel.id, &mut random);
        }
        push(to, "],\n      \"embeds\": [");
        if has_link && random.per_mille(share::EMBED) {
            extras::push_embed(to, &self.words, &mut random);
        }
        push(to, "],\n      \"stickers\": [],\n      \"reactions\": [");
        if is_lively && random.per_mille(share::REACTIONS) {
            extras::push_reactions(to, &self.emoji, &self.people, &mut random);
        }
        push(to, "],\n      \"mentions\": [");
        if let Some(person) = mentioned {
            push(to, "\n        ");
            push(to, &person.as_mention);
            push(to, "\n      ");
        }
        push(to, "],\n      ");
        if let Some(answered) = answered {
            self.push_reference(to, answered.id);
        }
        push(to, "\"inlineEmojis\": [");
        extras::push_inline(to, &self.emoji, emoji_used);
        push(to, "]\n    }");
        id
    }

    fn push_reference(&self, to: &mut Vec<u8>, id: Snowflake) {
        push(to, "\"reference\": {\n        \"type\": \"Default\",\n        \"messageId\": \"");
        push_number(to, id.0);
        push(to, "\",\n        \"channelId\": \"");
        push(to, &self.header.channel.id);
        push(to, "\",\n        \"guildId\": \"");
        push(to, &self.header.guild.id);
        push(to, "\"\n      },\n      ");
    }
}

/// The id, and with it the time, of the message of this number.
fn id(number: u64, random: &mut Random) -> Snowflake {
    let drawn = random.draw();
    let ms = FIRST_MS + (number * INTERVAL_MS + drawn % (INTERVAL_MS / 2)).cast_signed();
    Snowflake(Snowflake::from_unix_ms(ms).0 + (drawn >> 52))
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
