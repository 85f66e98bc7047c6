use reqwest::Method;

use crate::support::{Answer, Api};

#[tokio::test]
async fn every_refusal_is_a_problem_document() {
    let api = Api::start(&[]).await;
    let json = Some("application/json");
    let large = format!("{{\"filter\": \"{}\"}}", "x".repeat(64 * 1024));
    for (method, path, media_type, body, status, code) in [
        (Method::GET, "/nowhere", None, "", 404, "not_found"),
        (Method::GET, "/", None, "", 404, "not_found"),
        (Method::GET, "/exports/", None, "", 404, "not_found"),
        (Method::GET, "/exports/not-a-uuid", None, "", 404, "export_not_found"),
        (Method::GET, "/exports/%ff%00", None, "", 404, "export_not_found"),
        (Method::GET, "/exports/00000000-0000-0000-0000-000000000000", None, "", 404, "export_not_found"),
        (Method::PUT, "/exports", None, "", 405, "method_not_allowed"),
        (
            Method::DELETE,
            "/exports/00000000-0000-0000-0000-000000000000",
            None,
            "",
            405,
            "method_not_allowed",
        ),
        (Method::POST, "/health", json, "{}", 405, "method_not_allowed"),
        (Method::POST, "/exports", None, "{}", 415, "unsupported_media_type"),
        (Method::POST, "/exports", Some("text/plain"), "{}", 415, "unsupported_media_type"),
        (Method::POST, "/exports", Some("application/jsonp"), "{}", 415, "unsupported_media_type"),
        (Method::POST, "/exports", json, &large, 413, "body_too_large"),
        (Method::POST, "/exports", json, "", 400, "malformed_json"),
        (Method::POST, "/exports", json, "{", 400, "malformed_json"),
        (Method::POST, "/exports", json, "{'channel_id': 1}", 400, "malformed_json"),
        (Method::POST, "/exports", json, "{} {}", 400, "malformed_json"),
        (Method::POST, "/exports", json, "{\"filter\": \"\\ud800\"}", 400, "malformed_json"),
        (Method::POST, "/exports", json, "\"text\"", 400, "not_an_object"),
        (Method::POST, "/exports", json, "null", 400, "not_an_object"),
        (
            Method::POST,
            "/exports",
            json,
            "{\"channel_id\":\"1\",\"format\":\"Csv\"}",
            400,
            "unsupported_format",
        ),
        (Method::POST, "/exports", Some("Application/JSON; charset=utf-8"), "{}", 422, "validation_failed"),
    ] {
        let mut request = api.request(method.clone(), path).body(body.to_owned());
        if let Some(media_type) = media_type {
            request = request.header("content-type", media_type);
        }
        let answer = Answer::send(request).await;
        assert_eq!(answer.status, status, "{method} {path} {body:.40}");
        answer.assert_problem(status, code);
    }
    assert_eq!(api.stored().await, [0, 0, 0]);
}

#[tokio::test]
async fn a_refused_method_lists_the_supported_ones() {
    let api = Api::start(&[]).await;
    for (method, path, allow) in [
        (Method::PUT, "/exports", "GET, HEAD, POST"),
        (Method::OPTIONS, "/exports", "GET, HEAD, POST"),
        (Method::POST, "/exports/x", "GET, HEAD"),
        (Method::PATCH, "/readyz", "GET, HEAD"),
    ] {
        let answer = Answer::send(api.request(method, path)).await;
        assert_eq!(answer.header("allow"), allow);
        answer.assert_problem(405, "method_not_allowed");
    }
}

#[tokio::test]
async fn broken_json_is_located() {
    let api = Api::start(&[]).await;
    let request = api.request(Method::POST, "/exports").header("content-type", "application/json");
    let answer = Answer::send(request.body("{\n  \"channel_id\": oops\n}")).await;
    let detail = answer.body["detail"].as_str().unwrap();
    assert!(detail.contains("line 2 column 17"), "{detail}");
    assert!(!detail.contains("oops"), "{detail}");
}

#[tokio::test]
async fn a_body_far_beyond_the_limit_gets_a_response() {
    let api = Api::start(&[]).await;
    let request = api.request(Method::POST, "/exports").header("content-type", "application/json");
    Answer::send(request.body(vec![b' '; 2 * 1024 * 1024])).await.assert_problem(413, "body_too_large");
    let compressed = api.request(Method::POST, "/exports").header("content-type", "application/json");
    Answer::send(compressed.header("content-encoding", "gzip").body("x"))
        .await
        .assert_problem(415, "unsupported_media_type");
}

#[tokio::test]
async fn probes_answer_get_and_head() {
    let api = Api::start(&[]).await;
    for path in ["/health", "/livez"] {
        let answer = api.get(path).await;
        assert_eq!((answer.status, answer.body), (200, serde_json::json!({ "ok": true })));
    }
    let ready = serde_json::json!({ "status": "ready", "database": "ok", "workers_live": 0, "problems": [] });
    let answer = api.get("/readyz").await;
    assert_eq!((answer.status, answer.body), (200, ready));
    for path in ["/health", "/livez", "/readyz"] {
        assert_eq!(Answer::send(api.request(Method::HEAD, path)).await.status, 200, "{path}");
    }
    api.sql("INSERT INTO workers (id, host, version, dce_version, slots) VALUES ('w', 'h', '1', '2.47', 2)")
        .await;
    assert_eq!(api.get("/readyz").await.body["workers_live"], 1);
}
