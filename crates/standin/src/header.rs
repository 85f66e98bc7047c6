//! The head of a DCE document: guild and channel.

use serde::Deserialize;

/// First line of the part that differs from export to export.
pub const DATE_RANGE_LINE: &[u8] = b"  \"dateRange\": {\n";

/// Guild and channel, as bytes to copy and as names for DCE's texts.
#[derive(Debug, Clone)]
pub struct Header {
    /// From the document's `{` up to [`DATE_RANGE_LINE`].
    pub bytes: Vec<u8>,
    pub guild: Guild,
    pub channel: Channel,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Guild {
    pub id: String,
    pub name: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Channel {
    pub id: String,
    pub name: String,
    /// The parent: of a thread, its channel.
    pub category: Option<String>,
    pub category_id: Option<String>,
}

#[derive(Deserialize)]
struct Names {
    guild: Guild,
    channel: Channel,
}

impl Header {
    pub fn from_bytes(bytes: Vec<u8>) -> serde_json::Result<Self> {
        let mut document = bytes.trim_ascii_end().to_vec();
        if document.last() == Some(&b',') {
            document.pop();
        }
        document.push(b'}');
        let Names { guild, channel } = serde_json::from_slice(&document)?;
        Ok(Self { bytes, guild, channel })
    }

    /// The head of a channel of which only the id is known.
    pub fn nameless(channel: &str) -> Self {
        Self {
            bytes: Vec::new(),
            guild: Guild { id: String::new(), name: String::new() },
            channel: Channel { id: channel.into(), name: channel.into(), category: None, category_id: None },
        }
    }

    /// The channel's name in DCE's progress and summary: `Category / channel`.
    pub fn label(&self) -> String {
        let Channel { name, category, .. } = &self.channel;
        category.as_ref().map_or_else(|| name.clone(), |category| format!("{category} / {name}"))
    }
}
