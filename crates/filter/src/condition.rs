//! The conditions of a filter, and which messages meet them.

use crate::links;
use crate::message::{Emoji, Message, User};
use crate::unicode::ordinal_upper;
use crate::whole_words::WholeWords;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Condition {
    /// The text or an embed contains these words.
    Text(WholeWords),
    From(Name),
    Mentions(Name),
    Reaction(Name),
    Has(Feature),
    Not(Box<Condition>),
    /// Conditions joined from left to right.
    Chain(Box<Condition>, Vec<(Operator, Condition)>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    And,
    Or,
}

/// The value of `has:`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Feature {
    Link,
    Embed,
    File,
    Video,
    Image,
    Sound,
    Pin,
    Invite,
}

impl Feature {
    pub(crate) const ALL: [(&str, Self); 8] = [
        ("link", Self::Link),
        ("embed", Self::Embed),
        ("file", Self::File),
        ("video", Self::Video),
        ("image", Self::Image),
        ("sound", Self::Sound),
        ("pin", Self::Pin),
        ("invite", Self::Invite),
    ];

    fn is_in(self, message: &Message<'_>) -> bool {
        match self {
            Self::Link => message.content.as_deref().is_some_and(links::has_link),
            Self::Embed => message.has_embeds(),
            Self::File => message.has_files(|_| true),
            Self::Video => message.has_files(|name| has_extension(name, &["mp4", "webm", "mov"])),
            Self::Image => message
                .has_files(|name| has_extension(name, &["jpg", "jpeg", "png", "gif", "gifv", "bmp", "webp"])),
            Self::Sound => {
                message.has_files(|name| has_extension(name, &["mp3", "wav", "ogg", "flac", "m4a"]))
            }
            Self::Pin => message.is_pinned,
            Self::Invite => message.content.as_deref().is_some_and(links::has_invite),
        }
    }
}

fn has_extension(file_name: &str, extensions: &[&str]) -> bool {
    let extension = file_name.rsplit_once('.').map_or("", |(_, extension)| extension);
    extensions.iter().any(|known| known.eq_ignore_ascii_case(extension))
}

/// A name or an id, compared as a whole and without regard to case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Name(Vec<char>);

impl Name {
    pub(crate) fn new(text: &str) -> Self {
        Self(text.chars().map(ordinal_upper).collect())
    }

    fn is(&self, chars: impl Iterator<Item = char>) -> bool {
        self.0.iter().copied().eq(chars.map(ordinal_upper))
    }

    fn is_text(&self, text: Option<&str>) -> bool {
        text.is_some_and(|text| self.is(text.chars()))
    }

    fn is_user(&self, user: &User<'_>) -> bool {
        let has_full_name = || {
            let Some((name, discriminator)) = user.name.as_deref().zip(user.discriminator.as_deref()) else {
                return false;
            };
            // Accounts of the present kind have no discriminator; it is written as zeros.
            discriminator.contains(|digit| digit != '0')
                && self.is(name.chars().chain(['#']).chain(discriminator.chars()))
        };
        [&user.id, &user.name, &user.nickname].iter().any(|name| self.is_text(name.as_deref()))
            || has_full_name()
    }

    fn is_emoji(&self, emoji: &Emoji<'_>) -> bool {
        // Standard emoji have no id; it is written as an empty string.
        !self.0.is_empty()
            && [&emoji.id, &emoji.name, &emoji.code].iter().any(|name| self.is_text(name.as_deref()))
    }
}

impl Condition {
    pub(crate) fn matches(&self, message: &Message<'_>) -> bool {
        match self {
            Self::Text(words) => message.has_text(|text| words.are_in(text)),
            Self::From(name) => message.is_from(|user| name.is_user(user)),
            Self::Mentions(name) => message.mentions(|user| name.is_user(user)),
            Self::Reaction(name) => message.has_reaction(|emoji| name.is_emoji(emoji)),
            Self::Has(feature) => feature.is_in(message),
            Self::Not(condition) => !condition.matches(message),
            Self::Chain(first, rest) => {
                rest.iter().fold(first.matches(message), |matched, (operator, next)| match operator {
                    Operator::And => matched && next.matches(message),
                    Operator::Or => matched || next.matches(message),
                })
            }
        }
    }
}
