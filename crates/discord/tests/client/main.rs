//! The client against a scripted server.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test stops at what it does not expect")]

mod answers;
mod limits;
mod refusals;
mod retries;
mod server;
mod token;

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use dce_discord::{Client, ClientSettings};
use dce_snowflake::Snowflake;

use crate::server::Server;

const TOKEN: &str = "MTIz.secret.token";
const CHANNEL: Snowflake = Snowflake::new(7);

fn settings(server: &Server) -> ClientSettings {
    ClientSettings {
        base_url: server.url.parse().unwrap(),
        token: TOKEN.into(),
        allow_user_token: false,
        shared_by: NonZeroU32::MIN,
    }
}

fn client(server: &Server) -> Client {
    Client::new(settings(server)).unwrap()
}

/// A client whose token is known to be a bot's.
async fn client_of_bot(server: &Server) -> Client {
    let client = client(server);
    client.token_kind(soon()).await.unwrap();
    client
}

/// Longer than any answer of a scripted server takes.
fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}
