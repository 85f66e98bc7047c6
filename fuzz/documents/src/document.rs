//! Generates documents in the layout of DCE 2.47, with unusual texts.

use std::borrow::Cow;

use arbitrary::Arbitrary;
use chrono::DateTime;
use serde_json::Value;

/// One export.
#[derive(Debug, Arbitrary)]
pub struct Document {
    topic: Text,
    messages: Vec<Message>,
}

#[derive(Debug, Arbitrary)]
struct Message {
    id: u64,
    sent_at: u32,
    is_pinned: bool,
    content: Text,
    author: User,
    attachments: Vec<Attachment>,
    embeds: Vec<Embed>,
    reactions: Vec<Reaction>,
    mentions: Vec<User>,
    /// Properties that only a later DCE writes.
    unknown: Vec<(Text, Text)>,
}

#[derive(Debug, Arbitrary)]
struct User {
    id: u64,
    name: Text,
    nickname: Text,
    color: Option<u16>,
    is_bot: bool,
    roles: Vec<Text>,
}

#[derive(Debug, Arbitrary)]
struct Attachment {
    id: u64,
    file_name: Text,
    size: u32,
}

#[derive(Debug, Arbitrary)]
struct Embed {
    title: Text,
    description: Text,
    fields: Vec<(Text, Text)>,
}

#[derive(Debug, Arbitrary)]
struct Reaction {
    emoji: Text,
    count: u16,
    users: Vec<User>,
}

/// A string in pieces. Two pieces may form one character.
#[derive(Debug, Arbitrary)]
struct Text(Vec<Piece>);

#[derive(Debug, Arbitrary)]
enum Piece {
    /// Written unescaped where JSON allows it.
    Raw(char),
    /// Written as `\uXXXX`; may be NUL or a lone surrogate.
    Escaped(u16),
    /// One of [`TRICKY`].
    Tricky(u8),
}

/// Texts that look like a part of a document's outline, or like an escape.
const TRICKY: [&str; 8] =
    ["\"messages\": [", "},\n    {", "\n  ],\n", "\\u0000", "\\", "\"", "\"messageCount\": 1", "\u{feff}"];

/// A written document.
#[derive(Debug, Default)]
pub struct Written {
    pub bytes: Vec<u8>,
    /// The value that a reader must find for each message.
    pub messages: Vec<Value>,
    /// Offset of the first byte behind the opening bracket of `messages`.
    pub head_end: usize,
    /// Offset of the first byte behind each message.
    pub message_ends: Vec<usize>,
    /// For each message, the number of bytes up to and including the first byte of its follower.
    pub certain_at: Vec<usize>,
    /// Number of bytes up to and including the root object's closing bracket.
    pub complete_at: usize,
}

impl Document {
    /// Writes the document in DCE's layout.
    pub fn write(&self) -> Written {
        let mut written = Written::default();
        let out = &mut written.bytes;
        out.extend_from_slice(
            b"{\n  \"guild\": {\n    \"id\": \"1\"\n  },\n  \"channel\": {\n    \"id\": \"1001\",\n    \"topic\": ",
        );
        self.topic.write(out);
        out.extend_from_slice(b"\n  },\n  \"messages\": [");
        written.head_end = out.len();
        for (index, message) in self.messages.iter().enumerate() {
            out.extend_from_slice(if index == 0 { b"\n    " } else { b",\n    " });
            if index > 0 {
                written.certain_at.push(out.len() + 1);
            }
            let message = message.json();
            message.write(2, out);
            written.message_ends.push(out.len());
            written.messages.push(message.value());
        }
        if !self.messages.is_empty() {
            out.extend_from_slice(b"\n  ");
            written.certain_at.push(out.len() + 1);
        }
        let count = self.messages.len();
        out.extend_from_slice(format!("],\n  \"messageCount\": {count}\n}}").as_bytes());
        written.complete_at = out.len();
        written
    }

