//! Discord over HTTP, asked as DCE asks it.

mod client;
mod http;
mod objects;
mod retry;

use std::time::Instant;

pub(crate) use client::{DiscordClient, RequestError, TokenKind};
pub(crate) use http::HttpError;
pub(crate) use objects::{Application, Channel, Message, WithId};

use crate::channel_export::ChannelExport;
use crate::sigint::Sigint;

/// Waits between and during requests, which SIGINT ends.
pub(crate) trait Waiter {
    /// Waits until `due`; returns at once, and true, if SIGINT was received.
    fn wait_until(&mut self, due: Instant) -> bool;
}

impl Waiter for &Sigint {
    fn wait_until(&mut self, due: Instant) -> bool {
        Sigint::wait_until(self, due)
    }
}

/// Also prints the progress of the export.
impl Waiter for ChannelExport<'_> {
    fn wait_until(&mut self, due: Instant) -> bool {
        Self::wait_until(self, due).is_err()
    }
}
