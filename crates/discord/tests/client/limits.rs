//! Discord's limits: buckets, the global one, and that of invalid requests.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use dce_discord::{Client, ClientSettings, Error, ErrorKind, MessagesQuery, Position};
use dce_snowflake::Snowflake;

use crate::server::{HTML, Server, Step};
use crate::{CHANNEL, client_of_bot, settings, soon};

async fn ask(client: &Client, channel: Snowflake, deadline: Instant) -> Result<u32, Error> {
    let query = MessagesQuery { limit: 1, position: Position::Newest };
    client.messages(channel, &query, deadline).await.map(|answer| answer.requests)
}

#[tokio::test]
async fn a_used_up_bucket_is_waited_for_and_other_channels_are_not_held_up() {
    let used_up = Step::ok("[]")
        .header("X-RateLimit-Bucket", "b")
        .header("X-RateLimit-Limit", 5)
        .header("X-RateLimit-Remaining", 0)
        .header("X-RateLimit-Reset-After", 1.5);
    let server = Server::start([used_up, Step::ok("[]"), Step::ok("[]")]).await;
    let client = client_of_bot(&server).await;
    let begun = Instant::now();
    ask(&client, CHANNEL, soon()).await.unwrap();
    ask(&client, Snowflake::new(8), soon()).await.unwrap();
    assert!(begun.elapsed() < Duration::from_millis(1_500));
    assert_eq!(ask(&client, CHANNEL, soon()).await, Ok(1));
    assert!(begun.elapsed() >= Duration::from_millis(1_500));
}

#[tokio::test]
async fn a_block_of_the_address_holds_up_every_route() {
    let blocked = Step::status(429, HTML).header("Retry-After", 60);
    let server = Server::start([blocked, Step::ok("[]")]).await;
    let client = client_of_bot(&server).await;
    for channel in [7, 8] {
        let error = ask(&client, Snowflake::new(channel), soon()).await.unwrap_err();
        let ErrorKind::RateLimited { retry_after } = error.kind() else { panic!("{error:?}") };
        assert!(retry_after.as_secs() > 50);
    }
    assert_eq!(server.paths().len(), 1);
}

#[tokio::test]
async fn too_many_invalid_requests_stop_the_client_before_discord_does() {
    let shared = Step::status(429, r#"{"retry_after":0.1}"#).header("X-RateLimit-Scope", "shared");
    let forbidden = Step::status(403, r#"{"code":50001}"#);
    let server = Server::start([shared, forbidden.clone(), forbidden]).await;
    // 8,000 / 4,000: the second invalid request is the last one.
    let settings = ClientSettings { shared_by: NonZeroU32::new(4_000).unwrap(), ..settings(&server) };
    let client = Client::new(settings).unwrap();
    client.token_kind(soon()).await.unwrap();
    for _ in 0..2 {
        assert!(!client.invalid_requests().is_exhausted());
        let error = ask(&client, CHANNEL, soon()).await.unwrap_err();
        assert_eq!(error.kind(), &ErrorKind::Forbidden { code: Some(50_001) });
    }
    assert!(client.invalid_requests().is_exhausted());
    let error = ask(&client, CHANNEL, soon()).await.unwrap_err();
    let ErrorKind::TooManyInvalidRequests { retry_after } = error.kind() else { panic!("{error:?}") };
    assert!(retry_after.as_secs() > 590);
    assert_eq!((error.requests(), server.paths().len()), (0, 3));
}

#[tokio::test]
async fn invalid_requests_of_others_count_too() {
    let server = Server::start([]).await;
    let settings = ClientSettings { shared_by: NonZeroU32::new(8_000).unwrap(), ..settings(&server) };
    let client = Client::new(settings).unwrap();
    client.invalid_requests().record();
    let error = ask(&client, CHANNEL, soon()).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::TooManyInvalidRequests { .. }));
}
