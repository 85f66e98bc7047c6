//! Requests as the log keeps them.

use std::time::Duration;

use super::route::Route;

/// The form of the `Authorization` header; the token itself is not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Auth {
    Missing,
    /// `Bot TOKEN`
    Bot,
    /// The token alone, as users have it.
    User,
}

/// A request that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Since the start of the fake.
    pub at: Duration,
    pub route: Route,
    pub auth: Auth,
    /// Parameters of the query in their order.
    pub query: Vec<(String, String)>,
    /// The status of the answer. None: no answer was begun.
    pub status: Option<u16>,
}

impl Request {
    /// The value of a parameter of the query.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    /// Whether it asks for messages of this channel.
    pub fn is_for_messages_of(&self, channel: &str) -> bool {
        matches!(&self.route, Route::Messages(asked) if asked == channel)
    }
}
