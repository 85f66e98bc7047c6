//! Authentication: every route with every kind of key.

use dce_api::auth::Access;
use dce_api::auth::keys::digest;
use dce_api::routes;
use reqwest::Method;
use serde_json::json;

use crate::support::{Answer, Api, PROGRAM};

const READ: &str = "dce_read";
const WRITE: &str = "dce_write";

async fn with_keys(more: &[(&str, &str)]) -> Api {
    let keys = format!("reader:read:{}, writer:write:{}", digest(READ), digest(WRITE));
    let mut settings = vec![("API_KEYS", keys.as_str())];
    settings.extend(more);
    Api::start(&settings).await
}

async fn answer(api: &Api, method: Method, path: &str, key: Option<&str>) -> Answer {
    let request = api.request(method, path);
    Answer::send(key.into_iter().fold(request, reqwest::RequestBuilder::bearer_auth)).await
}

#[tokio::test]
async fn every_route_admits_only_keys_with_the_required_access() {
    let api = with_keys(&[]).await;
    for endpoint in routes::table() {
        let path = endpoint.path.replace("{file:.*}", "index.html").replace(['{', '}'], "");
        for (key, holds) in [
            (None, None),
            (Some("dce_wrong"), None),
            (Some(READ), Some(Access::Read)),
            (Some(WRITE), Some(Access::Write)),
        ] {
            let method: Method = endpoint.method.as_str().parse().unwrap();
            let answer = answer(&api, method, &path, key).await;
            let case = format!("{} {path} with {key:?}: {answer:?}", endpoint.method);
            match (endpoint.access, holds) {
                (Access::Public, _) | (Access::Read, Some(_)) | (Access::Write, Some(Access::Write)) => {
                    assert!(!matches!(answer.status, 401 | 403) && answer.status < 500, "{case}");
                }
                (Access::Write, Some(_)) => answer.assert_problem(403, "insufficient_scope"),
                (_, None) => {
                    answer.assert_problem(401, "unauthorized");
                    assert!(answer.header("www-authenticate").starts_with("Bearer"), "{case}");
                }
            }
        }
        if endpoint.access != Access::Public {
            let unknown_method = answer(&api, Method::DELETE, &path, None).await;
            unknown_method.assert_problem(401, "unauthorized");
            answer(&api, Method::DELETE, &path, Some(READ)).await.assert_problem(405, "method_not_allowed");
        }
    }
    assert_eq!(api.stored().await, [0, 0, 0]);
}

#[tokio::test]
async fn an_export_records_the_name_of_the_key_and_the_log_contains_no_key() {
    let api = with_keys(&[("RUST_LOG", "debug")]).await;
    let request =
        api.request(Method::POST, "/exports").bearer_auth(WRITE).json(&json!({ "channel_id": "7" }));
    let created = Answer::send(request).await;
    assert_eq!(created.status, 202, "{created:?}");
    let shown = answer(&api, Method::GET, created.header("location"), Some(READ)).await;
    assert_eq!(shown.body["requested_by"], "writer");
    let lines = api.process.lines().join("\n");
    assert!(!lines.contains(WRITE) && !lines.contains(READ) && !lines.contains(&digest(WRITE)), "{lines}");
}

#[tokio::test]
async fn a_malformed_authorization_header_is_refused() {
    let api = with_keys(&[]).await;
    for value in ["", "Bearer", "Bearer ", "Basic ZGNlOg==", WRITE, "Bearer dce_write x"] {
        let request = api.request(Method::GET, "/exports/x").header("Authorization", value);
        Answer::send(request).await.assert_problem(401, "unauthorized");
    }
    let request = api.request(Method::GET, "/exports/x").header("Authorization", format!("bearer {READ}"));
    Answer::send(request).await.assert_problem(404, "export_not_found");
}

#[test]
fn a_new_key_is_printed_with_its_entry() {
    let run = |arguments: &[&str]| {
        let output =
            std::process::Command::new(PROGRAM).args(arguments).env("DOTENV", "false").output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let (code, text) = run(&["keys", "new", "research", "--scope", "read"]);
    let (key, entry) = (text.lines().next().unwrap(), text.lines().last().unwrap());
    assert_eq!(code, Some(0));
    assert_eq!(entry, format!("research:read:{}", digest(key)));
    assert!(key.len() > 40 && key.starts_with("dce_"), "{key}");
    let (_, again) = run(&["keys", "new", "research"]);
    assert_ne!(again.lines().next(), Some(key));
    assert!(again.contains("research:write:"));
    assert_eq!(run(&["keys", "new", "a:b"]).0, Some(2));
}
