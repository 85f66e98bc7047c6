//! Whose token it is, and that it stays secret.

use dce_discord::{Client, ClientSettings, ErrorKind, MessagesQuery, Position, TokenKind};
use secrecy::SecretString;

use crate::server::{HTML, Owner, Server, Step, UNAUTHORIZED, authorization};
use crate::{CHANNEL, TOKEN, client, settings, soon};

const NEWEST: MessagesQuery = MessagesQuery { limit: 1, position: Position::Newest };

fn owner(bot: bool) -> Step {
    Step::ok(&format!(r#"{{"id":"1","username":"owner","bot":{bot}}}"#))
}

#[tokio::test]
async fn the_owner_of_the_token_is_asked_for_once() {
    let server = Server::with_owner(Owner::Scripted, [owner(true), Step::ok("[]"), Step::ok("[]")]).await;
    let client = client(&server);
    let questions = tokio::join!(
        client.messages(CHANNEL, &NEWEST, soon()),
        client.messages(CHANNEL, &NEWEST, soon()),
        client.token_kind(soon()),
    );
    let costs = questions.0.unwrap().requests + questions.1.unwrap().requests;
    assert_eq!(questions.2, Ok(TokenKind::Bot));
    assert!((2..=3).contains(&costs), "{costs}");
    assert_eq!(server.paths().iter().filter(|path| *path == "/users/@me").count(), 1);
}

#[tokio::test]
async fn a_users_token_is_used_if_it_is_allowed() {
    let server = Server::with_owner(Owner::User, [Step::ok("[]")]).await;
    let client = Client::new(ClientSettings { allow_user_token: true, ..settings(&server) }).unwrap();
    let answer = client.messages(CHANNEL, &NEWEST, soon()).await.unwrap();
    assert_eq!(answer.requests, 3, "as a bot, as a user, and the question");
    assert_eq!(client.token_kind(soon()).await, Ok(TokenKind::User));
    assert_eq!(authorization(&server.heads()[0]), TOKEN);
}

#[tokio::test]
async fn a_users_token_that_is_not_allowed_asks_nothing() {
    let server = Server::with_owner(Owner::User, [Step::ok("[]")]).await;
    let client = client(&server);
    let error = client.messages(CHANNEL, &NEWEST, soon()).await.unwrap_err();
    assert_eq!((error.kind(), error.requests()), (&ErrorKind::UserTokenNotAllowed, 2));
    let error = client.current_user(soon()).await.unwrap_err();
    assert_eq!((error.kind(), error.requests()), (&ErrorKind::UserTokenNotAllowed, 0));
    assert!(server.paths().is_empty());
    assert_eq!(client.token_kind(soon()).await, Ok(TokenKind::User));
}

#[tokio::test]
async fn a_token_that_is_refused_in_both_forms_is_unauthorized_and_asked_for_again() {
    let refused = Step::status(401, UNAUTHORIZED);
    let server = Server::with_owner(Owner::Scripted, [refused.clone(), refused, owner(true)]).await;
    let client = client(&server);
    let error = client.token_kind(soon()).await.unwrap_err();
    assert_eq!((error.kind(), error.requests()), (&ErrorKind::Unauthorized, 2));
    assert_eq!(client.token_kind(soon()).await, Ok(TokenKind::Bot));
}

#[tokio::test]
async fn a_refusal_that_is_not_discords_word_decides_nothing_about_the_token() {
    for status in [400, 401, 403] {
        let server = Server::with_owner(Owner::Scripted, [Step::status(status, HTML), owner(true)]).await;
        let client = client(&server);
        let error = client.token_kind(soon()).await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Refused { by_discord: false, .. }), "{error:?}");
        assert_eq!(client.token_kind(soon()).await, Ok(TokenKind::Bot));
    }
}

#[tokio::test]
async fn a_bot_that_was_refused_once_by_mistake_stays_a_bot() {
    let server = Server::with_owner(Owner::Scripted, [Step::status(401, UNAUTHORIZED), owner(true)]).await;
    assert_eq!(client(&server).token_kind(soon()).await, Ok(TokenKind::Bot));
}

#[tokio::test]
async fn the_token_is_in_no_text() {
    let server = Server::start([]).await;
    let settings = settings(&server);
    let client = Client::new(settings.clone()).unwrap();
    let unsendable = SecretString::from(format!("{TOKEN}\n"));
    let token_error = Client::new(ClientSettings { token: unsendable, ..settings.clone() }).unwrap_err();
    let base_url = "ftp://example.com".parse().unwrap();
    let url_error = Client::new(ClientSettings { base_url, ..settings.clone() }).unwrap_err();
    let texts = [
        format!("{settings:?} {client:?}"),
        format!("{token_error} {token_error:?}"),
        format!("{url_error} {url_error:?}"),
    ];
    for text in &texts {
        assert!(!text.contains("secret"), "{text}");
    }
    assert!(texts[2].contains("ftp://example.com"));
}
