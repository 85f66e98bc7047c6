//! Answers that end a question at once.

use dce_discord::{ErrorKind, MessagesQuery, Position};

use crate::server::{HTML, Server, Step, UNAUTHORIZED};
use crate::{CHANNEL, TOKEN, client_of_bot, soon};

const NEWEST: MessagesQuery = MessagesQuery { limit: 1, position: Position::Newest };

/// The error of a question that is asked once.
async fn refusal(step: Step) -> ErrorKind {
    let server = Server::start([step]).await;
    let client = client_of_bot(&server).await;
    let error = client.messages(CHANNEL, &NEWEST, soon()).await.unwrap_err();
    assert_eq!((error.requests(), server.paths().len()), (1, 1), "{error}");
    assert!(!format!("{error} {error:?}").contains(TOKEN));
    error.kind().clone()
}

#[tokio::test]
async fn discords_own_refusals_are_told_apart() {
    assert_eq!(refusal(Step::status(401, UNAUTHORIZED)).await, ErrorKind::Unauthorized);
    let missing_access = Step::status(403, r#"{"message":"Missing Access","code":50001}"#);
    assert_eq!(refusal(missing_access).await, ErrorKind::Forbidden { code: Some(50_001) });
    let unknown_channel = Step::status(404, r#"{"message":"Unknown Channel","code":10003}"#);
    assert_eq!(refusal(unknown_channel).await, ErrorKind::NotFound { code: Some(10_003) });
}

#[tokio::test]
async fn refusals_of_the_edge_are_not_discords_word() {
    for status in [400, 401, 403, 404] {
        let step = Step::status(status, HTML).header("Content-Type", "text/html").header("Retry-After", 30);
        let kind = refusal(step).await;
        let ErrorKind::Refused { status: refused, by_discord: false, retry_after, .. } = kind else {
            panic!("{status}: {kind:?}")
        };
        assert_eq!((refused, retry_after.unwrap().as_secs()), (status, 30));
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed_because_it_could_carry_the_token_away() {
    let elsewhere = Server::start([Step::ok("[]")]).await;
    let step = Step::status(302, "").header("Location", &elsewhere.url);
    assert!(matches!(refusal(step).await, ErrorKind::Refused { status: 302, .. }));
    assert!(elsewhere.paths().is_empty());
}

#[tokio::test]
async fn a_whole_answer_of_another_form_is_unreadable_and_not_quoted() {
    for body in ["{}", HTML, r#"{"content":"private words"}"#, "\"private words\""] {
        let kind = refusal(Step::ok(body)).await;
        assert!(matches!(kind, ErrorKind::Unreadable { .. }), "{body}: {kind:?}");
        assert!(!format!("{kind} {kind:?}").contains("private"));
    }
}

#[tokio::test]
async fn an_answer_without_end_is_unreadable() {
    let kind = refusal(Step::ok(&" ".repeat((32 << 20) + 1))).await;
    assert!(matches!(kind, ErrorKind::Unreadable { .. }), "{kind:?}");
}
