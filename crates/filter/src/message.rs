//! The fields of a message that conditions look at.

use std::borrow::Cow;

use crate::json::{any_element, each_member, string};

/// The fields of a message, as `DiscordChatExporter` writes them, that conditions look at. Those in JSON are read when a
/// condition asks for them; one that has an unexpected type is the same as an empty one.
#[derive(Debug, Clone, Default)]
pub struct Message<'a> {
    pub content: Option<Cow<'a, str>>,
    pub is_pinned: bool,
    /// A JSON object.
    pub author: &'a str,
    /// A JSON array, as the others.
    pub mentions: &'a str,
    pub reactions: &'a str,
    pub attachments: &'a str,
    pub embeds: &'a str,
}

/// An author or a mentioned user.
#[derive(Debug, Default)]
pub(crate) struct User<'a> {
    pub(crate) id: Option<Cow<'a, str>>,
    pub(crate) name: Option<Cow<'a, str>>,
    pub(crate) discriminator: Option<Cow<'a, str>>,
    /// The nickname on the server, else the display name, else the user name.
    pub(crate) nickname: Option<Cow<'a, str>>,
}

#[derive(Debug, Default)]
pub(crate) struct Emoji<'a> {
    pub(crate) id: Option<Cow<'a, str>>,
    /// The name of a custom emoji, the character of a standard one.
    pub(crate) name: Option<Cow<'a, str>>,
    /// A standard emoji's name, without colons.
    pub(crate) code: Option<Cow<'a, str>>,
}

impl<'a> Message<'a> {
    /// Reads the fields of a message's JSON. Of equal fields the last one counts, as in `jsonb`.
    pub fn read(json: &'a str) -> Self {
        let mut message = Self::default();
        each_member(json, |name, value| match name {
            "content" => message.content = string(value),
            "isPinned" => message.is_pinned = value == "true",
            "author" => message.author = value,
            "mentions" => message.mentions = value,
            "reactions" => message.reactions = value,
            "attachments" => message.attachments = value,
            "embeds" => message.embeds = value,
            _ => {}
        });
        message
    }

    pub(crate) fn is_from(&self, is_wanted: impl Fn(&User<'_>) -> bool) -> bool {
        is_wanted(&User::read(self.author))
    }

    pub(crate) fn mentions(&self, is_wanted: impl Fn(&User<'_>) -> bool) -> bool {
        any_element(self.mentions, |user| is_wanted(&User::read(user)))
    }

    pub(crate) fn has_reaction(&self, is_wanted: impl Fn(&Emoji<'_>) -> bool) -> bool {
        any_element(self.reactions, |reaction| is_wanted(&Emoji::read(member(reaction, "emoji"))))
    }

    /// Whether a file with such a name is attached.
    pub(crate) fn has_files(&self, is_wanted: impl Fn(&str) -> bool) -> bool {
        any_element(self.attachments, |file| {
            is_wanted(string(member(file, "fileName")).as_deref().unwrap_or_default())
        })
    }

    pub(crate) fn has_embeds(&self) -> bool {
        any_element(self.embeds, |_| true)
    }

    /// Whether the content or a text in an embed is wanted.
    pub(crate) fn has_text(&self, is_wanted: impl Fn(&str) -> bool) -> bool {
        let is_wanted = |text: Option<&str>| text.is_some_and(&is_wanted);
        let is_in = |json: &str| is_wanted(string(json).as_deref());
        is_wanted(self.content.as_deref()) || any_element(self.embeds, |embed| embed_texts(embed).any(is_in))
    }
}

impl<'a> User<'a> {
    fn read(json: &'a str) -> Self {
        let mut user = Self::default();
        each_member(json, |name, value| match name {
            "id" => user.id = string(value),
            "name" => user.name = string(value),
            "discriminator" => user.discriminator = string(value),
            "nickname" => user.nickname = string(value),
            _ => {}
        });
        user
    }
}

impl<'a> Emoji<'a> {
    fn read(json: &'a str) -> Self {
        let mut emoji = Self::default();
        each_member(json, |name, value| match name {
            "id" => emoji.id = string(value),
            "name" => emoji.name = string(value),
            "code" => emoji.code = string(value),
            _ => {}
        });
        emoji
    }
}

/// The JSON of an embed's texts.
fn embed_texts(embed: &str) -> impl Iterator<Item = &str> {
    let (mut title, mut description, mut author, mut footer, mut fields) = ("", "", "", "", "");
    each_member(embed, |name, value| match name {
        "title" => title = value,
        "description" => description = value,
        "author" => author = value,
        "footer" => footer = value,
        "fields" => fields = value,
        _ => {}
    });
    let mut texts = vec![title, description, member(author, "name"), member(footer, "text")];
    any_element(fields, |field| {
        texts.extend([member(field, "name"), member(field, "value")]);
        false
    });
    texts.into_iter()
}

/// The JSON of one member.
fn member<'a>(json: &'a str, wanted: &str) -> &'a str {
    let mut found = "";
    each_member(json, |name, value| {
        if name == wanted {
            found = value;
        }
    });
    found
}
