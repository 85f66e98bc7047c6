//! Random DCE documents in any layout, with the values that a reader must find in them.

use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Map, Value};

/// A string as UTF-16 units, including lone surrogates and NUL, each written raw or escaped.
#[derive(Debug, Clone)]
pub(crate) struct Text(Vec<(u16, Style)>);

#[derive(Debug, Clone, Copy)]
pub(crate) enum Style {
    /// Unescaped, where JSON allows it.
    Raw,
    /// The short form, such as `\n`, where there is one.
    Short,
    /// `\u000a`.
    Lower,
    /// `\u000A`.
    Upper,
}

#[derive(Debug, Clone)]
pub(crate) enum Json {
    Scalar(&'static str),
    Text(Text),
    Array(Vec<Json>),
    Object(Vec<(Text, Json)>),
}

/// The whitespace of a document.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Layout {
    pub(crate) newline: &'static str,
    pub(crate) indent: &'static str,
    pub(crate) after_colon: &'static str,
    pub(crate) before_comma: &'static str,
}

/// The layout of DCE.
pub(crate) const DCE: Layout = Layout { newline: "\n", indent: "  ", after_colon: " ", before_comma: "" };

#[derive(Debug, Clone)]
pub(crate) struct Document {
    pub(crate) topic: Text,
    pub(crate) messages: Vec<Vec<(Text, Json)>>,
    /// `messageCount` is before the messages (`true`), after them (`false`), or absent (`None`).
    pub(crate) count_first: Option<bool>,
    pub(crate) extra: Json,
    pub(crate) layout: Layout,
    pub(crate) byte_order_mark: bool,
}

/// A written document.
pub(crate) struct Written {
    pub(crate) bytes: Vec<u8>,
    /// For each message, the number of bytes up to and including the first byte of its follower.
    pub(crate) certain_at: Vec<usize>,
    /// Number of bytes up to and including the root object's closing bracket.
    pub(crate) complete_at: usize,
}

impl Text {
    pub(crate) fn plain(text: &str) -> Self {
        Self(text.encode_utf16().map(|unit| (unit, Style::Raw)).collect())
    }

    /// Writes every character as an escape.
    pub(crate) fn escaped(text: &str) -> Self {
        Self(text.encode_utf16().map(|unit| (unit, Style::Lower)).collect())
    }

    /// The text that a reader must find: characters that Postgres refuses are replaced.
    pub(crate) fn repaired(&self) -> String {
        let units: Vec<u16> = self.0.iter().map(|(unit, _)| *unit).collect();
        String::from_utf16_lossy(&units).replace('\0', "\u{fffd}")
    }

    pub(crate) fn repairs(&self) -> u32 {
        let replaced = |unit: &Result<char, _>| !matches!(unit, Ok('\u{1}'..));
        let count = char::decode_utf16(self.0.iter().map(|(unit, _)| *unit)).filter(replaced).count();
        u32::try_from(count).unwrap()
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.push(b'"');
        let mut styles = self.0.iter().map(|(_, style)| *style);
        for decoded in char::decode_utf16(self.0.iter().map(|(unit, _)| *unit)) {
            let style = styles.next().unwrap();
            match decoded {
                Ok(c) => {
                    styles.by_ref().take(c.len_utf16() - 1).for_each(drop);
                    write_char(c, style, out);
                }
                Err(lone) => write_unit(lone.unpaired_surrogate(), style, out),
            }
        }
        out.push(b'"');
    }
}

fn write_char(c: char, style: Style, out: &mut Vec<u8>) {
    let short = match c {
        '"' => Some('"'),
        '\\' => Some('\\'),
        '/' => Some('/'),
        '\u{8}' => Some('b'),
        '\u{c}' => Some('f'),
        '\n' => Some('n'),
        '\r' => Some('r'),
        '\t' => Some('t'),
        _ => None,
    };
    match (style, short) {
        (Style::Raw, _) if c != '"' && c != '\\' => {
            out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        }
        (Style::Raw | Style::Short, Some(letter)) => out.extend_from_slice(&[b'\\', letter as u8]),
        _ => c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| write_unit(*unit, style, out)),
    }
}

fn write_unit(unit: u16, style: Style, out: &mut Vec<u8>) {
    let escape =
        if matches!(style, Style::Upper) { format!("\\u{unit:04X}") } else { format!("\\u{unit:04x}") };
    out.extend_from_slice(escape.as_bytes());
}

