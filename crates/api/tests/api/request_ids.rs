use serde_json::json;

use crate::support::{Answer, Api};

async fn health_with(api: &Api, id: &[u8]) -> String {
    let request = api.request(reqwest::Method::GET, "/health").header("x-request-id", id);
    Answer::send(request).await.header("x-request-id").to_owned()
}

#[tokio::test]
async fn a_valid_client_id_is_echoed_and_any_other_is_replaced() {
    let api = Api::start(&[]).await;
    assert_eq!(health_with(&api, b"order-17:retry_2.a").await, "order-17:retry_2.a");
    for garbage in [&b"a b"[..], b"<script>", b"\"}", b"\xff\xfe", &[b'x'; 129]] {
        let id = health_with(&api, garbage).await;
        assert_eq!(id.len(), 36, "a new UUID, not {id:?}");
    }
    let one = api.get("/health").await.header("x-request-id").to_owned();
    assert_ne!(one, api.get("/health").await.header("x-request-id"));
}

#[tokio::test]
async fn response_export_and_log_have_the_same_request_id() {
    let api = Api::start(&[]).await;
    let request = api.request(reqwest::Method::POST, "/exports").header("x-request-id", "trace-me");
    let created = Answer::send(request.json(&json!({ "channel_id": "1", "filter": "verysecretword" }))).await;
    assert_eq!(created.header("x-request-id"), "trace-me");
    assert_eq!(api.get(created.header("location")).await.body["request_id"], "trace-me");

    for message in ["export.created", "request.answered"] {
        let line = api.log_line(message, "trace-me").await;
        assert_eq!(line["span"]["request_id"], "trace-me");
        assert_eq!(line["span"]["job_id"], created.body["job_id"]);
        assert_eq!(line["span"]["method"], "POST");
    }
    assert_eq!(api.log_line("request.answered", "trace-me").await["status"], 202);
    assert!(!api.process.lines().join("\n").contains("verysecretword"));
}
