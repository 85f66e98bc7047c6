//! The documentation for clients works: every command of docs/api.md, and the clients in docs/clients.

use std::path::{Path, PathBuf};
use std::process::Command;

use dce_standin::scenario::{Channel, Scenario};
use dce_testkit::process::binary;
use dce_testkit::service::Service;
use tempfile::TempDir;

const CHANNEL: &str = "900000000000001004";
const MESSAGES: u64 = 300;

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs")
}

/// A key and its entry for `API_KEYS`.
fn new_key() -> (String, String) {
    let output = Command::new(binary("dce-api"))
        .args(["keys", "new", "tour"])
        .env("DOTENV", "false")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    (text.lines().next().unwrap().to_owned(), text.lines().last().unwrap().to_owned())
}

/// A service with keys and the default limit, and its key.
async fn service() -> (Service, String) {
    let (key, entry) = new_key();
    let scenario = Scenario::new().channel(CHANNEL, Channel::generated(MESSAGES, 7));
    let settings = [("API_KEYS", entry.as_str()), ("RATE_LIMIT_PER_MINUTE", "10")];
    let mut service = Service::api_only(&scenario, &settings).await;
    service.add_worker(&[]).await;
    (service, key)
}

/// A block of commands and its documented output.
struct Step {
    commands: String,
    output: Option<String>,
}

/// The blocks `sh` of a page, each with the block `text` that follows it.
fn steps(page: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut parts = page.split("\n```");
    parts.next();
    while let Some(block) = parts.next() {
        parts.next(); // the text after it
        if let Some(commands) = block.strip_prefix("sh\n") {
            steps.push(Step { commands: commands.to_owned(), output: None });
        } else if let (Some(output), Some(step)) = (block.strip_prefix("text\n"), steps.last_mut()) {
            step.output = Some(output.to_owned());
        }
    }
    steps
}

/// Whether the text matches the pattern, in which `…` stands for any text.
fn is_like(text: &str, pattern: &str) -> bool {
    let mut parts = pattern.trim().split('…');
    let Some(mut rest) = parts.next().and_then(|start| text.trim().strip_prefix(start)) else { return false };
    let parts: Vec<_> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[test]
fn a_pattern_matches_only_its_own_text() {
    assert!(is_like("a 1 b\n", "a … b") && is_like("ab", "ab") && is_like("a12b3c", "a…b…c"));
    assert!(!is_like("a 1 c", "a … b") && !is_like("abc", "ab") && !is_like("acb", "a…b…c"));
}

#[tokio::test]
async fn every_command_of_the_tour_works_as_documented() {
    let (service, key) = service().await;
    let steps = steps(&std::fs::read_to_string(docs().join("api.md")).unwrap());
    assert!(steps.len() > 15, "{} steps", steps.len());
    let script: Vec<_> = steps.iter().map(|step| step.commands.as_str()).collect();
    let script = script.join("\nprintf '\\n@@@@\\n'\n") + "\nprintf '\\n@@@@\\n'\n";
    let directory = TempDir::new().unwrap();
    let output = tokio::process::Command::new("bash")
        .args(["-euo", "pipefail", "-c", &script])
        .current_dir(directory.path())
        .envs([("API", service.base()), ("KEY", &key), ("CHANNEL", CHANNEL)])
        .output()
        .await
        .unwrap();
    let (text, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let outputs: Vec<&str> = text.split("\n@@@@\n").collect();
    for (step, found) in steps.iter().zip(&outputs) {
        let expected = step.output.as_deref().unwrap_or("");
        assert!(is_like(found, expected), "{}\nsays {expected}\nbut gave {found}\n{errors}", step.commands);
    }
    assert!(output.status.success(), "after {text}: {errors}");
    assert_eq!(outputs.len(), steps.len() + 1);
}

/// Runs a client against the service; returns its output.
async fn run(service: &Service, key: &str, program: &str, file: &Path) -> String {
    let output = tokio::process::Command::new(program)
        .arg(file)
        .arg(CHANNEL)
        .envs([("API", service.base()), ("KEY", key)])
        .output()
        .await
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    assert!(errors.contains(&format!("completed {MESSAGES} messages")), "{errors}");
    String::from_utf8(output.stdout).unwrap()
}

fn assert_all_messages(lines: &str) {
    assert_eq!(lines.lines().count() as u64, MESSAGES);
    for line in lines.lines() {
        let message: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(message["raw"]["id"].is_string(), "{line}");
    }
}

#[tokio::test]
#[ignore = "needs Python 3: scripts/test.sh runs it where it is there"]
async fn the_python_client_exports_and_reads_back() {
    let (service, key) = service().await;
    assert_all_messages(&run(&service, &key, "python3", &docs().join("clients/export.py")).await);
}

#[tokio::test]
#[ignore = "needs Node and a compiled client in CLIENT_JS: scripts/test.sh runs it where it is there"]
async fn the_typescript_client_exports_and_reads_back() {
    let (service, key) = service().await;
    let client = PathBuf::from(std::env::var("CLIENT_JS").unwrap());
    assert_all_messages(&run(&service, &key, "node", &client).await);
}
