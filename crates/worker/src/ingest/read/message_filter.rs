//! Decides which messages of a document an export stores.

use std::borrow::Cow;

use dce_filter::Filter;
use dce_ingest::message::columns::Message;

/// The filter of an export.
#[derive(Debug, Clone)]
pub(crate) struct MessageFilter(Filter);

impl From<Filter> for MessageFilter {
    fn from(filter: Filter) -> Self {
        Self(filter)
    }
}

impl MessageFilter {
    pub(super) fn matches(&self, message: &Message<'_>) -> bool {
        self.0.matches(&dce_filter::Message {
            content: message.content.as_deref().map(Cow::Borrowed),
            is_pinned: message.is_pinned,
            author: message.author.unwrap_or_default(),
            mentions: message.mentions.unwrap_or_default(),
            reactions: message.reactions.unwrap_or_default(),
            attachments: message.attachments.unwrap_or_default(),
            embeds: message.embeds.unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_condition_finds_its_field() {
        let message = json!({
            "id": "1", "timestamp": "2024-07-03T09:46:40Z", "content": "some \"words\"", "isPinned": true,
            "author": { "id": "7", "name": "alice" }, "mentions": [{ "id": "8", "name": "bob" }],
            "reactions": [{ "emoji": { "name": "blob" } }], "attachments": [{ "fileName": "a.png" }],
            "embeds": [{ "title": "max" }],
        })
        .to_string();
        let message = Message::parse(&message).unwrap();
        for filter in ["words", "max", "from:alice", "mentions:bob", "reaction:blob", "has:image", "has:pin"]
        {
            let matches = |text: &str| MessageFilter(Filter::parse(text).unwrap()).matches(&message);
            assert!(matches(filter) && !matches(&format!("~{filter}")), "{filter}");
        }
    }
}
