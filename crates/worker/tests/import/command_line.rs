//! Required settings, `--dry-run`, and an unusable database.

use std::fs;
use std::io::Write;

use dce_testkit::process::{Running, binary};
use tempfile::tempdir;

use crate::support::{BOUND, archive, document, ended, gzipped, indented};

fn without_settings(arguments: &[&str]) -> Running {
    let arguments: Vec<&str> = ["import"].iter().chain(arguments).copied().collect();
    Running::start(&binary("dce-worker"), &arguments, [("DOTENV", "false")])
}

#[tokio::test]
async fn missing_arguments_and_settings_exit_with_2() {
    let nothing = ended(without_settings(&[])).await;
    assert_eq!(nothing.code, Some(2));
    let no_database = ended(without_settings(&["x.json"])).await;
    assert_eq!(no_database.code, Some(2));
    assert!(no_database.says("DATABASE_URL", "is not set"), "{:#?}", no_database.lines);
    assert!(!no_database.says("DISCORD_TOKEN", "") && !no_database.says("DCE_BIN", ""));
}

#[tokio::test]
async fn a_dry_run_lists_the_exports_without_a_database() {
    let folder = tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("x.json"), indented(&document(1, 1..=1200))).unwrap();
    fs::write(at("x [part 2].json"), indented(&document(1, 1201..=1234))).unwrap();
    fs::write(at("y.json.gz"), gzipped(&indented(&document(2, 1..=3)))).unwrap();
    archive(&at("z.zip"), &[("m.json", document(3, 1..=3).to_string().as_bytes())]);
    let path = folder.path().to_str().unwrap();
    let listed = ended(without_settings(&["--dry-run", path])).await;
    assert_eq!(listed.code, Some(0), "{:#?}", listed.lines);
    assert!(
        listed.says("x.json: channel 1 (G / channel-1), 1,234 messages", "2024-07-03 to 2024-07-03, 2 parts")
    );
    assert!(listed.says("y.json.gz: channel 2", "an unknown number of messages"));
    assert!(listed.says("z.zip!/m.json: channel 3", "an unknown number of messages"));

    fs::File::create(at("other.json")).unwrap().write_all(b"[]").unwrap();
    let listed = ended(without_settings(&["--dry-run", path])).await;
    assert_eq!(listed.code, Some(1));
    assert!(listed.says("other.json", "the file is not JSON"), "{:#?}", listed.lines);
}

#[tokio::test]
async fn an_unusable_database_is_reported_without_the_password() {
    let folder = tempdir().unwrap();
    let file = folder.path().join("x.json");
    fs::write(&file, document(1, 1..=3).to_string()).unwrap();
    let url = "postgres://u:hunter2@127.0.0.1:6543/d";
    let mut process = Running::start(
        &binary("dce-worker"),
        &["import", file.to_str().unwrap()],
        [("DATABASE_URL", url), ("DOTENV", "false")],
    );
    assert_eq!(process.wait(BOUND).await.code(), Some(2));
    let lines = process.lines().join("\n");
    assert!(lines.contains("6543") && !lines.contains("hunter2"), "{lines}");
}