    /// Removes the users of every reaction. Returns their number for each message.
    pub fn drop_users(&mut self) -> Vec<u64> {
        let users = |message: &mut Message| {
            message.reactions.iter_mut().map(|reaction| reaction.users.drain(..).len() as u64).sum()
        };
        self.messages.iter_mut().map(users).collect()
    }
}

impl Message {
    fn json(&self) -> Json<'_> {
        let time = DateTime::from_timestamp(self.sent_at.into(), 0).expect("before the year 2107");
        let mut entries = vec![
            entry("id", id(self.id)),
            entry("type", plain("\"Default\"")),
            entry("timestamp", plain(format!("\"{}\"", time.to_rfc3339()))),
            entry("timestampEdited", plain("null")),
            entry("isPinned", plain(self.is_pinned.to_string())),
            entry("content", Json::Text(&self.content)),
            entry("author", self.author.json(true)),
            entry("attachments", array(&self.attachments, Attachment::json)),
            entry("embeds", array(&self.embeds, Embed::json)),
            entry("stickers", Json::Array(Vec::new())),
            entry("reactions", array(&self.reactions, Reaction::json)),
            entry("mentions", array(&self.mentions, |user| user.json(true))),
            entry("inlineEmojis", Json::Array(Vec::new())),
        ];
        let known = entries.len();
        for (key, value) in &self.unknown {
            entries.push((Key::Text(key), Json::Text(value)));
        }
        // A known name must not be repeated, because its second value would have another type.
        let (known, unknown) = entries.split_at(known);
        let is_new =
            |(key, _): &&(Key<'_>, Json<'_>)| known.iter().all(|(name, _)| name.repaired() != key.repaired());
        Json::Object(known.iter().chain(unknown.iter().filter(is_new)).cloned().collect())
    }
}

impl User {
    fn json(&self, with_roles: bool) -> Json<'_> {
        let color = self.color.map_or("null".to_owned(), |color| format!("\"#{color:06X}\""));
        let mut entries = vec![
            entry("id", id(self.id)),
            entry("name", Json::Text(&self.name)),
            entry("nickname", Json::Text(&self.nickname)),
            entry("color", plain(color)),
            entry("isBot", plain(self.is_bot.to_string())),
        ];
        if with_roles {
            entries.push(entry(
                "roles",
                array(&self.roles, |name| {
                    Json::Object(vec![entry("id", plain("\"5\"")), entry("name", Json::Text(name))])
                }),
            ));
        }
        Json::Object(entries)
    }
}

impl Attachment {
    fn json(&self) -> Json<'_> {
        Json::Object(vec![
            entry("id", id(self.id)),
            entry("fileName", Json::Text(&self.file_name)),
            entry("fileSizeBytes", plain(self.size.to_string())),
        ])
    }
}

impl Embed {
    fn json(&self) -> Json<'_> {
        Json::Object(vec![
            entry("title", Json::Text(&self.title)),
            entry("description", Json::Text(&self.description)),
            entry(
                "fields",
                array(&self.fields, |(name, value)| {
                    Json::Object(vec![entry("name", Json::Text(name)), entry("value", Json::Text(value))])
                }),
            ),
        ])
    }
}

impl Reaction {
    fn json(&self) -> Json<'_> {
        Json::Object(vec![
            entry("emoji", Json::Object(vec![entry("name", Json::Text(&self.emoji))])),
            entry("count", plain(self.count.to_string())),
            entry("users", array(&self.users, |user| user.json(false))),
        ])
    }
}

