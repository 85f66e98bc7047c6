//! Client of Discord's REST API, as far as the service asks Discord itself.
//!
//! The client keeps Discord's rate limits, retries what may pass until the caller's deadline, and counts the requests that
//! Discord calls invalid. It works with the token of a bot or, if that is allowed, of a user.

mod classify;
mod client;
mod error;
mod exchange;
mod invalid_requests;
mod lone_surrogates;
mod message_stub;
mod model;
mod rate_limit_headers;
mod rate_limits;
mod retry;
mod route;
mod settings;
mod tls;
mod token_kind;

pub use client::{Answer, Client};
pub use error::{Error, ErrorKind, Unavailability};
pub use invalid_requests::{Clock, InvalidRequests};
pub use message_stub::MessageStub;
pub use model::{Application, Channel, Guild, MessageContentIntent, User};
pub use reqwest::Url;
pub use route::{MessagesQuery, Position};
pub use settings::{ClientSettings, DEFAULT_BASE_URL, SettingsError};
pub use token_kind::TokenKind;
