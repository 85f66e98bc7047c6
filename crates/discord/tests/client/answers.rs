//! Typed answers.

use std::time::Instant;

use dce_discord::{MessageContentIntent, MessageStub, MessagesQuery, Position};
use dce_snowflake::Snowflake;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::server::{Server, Step, authorization, header};
use crate::{CHANNEL, TOKEN, client_of_bot, soon};

const NEWEST: MessagesQuery = MessagesQuery { limit: 100, position: Position::Newest };

#[tokio::test]
async fn a_page_of_messages_comes_with_discords_time_and_its_cost() {
    let page = r#"[{"id":"9","type":0,"author":{"id":"1"}},{"id":"8","type":21,"message_reference":{"message_id":"2"}}]"#;
    let server = Server::start([Step::ok(page).header("Date", "Sat, 28 Nov 2026 00:36:39 GMT")]).await;
    let before = Instant::now();
    let client = crate::client(&server);
    let query = MessagesQuery { limit: 100, position: Position::Before(Snowflake::new(10)) };
    let answer = client.messages(CHANNEL, &query, soon()).await.unwrap();

    let id = |id| Some(Snowflake::new(id));
    let first = MessageStub { id: id(9), kind: Some(0), author_id: id(1), reference: None };
    let second = MessageStub { id: id(8), kind: Some(21), author_id: None, reference: id(2) };
    assert_eq!(answer.value, [first, second]);
    assert_eq!(answer.date, Some("2026-11-28T00:36:39Z".parse().unwrap()));
    assert!(answer.received >= before && answer.received <= Instant::now());
    // The first question also learns whose token it is.
    assert_eq!(answer.requests, 2);
    assert_eq!(server.paths(), ["/channels/7/messages?limit=100&before=10"]);
}

#[tokio::test]
async fn requests_have_the_token_and_the_user_agent_that_discord_demands() {
    let server = Server::start([Step::ok("[]")]).await;
    let answer = client_of_bot(&server).await.messages(CHANNEL, &NEWEST, soon()).await.unwrap();
    assert_eq!((answer.value.len(), answer.requests, answer.date), (0, 1, None));
    let head = &server.heads()[0];
    assert_eq!(authorization(head), format!("Bot {TOKEN}"));
    assert!(header(head, "user-agent").unwrap().starts_with("DiscordBot (https://"), "{head}");
}

#[tokio::test]
async fn every_odd_message_is_read() {
    #[derive(Deserialize)]
    struct Line<'a> {
        #[serde(borrow)]
        api: &'a RawValue,
    }
    let recorded = include_str!("../recordings/odd.jsonl");
    let messages: Vec<&str> =
        recorded.lines().map(|line| serde_json::from_str::<Line<'_>>(line).unwrap().api.get()).collect();
    assert_eq!(messages.len(), 59);
    let server = Server::start([Step::ok(&format!("[{}]", messages.join(",")))]).await;
    let stubs = client_of_bot(&server).await.messages(CHANNEL, &NEWEST, soon()).await.unwrap().value;
    assert_eq!(stubs.len(), 59);
    let usual = Snowflake::new(1_258_026_119_987_200_120);
    let unusual: Vec<_> = stubs.iter().map(|stub| stub.id).filter(|id| *id != Some(usual)).collect();
    // One has a number as its id, one has none.
    assert_eq!(unusual, [Some(Snowflake::new(5)), None]);
    assert_eq!(stubs.iter().filter(|stub| stub.kind.is_none()).count(), 1, "type: null");
    assert_eq!(stubs.iter().filter(|stub| stub.author_id.is_none()).count(), 1, "author: null");
    assert_eq!(stubs.iter().filter(|stub| stub.reference == Some(Snowflake::new(1))).count(), 2);
}

#[tokio::test]
async fn a_bot_its_application_and_a_channel_are_described() {
    let server = Server::start([
        Step::ok(r#"{"id":"5","name":"archiver","flags":524288,"bot_public":true}"#),
        Step::ok(r#"{"id":"7","type":11,"guild_id":"3","parent_id":"4","name":"lone \ud83d","last_message_id":null}"#),
        Step::ok(r#"{"id":"8","type":1,"recipients":[]}"#),
        Step::ok(r#"{"id":"9","type":0}"#),
    ])
    .await;
    let client = client_of_bot(&server).await;
    let owner = client.current_user(soon()).await.unwrap().value;
    assert_eq!((owner.username.as_str(), owner.bot), ("owner", true));
    let application = client.application(soon()).await.unwrap().value;
    assert_eq!(application.message_content(), MessageContentIntent::Limited);
    let thread = client.channel(CHANNEL, soon()).await.unwrap().value;
    assert_eq!(thread.parent_id, Some(Snowflake::new(4)));
    assert_eq!(thread.name.as_deref(), Some("lone \u{fffd}"));
    assert_eq!((thread.last_message_id, thread.is_direct()), (None, false));
    assert!(client.channel(Snowflake::new(8), soon()).await.unwrap().value.is_direct());
    let message = client.message(CHANNEL, Snowflake::new(9), soon()).await.unwrap().value;
    assert_eq!(message.id, Some(Snowflake::new(9)));
    assert_eq!(server.paths(), ["/applications/@me", "/channels/7", "/channels/8", "/channels/7/messages/9"]);
}

#[tokio::test]
async fn all_pages_of_servers_are_read() {
    let page = |ids: std::ops::RangeInclusive<u32>| {
        let guilds: Vec<_> = ids.map(|id| format!(r#"{{"id":"{id}","name":"server {id}"}}"#)).collect();
        Step::ok(&format!("[{}]", guilds.join(",")))
    };
    let server = Server::start([page(1..=200), page(201..=230)]).await;
    let guilds = client_of_bot(&server).await.guilds(soon()).await.unwrap();
    assert_eq!((guilds.value.len(), guilds.requests), (230, 2));
    assert_eq!(server.paths(), ["/users/@me/guilds?limit=200", "/users/@me/guilds?limit=200&after=200"]);
}