impl Json {
    pub(crate) fn repairs(&self) -> u32 {
        match self {
            Self::Scalar(_) => 0,
            Self::Text(text) => text.repairs(),
            Self::Array(items) => items.iter().map(Self::repairs).sum(),
            Self::Object(entries) => repairs(entries),
        }
    }

    /// The value that a reader must find. Of a repeated key, the last value counts.
    pub(crate) fn value(&self) -> Value {
        match self {
            Self::Scalar(text) => serde_json::from_str(text).unwrap(),
            Self::Text(text) => Value::String(text.repaired()),
            Self::Array(items) => items.iter().map(Self::value).collect(),
            Self::Object(entries) => value(entries),
        }
    }

    fn write(&self, layout: Layout, depth: usize, out: &mut Vec<u8>) {
        match self {
            Self::Scalar(text) => out.extend_from_slice(text.as_bytes()),
            Self::Text(text) => text.write(out),
            Self::Array(items) => {
                write_items(*b"[]", items, layout, depth, out, |item, out| {
                    item.write(layout, depth + 1, out);
                });
            }
            Self::Object(entries) => {
                write_items(*b"{}", entries, layout, depth, out, |(key, value), out| {
                    key.write(out);
                    out.push(b':');
                    out.extend_from_slice(layout.after_colon.as_bytes());
                    value.write(layout, depth + 1, out);
                });
            }
        }
    }
}

pub(crate) fn value(entries: &[(Text, Json)]) -> Value {
    Value::Object(entries.iter().map(|(key, value)| (key.repaired(), value.value())).collect::<Map<_, _>>())
}

pub(crate) fn repairs(entries: &[(Text, Json)]) -> u32 {
    entries.iter().map(|(key, value)| key.repairs() + value.repairs()).sum()
}

fn write_items<T>(
    [open, close]: [u8; 2],
    items: &[T],
    layout: Layout,
    depth: usize,
    out: &mut Vec<u8>,
    mut write: impl FnMut(&T, &mut Vec<u8>),
) {
    out.push(open);
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.extend_from_slice(layout.before_comma.as_bytes());
            out.push(b',');
        }
        line(layout, depth + 1, out);
        write(item, out);
    }
    if !items.is_empty() {
        line(layout, depth, out);
    }
    out.push(close);
}

fn line(layout: Layout, depth: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(layout.newline.as_bytes());
    for _ in 0..depth {
        out.extend_from_slice(layout.indent.as_bytes());
    }
}

impl Document {
    pub(crate) fn write(&self) -> Written {
        let text = |text: &str| Json::Text(Text::plain(text));
        let key = Text::plain;
        let count = |first| {
            (self.count_first == Some(first))
                .then(|| (key("messageCount"), Json::Scalar(COUNTS[self.messages.len()])))
        };
        let channel = vec![
            (key("id"), text("1001")),
            (key("type"), text("GuildTextChat")),
            (key("categoryId"), Json::Scalar("null")),
            (key("name"), text("gen\"eral")),
            (key("topic"), Json::Text(self.topic.clone())),
            (key("messages"), Json::Array(vec![Json::Object(vec![])])),
        ];
        let head = [(key("channel"), Json::Object(channel)), (key("extra"), self.extra.clone())];
        let tail = [(key("dateRange"), self.extra.clone())];

        let mut out = if self.byte_order_mark { "\u{feff}".as_bytes().to_vec() } else { Vec::new() };
        let mut certain_at = Vec::new();
        out.push(b'{');
        for (key, value) in count(true).iter().chain(&head) {
            self.write_entry(key, value, &mut out);
            self.write_comma(&mut out);
        }
        self.write_key(&key("messages"), &mut out);
        out.push(b'[');
        for (index, message) in self.messages.iter().enumerate() {
            if index > 0 {
                self.write_comma(&mut out);
            }
            line(self.layout, 2, &mut out);
            if index > 0 {
                certain_at.push(out.len() + 1);
            }
            Json::Object(message.clone()).write(self.layout, 2, &mut out);
        }
        if !self.messages.is_empty() {
            line(self.layout, 1, &mut out);
            certain_at.push(out.len() + 1);
        }
        out.push(b']');
        for (key, value) in tail.iter().chain(&count(false)) {
            self.write_comma(&mut out);
            self.write_entry(key, value, &mut out);
        }
        line(self.layout, 0, &mut out);
        out.push(b'}');
        let complete_at = out.len();
        out.extend_from_slice(self.layout.newline.as_bytes());
        Written { bytes: out, certain_at, complete_at }
    }

