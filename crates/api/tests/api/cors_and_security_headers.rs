//! Responses to browsers (CORS, security headers, documentation), and limits of connections.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use reqwest::Method;

use crate::support::{Answer, Api};

const ORIGIN: &str = "https://app.example";

async fn asked(api: &Api, method: Method, path: &str, origin: &str) -> Answer {
    let request = api.request(method, path).header("Origin", origin);
    let request = request
        .header("Access-Control-Request-Method", "POST")
        .header("Access-Control-Request-Headers", "idempotency-key");
    Answer::send(request).await
}

#[tokio::test]
async fn other_origins_are_allowed_only_if_a_setting_names_them() {
    let closed = Api::start(&[]).await;
    let answer = asked(&closed, Method::GET, "/health", ORIGIN).await;
    assert_eq!(answer.header("access-control-allow-origin"), "");

    let api =
        Api::start(&[("CORS_ALLOWED_ORIGINS", "https://app.example,https://b.example"), ("API_KEYS", "")])
            .await;
    let preflight = asked(&api, Method::OPTIONS, "/exports", ORIGIN).await;
    assert_eq!(
        (preflight.status, preflight.header("access-control-allow-origin")),
        (200, ORIGIN),
        "{preflight:?}"
    );
    assert!(preflight.header("access-control-allow-methods").contains("POST"));
    assert!(preflight.header("access-control-allow-headers").contains("idempotency-key"));
    let answer = asked(&api, Method::GET, "/exports/x", ORIGIN).await;
    assert_eq!(answer.header("access-control-allow-origin"), ORIGIN, "problems too: {answer:?}");
    assert!(answer.header("access-control-expose-headers").contains("x-request-id"));
    let stranger = asked(&api, Method::GET, "/health", "https://evil.example").await;
    assert_eq!(stranger.header("access-control-allow-origin"), "");
}

#[tokio::test]
async fn every_response_has_the_security_headers() {
    let api = Api::start(&[]).await;
    for path in ["/health", "/exports/x", "/nowhere"] {
        let answer = api.get(path).await;
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("cache-control"), "no-store", "{path}");
        assert!(answer.header("content-security-policy").starts_with("default-src 'none'"), "{path}");
    }
    let page = api.get("/docs/").await;
    assert!(page.header("content-security-policy").starts_with("default-src 'self'"));
}

#[tokio::test]
async fn documentation_needs_no_other_server() {
    let api = Api::start(&[]).await;
    let page = |path: &'static str| {
        let request = api.request(Method::GET, path);
        async move {
            let response = request.send().await.unwrap();
            (response.status().as_u16(), response.text().await.unwrap())
        }
    };
    let (status, html) = page("/docs").await;
    assert_eq!(status, 200);
    for source in html.split(['"', '\'']).filter(|text| text.starts_with("./") || text.contains("://")) {
        let name = source.strip_prefix("./").unwrap_or_else(|| panic!("{source} is of another server"));
        if [".js", ".css"].iter().any(|kind| name.ends_with(kind)) {
            let (status, text) = page(Box::leak(format!("/docs/{name}").into_boxed_str())).await;
            assert_eq!(status, 200, "{name}");
            assert!(!text.is_empty());
        }
    }
    assert!(page("/docs/swagger-initializer.js").await.1.contains("/openapi.json"));
    assert!(page("/docs/errors").await.1.contains("id=\"validation_failed\""));
    assert_eq!(page("/docs/nothing.js").await.0, 404);
    let document = api.get("/openapi.json").await;
    assert_eq!((document.status, &document.body["openapi"]), (200, &"3.1.0".into()));
    let there: serde_json::Value =
        serde_json::from_str(include_str!("../../../../docs/openapi.json")).unwrap();
    assert_eq!(document.body, there);
}

/// Sends these bytes and returns everything received until the server closes the connection.
fn raw(api: &Api, request: &str) -> String {
    let mut stream = TcpStream::connect(api.base.trim_start_matches("http://")).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn a_missing_body_and_an_endless_head_time_out() {
    let api = Api::start(&[("REQUEST_TIMEOUT", "1s")]).await;
    let head =
        "POST /exports HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{";
    let answer = raw(&api, head);
    assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("\"request_timeout\""), "{answer}");
    let answer = raw(&api, "GET /health HTTP/1.1\r\nHost: a\r\nX-Never: ");
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    let long = format!("GET /health HTTP/1.1\r\nHost: a\r\nX-Long: {}\r\n\r\n", "x".repeat(1 << 20));
    let answer = raw(&api, &long);
    assert!(!answer.starts_with("HTTP/1.1 200"), "{}", &answer[..answer.len().min(200)]);
}