/// JSON that keeps the spelling of its texts.
#[derive(Debug, Clone)]
enum Json<'a> {
    /// Written verbatim.
    Plain(Cow<'static, str>),
    Text(&'a Text),
    Array(Vec<Json<'a>>),
    Object(Vec<(Key<'a>, Json<'a>)>),
}

#[derive(Debug, Clone, Copy)]
enum Key<'a> {
    Known(&'static str),
    Text(&'a Text),
}

fn entry<'a>(key: &'static str, value: Json<'a>) -> (Key<'a>, Json<'a>) {
    (Key::Known(key), value)
}

fn plain(json: impl Into<Cow<'static, str>>) -> Json<'static> {
    Json::Plain(json.into())
}

fn id(id: u64) -> Json<'static> {
    plain(format!("\"{id}\""))
}

fn array<'a, T>(items: &'a [T], json: impl FnMut(&'a T) -> Json<'a>) -> Json<'a> {
    Json::Array(items.iter().map(json).collect())
}

impl Key<'_> {
    fn repaired(&self) -> String {
        match self {
            Self::Known(key) => (*key).to_owned(),
            Self::Text(text) => text.repaired(),
        }
    }
}

impl Json<'_> {
    /// The value that a reader must find.
    fn value(&self) -> Value {
        match self {
            Self::Plain(json) => serde_json::from_str(json).expect("JSON"),
            Self::Text(text) => Value::String(text.repaired()),
            Self::Array(items) => items.iter().map(Json::value).collect(),
            Self::Object(entries) => {
                entries.iter().map(|(key, value)| (key.repaired(), value.value())).collect()
            }
        }
    }

    fn write(&self, depth: usize, out: &mut Vec<u8>) {
        match self {
            Self::Plain(json) => out.extend_from_slice(json.as_bytes()),
            Self::Text(text) => text.write(out),
            Self::Array(items) => write_items(*b"[]", items, depth, out, |item, out| {
                item.write(depth + 1, out);
            }),
            Self::Object(entries) => write_items(*b"{}", entries, depth, out, |(key, value), out| {
                match key {
                    Key::Known(key) => out.extend_from_slice(format!("\"{key}\"").as_bytes()),
                    Key::Text(text) => text.write(out),
                }
                out.extend_from_slice(b": ");
                value.write(depth + 1, out);
            }),
        }
    }
}

fn write_items<T>(
    [open, close]: [u8; 2],
    items: &[T],
    depth: usize,
    out: &mut Vec<u8>,
    write: impl Fn(&T, &mut Vec<u8>),
) {
    let line = |depth: usize, out: &mut Vec<u8>| {
        out.push(b'\n');
        out.resize(out.len() + 2 * depth, b' ');
    };
    out.push(open);
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        line(depth + 1, out);
        write(item, out);
    }
    if !items.is_empty() {
        line(depth, out);
    }
    out.push(close);
}

impl Text {
    /// The text that a reader must find: characters that Postgres refuses are replaced.
    fn repaired(&self) -> String {
        let mut units = Vec::new();
        for piece in &self.0 {
            match piece {
                Piece::Raw(c) => units.extend_from_slice(c.encode_utf16(&mut [0; 2])),
                Piece::Escaped(unit) => units.push(*unit),
                Piece::Tricky(index) => units.extend(tricky(*index).encode_utf16()),
            }
        }
        String::from_utf16_lossy(&units).replace('\0', "\u{fffd}")
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.push(b'"');
        for piece in &self.0 {
            match piece {
                Piece::Raw(c) => write_char(*c, out),
                Piece::Escaped(unit) => write_unit(*unit, out),
                Piece::Tricky(index) => tricky(*index).chars().for_each(|c| write_char(c, out)),
            }
        }
        out.push(b'"');
    }
}

fn tricky(index: u8) -> &'static str {
    TRICKY[usize::from(index) % TRICKY.len()]
}

fn write_char(c: char, out: &mut Vec<u8>) {
    match c {
        '"' | '\\' => out.extend_from_slice(&[b'\\', c as u8]),
        '\n' => out.extend_from_slice(b"\\n"),
        c if c.is_control() => write_unit(c as u16, out),
        c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
    }
}

fn write_unit(unit: u16, out: &mut Vec<u8>) {
    out.extend_from_slice(format!("\\u{unit:04X}").as_bytes());
}
