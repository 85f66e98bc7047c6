//! `--filter`: DCE's language for choosing messages.

mod parse;

use serde::Deserialize;

pub(crate) use parse::SyntaxError;

/// A filter expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Filter {
    /// The content contains this as whole words.
    Contains(String),
    /// Written by a user of this name, nickname or id.
    From(String),
    /// Mentions such a user.
    Mentions(String),
    /// Has this emoji (name, code or id) as a reaction.
    Reaction(String),
    /// Has something of this kind.
    Has(Kind),
    Not(Box<Filter>),
    And(Box<Filter>, Box<Filter>),
    Or(Box<Filter>, Box<Filter>),
}

/// The values of `has:`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Link,
    Embed,
    File,
    Video,
    Image,
    Sound,
    Pin,
    Invite,
}

/// The fields of DCE's message that filters use.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Message {
    is_pinned: bool,
    content: String,
    author: User,
    attachments: Vec<Attachment>,
    embeds: Vec<serde::de::IgnoredAny>,
    reactions: Vec<Reaction>,
    mentions: Vec<User>,
}

#[derive(Deserialize)]
struct User {
    id: String,
    name: String,
    discriminator: String,
    nickname: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Attachment {
    file_name: String,
}

#[derive(Deserialize)]
struct Reaction {
    emoji: Emoji,
}

#[derive(Deserialize)]
struct Emoji {
    id: String,
    name: String,
    code: String,
}

impl Filter {
    pub(crate) fn parse(text: &str) -> Result<Self, SyntaxError> {
        parse::parse(text)
    }

    /// Whether a message, given as DCE's JSON, passes.
    pub(crate) fn accepts(&self, message: &[u8]) -> serde_json::Result<bool> {
        serde_json::from_slice(message).map(|message| self.matches(&message))
    }

    fn matches(&self, message: &Message) -> bool {
        match self {
            Self::Contains(text) => has_words(&message.content, text),
            Self::From(user) => message.author.is(user),
            Self::Mentions(user) => message.mentions.iter().any(|mention| mention.is(user)),
            Self::Reaction(emoji) => message.reactions.iter().any(|reaction| reaction.emoji.is(emoji)),
            Self::Has(kind) => kind.is_in(message),
            Self::Not(filter) => !filter.matches(message),
            Self::And(one, other) => one.matches(message) && other.matches(message),
            Self::Or(one, other) => one.matches(message) || other.matches(message),
        }
    }
}

impl User {
    fn is(&self, who: &str) -> bool {
        let full = format!("{}#{}", self.name, self.discriminator);
        [&self.id, &self.name, &self.nickname, &full].iter().any(|name| same(name, who))
    }
}

impl Emoji {
    fn is(&self, which: &str) -> bool {
        [&self.id, &self.name, &self.code].iter().any(|name| same(name, which))
    }
}

impl Kind {
    fn is_in(self, message: &Message) -> bool {
        let attached = |extensions: &[&str]| {
            message.attachments.iter().any(|attachment| {
                let extension = attachment.file_name.rsplit_once('.').map_or("", |(_, extension)| extension);
                extensions.iter().any(|known| known.eq_ignore_ascii_case(extension))
            })
        };
        match self {
            Self::Link => ["http://", "https://"].iter().any(|scheme| message.content.contains(scheme)),
            Self::Embed => !message.embeds.is_empty(),
            Self::File => !message.attachments.is_empty(),
            Self::Video => attached(&["gif", "gifv", "mp4", "webm", "mov"]),
            Self::Image => attached(&["jpg", "jpeg", "png", "gif", "gifv", "bmp", "webp"]),
            Self::Sound => attached(&["mp3", "wav", "ogg", "flac", "m4a"]),
            Self::Pin => message.is_pinned,
            Self::Invite => {
                ["discord.gg/", "discord.com/invite/"].iter().any(|host| message.content.contains(host))
            }
        }
    }
}

fn same(one: &str, other: &str) -> bool {
    one.to_lowercase() == other.to_lowercase()
}

/// Whether the content contains the words, ignoring case, not beginning or ending inside a word.
fn has_words(content: &str, words: &str) -> bool {
    let (content, words) = (content.to_lowercase(), words.to_lowercase());
    let in_word =
        |letter: Option<char>| letter.is_some_and(|letter| letter.is_alphanumeric() || letter == '_');
    content.match_indices(&words).any(|(at, found)| {
        let end = at + found.len();
        in_word(content[..at].chars().next_back()) != in_word(found.chars().next())
            && in_word(content[end..].chars().next()) != in_word(found.chars().next_back())
    })
}
