//! Requests that Schemathesis generates from the OpenAPI document: thousands that match it, and thousands that do not.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Output;

use dce_api::auth::Access;
use dce_api::auth::keys::digest;
use dce_api::routes;
use serde_json::Value;
use tokio::process::Command;

use crate::support::Api;

const KEY: &str = "dce_write";

async fn api() -> Api {
    let keys = format!("w:write:{}", digest(KEY));
    let api =
        Api::start(&[("API_KEYS", &keys), ("DEFAULT_CHANNEL_ID", "7"), ("ALLOWED_CHANNEL_IDS", "*")]).await;
    api.sql(include_str!("schemathesis.sql")).await;
    api
}

/// Runs Schemathesis against the API with these additional arguments.
async fn run(api: &Api, arguments: &[&str]) -> Output {
    let program = std::env::var("SCHEMATHESIS").unwrap();
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/schemathesis");
    Command::new(program)
        .args(["run", &format!("{}/openapi.json", api.base), "--no-color", "--seed", "1"])
        .args(arguments)
        .current_dir(&directory)
        .env("PYTHONPATH", &directory)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("SCHEMATHESIS_HOOKS", "hooks")
        .output()
        .await
        .unwrap()
}

/// Number of responses of non-public routes for each status.
fn statuses(api: &Api) -> BTreeMap<u64, usize> {
    let guarded: Vec<_> = routes::table()
        .into_iter()
        .filter(|endpoint| endpoint.access != Access::Public)
        .map(|endpoint| endpoint.path)
        .collect();
    let mut counts = BTreeMap::new();
    for line in api.process.lines() {
        let Ok(line) = serde_json::from_str::<Value>(&line) else { continue };
        let route = line["span"]["route"].as_str().unwrap_or_default();
        if line["message"] == "request.answered" && guarded.contains(&route) {
            *counts.entry(line["status"].as_u64().unwrap()).or_default() += 1;
        }
    }
    counts
}

#[tokio::test]
#[ignore = "needs Schemathesis in SCHEMATHESIS: scripts/test.sh installs and runs it"]
async fn responses_to_generated_requests_match_the_document() {
    let api = api().await;
    let output = run(&api, &["--header", &format!("Authorization: Bearer {KEY}")]).await;
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    let statuses = statuses(&api);
    assert!(statuses.get(&200).is_some_and(|count| *count > 100), "{statuses:?}");
    assert!(statuses.get(&202).is_some_and(|count| *count > 20), "{statuses:?}");
    assert!(statuses.range(500..).next().is_none(), "{statuses:?}");
}

#[tokio::test]
#[ignore = "needs Schemathesis in SCHEMATHESIS: scripts/test.sh installs and runs it"]
async fn without_a_key_generated_requests_are_refused() {
    let api = api().await;
    // Without a key, valid data is refused as well.
    let output = run(&api, &["--exclude-checks", "positive_data_acceptance", "--max-examples", "20"]).await;
    let text = String::from_utf8_lossy(&output.stdout);
    let statuses = statuses(&api);
    assert_eq!(statuses.keys().collect::<Vec<_>>(), [&401], "{statuses:?} {text}");
    assert!(statuses[&401] > 100, "{statuses:?}");
    assert_eq!(api.stored().await[0], 1, "the one that was there");
}
