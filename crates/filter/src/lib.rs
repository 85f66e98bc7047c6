//! The language in which an export chooses messages, as `DiscordChatExporter` defines it: a parser, and a matcher for
//! messages in the JSON that `DiscordChatExporter` writes.
//!
//! Conditions are whole words (`max`, `"two words"`), `from:`, `mentions:`, `reaction:` and `has:`. `-` or `~` negates one,
//! brackets group them. `|`, `&` and a space have the same precedence: `a | b c` means `(a | b) c`.

mod condition;
mod json;
mod links;
mod message;
mod parse;
mod syntax_error;
mod unicode;
mod whole_words;

use condition::Condition;

pub use message::Message;
pub use syntax_error::{Mistake, SyntaxError};

/// A parsed filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    condition: Condition,
}

impl Filter {
    /// Parses a filter. White space at its ends is ignored.
    pub fn parse(text: &str) -> Result<Self, SyntaxError> {
        parse::parse(text).map(|condition| Self { condition })
    }

    pub fn matches(&self, message: &Message<'_>) -> bool {
        self.condition.matches(message)
    }
}
