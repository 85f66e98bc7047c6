//! What may pass is asked again, until the deadline.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use dce_discord::{Client, ClientSettings, Error, ErrorKind, MessagesQuery, Position, Unavailability};

use crate::server::{HTML, Server, Step};
use crate::{CHANNEL, client, client_of_bot, settings, soon};

async fn ask(client: &Client, deadline: Instant) -> Result<u32, Error> {
    let query = MessagesQuery { limit: 1, position: Position::Newest };
    client.messages(CHANNEL, &query, deadline).await.map(|answer| answer.requests)
}

#[tokio::test]
async fn failures_that_pass_cost_requests_but_no_error() {
    for failure in [
        Step::status(500, ""),
        Step::status(503, HTML),
        Step::Close,
        Step::BreakBody,
        // Complete by its length, but not by its brackets.
        Step::ok(r#"[{"id":"1""#),
        Step::status(429, r#"{"retry_after":0.2}"#),
    ] {
        let server = Server::start([failure, Step::ok("[]")]).await;
        assert_eq!(ask(&client_of_bot(&server).await, soon()).await, Ok(2));
    }
}

#[tokio::test]
async fn at_the_deadline_the_last_reason_is_reported() {
    for (failure, reason) in [
        (Step::status(502, ""), Unavailability::Status { status: 502, retry_after: None }),
        (Step::BreakBody, Unavailability::BrokenBody),
    ] {
        let server = Server::start(vec![failure; 20]).await;
        let client = client_of_bot(&server).await;
        let deadline = Instant::now() + Duration::from_millis(1_200);
        let error = ask(&client, deadline).await.unwrap_err();
        assert_eq!(error.kind(), &ErrorKind::Unavailable(reason));
        assert!(error.requests() >= 2 && error.requests() as usize == server.paths().len());
        assert!(Instant::now() <= deadline, "a pause beyond the deadline is not waited for");
    }
}

#[tokio::test]
async fn an_answer_that_stalls_ends_with_the_deadline() {
    let server = Server::start([Step::StallInBody]).await;
    let client = client_of_bot(&server).await;
    let deadline = Instant::now() + Duration::from_millis(400);
    let error = ask(&client, deadline).await.unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::Unavailable(Unavailability::Timeout));
    assert!(deadline.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn a_stall_at_the_deadline_does_not_hide_the_reason_before_it() {
    for (failure, rate_limited) in
        [(Step::status(500, ""), false), (Step::status(429, r#"{"retry_after":0.2}"#), true)]
    {
        let server = Server::start([failure, Step::StallInBody]).await;
        let client = client_of_bot(&server).await;
        let error = ask(&client, Instant::now() + Duration::from_millis(1_200)).await.unwrap_err();
        let reason = Unavailability::Status { status: 500, retry_after: None };
        match error.kind() {
            ErrorKind::RateLimited { .. } => assert!(rate_limited),
            kind => assert_eq!(kind, &ErrorKind::Unavailable(reason)),
        }
        assert_eq!(error.requests(), 2);
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named_as_a_lost_connection() {
    let server = Server::start([]).await;
    let unused = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let base_url = format!("http://{unused}").parse().unwrap();
    let client = Client::new(ClientSettings { base_url, ..settings(&server) }).unwrap();
    let error = ask(&client, Instant::now() + Duration::from_millis(400)).await.unwrap_err();
    assert!(error.to_string().contains("refused"), "{error}");
}

#[tokio::test]
async fn a_wait_beyond_the_deadline_is_reported_at_once() {
    let limited = Step::status(429, r#"{"retry_after":40.5}"#);
    let server = Server::start([limited, Step::ok("[]")]).await;
    let client = client_of_bot(&server).await;
    let begun = Instant::now();
    let error = ask(&client, soon()).await.unwrap_err();
    let ErrorKind::RateLimited { retry_after } = error.kind() else { panic!("{error:?}") };
    assert!(retry_after.as_secs() >= 39 && begun.elapsed() < Duration::from_secs(5));
    // The next question knows it without asking.
    let error = ask(&client, soon()).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::RateLimited { .. }));
    assert_eq!((error.requests(), server.paths().len()), (0, 1));
}

#[tokio::test]
async fn a_deadline_that_has_passed_costs_no_request() {
    let server = Server::start([Step::ok("[]")]).await;
    let error = ask(&client(&server), Instant::now()).await.unwrap_err();
    assert_eq!(error.kind(), &ErrorKind::Unavailable(Unavailability::Timeout));
    assert_eq!((error.requests(), server.paths().len()), (0, 0));
}