    fn write_key(&self, key: &Text, out: &mut Vec<u8>) {
        line(self.layout, 1, out);
        key.write(out);
        out.push(b':');
        out.extend_from_slice(self.layout.after_colon.as_bytes());
    }

    fn write_entry(&self, key: &Text, value: &Json, out: &mut Vec<u8>) {
        self.write_key(key, out);
        value.write(self.layout, 1, out);
    }

    fn write_comma(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.layout.before_comma.as_bytes());
        out.push(b',');
    }
}

/// From 0 to one more than the maximum number of messages in a document.
const COUNTS: [&str; 6] = ["0", "1", "2", "3", "4", "5"];

fn unit() -> impl Strategy<Value = u16> {
    prop_oneof![
        4 => 0x20..0x7F_u16,
        1 => prop::sample::select(vec![0x22, 0x5C, 0x2F, 0x08, 0x0A, 0x0D, 0x09, 0x1B, 0x7F]),
        1 => Just(0),
        1 => prop::sample::select(vec![0xE9, 0xAE38, 0x2028, 0xFEFF, 0xFFFD, 0xFFFE, 0xFFFF]),
        1 => 0xD800..0xE000_u16,
    ]
}

fn piece() -> impl Strategy<Value = Vec<u16>> {
    prop_oneof![
        8 => unit().prop_map(|unit| vec![unit]),
        1 => any::<char>().prop_map(|c| c.encode_utf16(&mut [0; 2]).to_vec()),
        1 => prop::sample::select(vec!["\"messages\": [", "},\n    {", "\n  ]", "\\u0000", "messages", "👩‍🚀"])
            .prop_map(|text| text.encode_utf16().collect()),
    ]
}

pub(crate) fn text() -> impl Strategy<Value = Text> {
    let style = prop::sample::select(vec![Style::Raw, Style::Short, Style::Lower, Style::Upper]);
    prop::collection::vec((piece(), style), 0..8).prop_map(|pieces| {
        Text(pieces.iter().flat_map(|(units, style)| units.iter().map(|unit| (*unit, *style))).collect())
    })
}

pub(crate) fn json() -> impl Strategy<Value = Json> {
    let scalars = ["null", "true", "false", "0", "-12", "1.5e3", "18446744073709551615", "-0.25"];
    let leaf = prop_oneof![
        prop::sample::select(scalars.to_vec()).prop_map(Json::Scalar),
        text().prop_map(Json::Text)
    ];
    leaf.prop_recursive(4, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Json::Array),
            prop::collection::vec((text(), inner), 0..3).prop_map(Json::Object),
        ]
    })
}

pub(crate) fn layout() -> impl Strategy<Value = Layout> {
    prop::sample::select(vec![
        DCE,
        Layout { newline: "", indent: "", after_colon: "", before_comma: "" },
        Layout { newline: "\n", indent: "\t", after_colon: " ", before_comma: "" },
        Layout { newline: "\r\n", indent: "    ", after_colon: "\t\r\n  ", before_comma: " " },
    ])
}

pub(crate) fn document() -> impl Strategy<Value = Document> {
    let message = prop::collection::vec((text(), json()), 0..4);
    let messages = prop::collection::vec(message, 0..5);
    (text(), messages, any::<Option<bool>>(), json(), layout(), any::<bool>()).prop_map(
        |(topic, messages, count_first, extra, layout, byte_order_mark)| Document {
            topic,
            messages,
            count_first,
            extra,
            layout,
            byte_order_mark,
        },
    )
}

/// Splits the bytes into chunks at these positions.
pub(crate) fn chunks<'a>(bytes: &'a [u8], cuts: &[Index]) -> Vec<&'a [u8]> {
    let mut positions: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    positions.push(bytes.len());
    positions.sort_unstable();
    let mut start = 0;
    positions.into_iter().map(|end| &bytes[std::mem::replace(&mut start, end)..end]).collect()
}
