//! Pruning and erasing during exports: exact counts, no other message is touched, erased messages are not archived again.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use dce_standin::scenario::{Attempt, Channel, Ending, Scenario};
use dce_testkit::process::{binary, eventually};
use dce_testkit::service::Service;
use serde_json::{Value, json};

use crate::archive::stored;
use crate::document::{CHANNEL, Document};

/// Bound of every wait, generous for a busy machine.
const BOUND: Duration = Duration::from_secs(60);

type Messages = BTreeMap<String, Value>;

/// Runs a subcommand of `dce-api` to its end; returns its output.
async fn command(service: &Service, line: &str) -> String {
    let (mut command, line) = (Command::new(binary("dce-api")), line.to_owned());
    command
        .args(line.split_whitespace())
        .envs([("DATABASE_URL", service.url().as_str()), ("DOTENV", "false")]);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let Output { status, stdout, stderr } = output;
    assert!(status.success(), "{line}: {}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).unwrap()
}

/// Numbers of messages by the author and by all others.
fn split(messages: Messages, is_theirs: impl Fn(&Value) -> bool) -> (Messages, Messages) {
    messages.into_iter().partition(|(_, message)| is_theirs(message))
}

/// An author of some of the messages, but not of most.
fn somebody(messages: &Messages) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for message in messages.values() {
        *counts.entry(message["author"]["id"].as_str().unwrap()).or_default() += 1;
    }
    let some = |count: &usize| (messages.len() / 50..messages.len() * 2 / 3).contains(count);
    counts.iter().find(|(_, count)| some(count)).unwrap_or_else(|| panic!("{counts:?}")).0.to_string()
}

fn is_by(author: &str) -> impl Fn(&Value) -> bool + '_ {
    move |message| message["author"]["id"] == author
}

/// Starts a slow export of the channel and waits until it is half done.
async fn half_way(service: &Service, document: &Document, options: &Value) -> String {
    let slow = document.channel().rate(1500);
    service.scenario.rewrite(&Scenario::new().channel(CHANNEL, slow));
    let mut body = json!({ "channel_id": CHANNEL });
    body.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
    let job_id = service.export(&body).await;
    let half = document.len() as u64 / 2;
    service.when(&job_id, "half-way", |export| export["message_count"].as_u64() > Some(half)).await;
    job_id
}

/// Exports the channel at full speed and waits for its end.
async fn exported(service: &Service, channel: Channel) -> Value {
    service.scenario.rewrite(&Scenario::new().channel(CHANNEL, channel));
    service.export_channel(CHANNEL).await
}

fn assert_counts(export: &Value, messages: usize, inserted: usize, erased: usize) {
    assert_eq!((&export["status"], &export["error"]), (&"completed".into(), &Value::Null), "{export}");
    let counts = [&export["message_count"], &export["inserted_count"]].map(Value::clone);
    assert_eq!(counts, [messages, inserted].map(Value::from), "{export}");
    assert_eq!(left_out(export), erased, "{export}");
}

/// The number of skipped messages that the export reports.
fn left_out(export: &Value) -> usize {
    let warnings = export["warnings"].as_array().unwrap();
    let warning = warnings.iter().find(|warning| warning["code"] == "erased_messages");
    warning.map_or(0, |warning| warning["count"].as_u64().unwrap().try_into().unwrap())
}

/// Asserts that the channel has these messages and their count.
async fn assert_archived(service: &Service, messages: &Messages) {
    let stored = stored(&service.pool(), CHANNEL).await;
    assert!(stored == *messages, "{} messages, not {}", stored.len(), messages.len());
    let archived: i64 =
        sqlx::query_scalar("SELECT archived_count FROM channels").fetch_one(&service.pool()).await.unwrap();
    assert_eq!(usize::try_from(archived).unwrap(), messages.len());
}

/// The number before the word in a command's output.
fn number_before(said: &str, word: &str) -> usize {
    let (before, _) = said.split_once(word).unwrap_or_else(|| panic!("no {word} in {said}"));
    before.split_whitespace().next_back().unwrap().parse().unwrap_or_else(|_| panic!("{said}"))
}

#[tokio::test]
async fn messages_of_an_author_erased_during_an_export_are_not_archived_again() {
    let document = Document::generated(6000);
    let all = document.messages();
    let author = somebody(&all);
    let (theirs, others) = split(all, is_by(&author));
    let service = Service::start(&Scenario::new()).await;
    let job_id = half_way(&service, &document, &json!({})).await;
    let said = command(&service, &format!("purge --author {author} --yes")).await;
    let erased = number_before(&said, " messages erased");
    let export = service.ended(&job_id).await;

    // Each of their messages was either archived and erased, or came too late to be archived.
    assert!(erased > 0 && left_out(&export) > 0, "{said} {export}");
    assert_eq!(erased + left_out(&export), theirs.len(), "{said} {export}");
    assert_counts(&export, 6000, others.len() + erased, theirs.len() - erased);
    assert_archived(&service, &others).await;

    for _ in 0..2 {
        let again = exported(&service, document.channel()).await;
        assert_counts(&again, 6000, 0, theirs.len());
        assert_archived(&service, &others).await;
    }
    sqlx::query("DELETE FROM erasures").execute(&service.pool()).await.unwrap();
    let undone = exported(&service, document.channel()).await;
    assert_counts(&undone, 6000, theirs.len(), 0);
    assert_archived(&service, &document.messages()).await;
}

#[tokio::test]
async fn an_erasure_waits_for_a_batch_that_is_being_written() {
    let document = Document::generated(300);
    let author = somebody(&document.messages());
    let (theirs, others) = split(document.messages(), is_by(&author));
    let service = Service::start(&Scenario::new().channel(CHANNEL, document.channel())).await;
    // The batch has written its rows and waits for this session's lock on the channel.
    let pool = service.pool();
    let mut gate = pool.begin().await.unwrap();
    sqlx::query("INSERT INTO channels (channel_id) VALUES ($1)")
        .bind(CHANNEL)
        .execute(&mut *gate)
        .await
        .unwrap();
    let job_id = service.export(&json!({ "channel_id": CHANNEL })).await;
    let count = async |what: &'static str, sql: &'static str| {
        eventually(BOUND, what, async || {
            let count: i64 = sqlx::query_scalar(sql).fetch_one(&pool).await.unwrap();
            (count > 0).then_some(())
        })
        .await;
    };
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    count("the batch waits", waiting).await;
    let looking = "SELECT count(*) FROM pg_stat_activity
                    WHERE datname = current_database() AND query LIKE '%pg_locks%' AND query NOT LIKE '%pg_stat_activity%'";
    let line = format!("purge --author {author} --yes");
    let purge = command(&service, &line);
    let opened = async {
        count("the erasure is recorded", "SELECT count(*) FROM erasures").await;
        // Without the wait the command would continue before the batch is committed.
        count("purge waits for the batch", looking).await;
        gate.rollback().await.unwrap();
    };
    let (said, ()) = tokio::join!(purge, opened);
    let erased = number_before(&said, " messages erased");
    let export = service.ended(&job_id).await;
    assert_eq!(erased + left_out(&export), theirs.len(), "{said} {export}");
    assert_archived(&service, &others).await;
}

#[tokio::test]
async fn an_update_neither_replaces_nor_keeps_versions_of_erased_messages() {
    let before = Document::generated(3000);
    let author = somebody(&before.messages());
    let service = Service::start(&Scenario::new()).await;
    assert_counts(&exported(&service, before.channel()).await, 3000, 3000, 0);
    let mut after = before.clone();
    assert_eq!(after.edit_all("\"content\": \"", "\"content\": \"edited: "), 3000);
    let updating = json!({ "on_conflict": "update", "keep_versions": true });
    let job_id = half_way(&service, &after, &updating).await;
    let said = command(&service, &format!("purge --author {author} --yes")).await;
    let export = service.ended(&job_id).await;

    let (theirs, others) = split(after.messages(), is_by(&author));
    assert_eq!(number_before(&said, " messages and"), theirs.len());
    assert_eq!(export["status"], "completed", "{export}");
    assert_archived(&service, &others).await;
    let versions: Vec<(String, i64)> =
        sqlx::query_as("SELECT raw #>> '{author,id}', count(*) FROM message_versions GROUP BY 1")
            .fetch_all(&service.pool())
            .await
            .unwrap();
    assert!(versions.iter().all(|(id, _)| *id != author), "{versions:?}");
    let kept: i64 = versions.iter().map(|(_, count)| count).sum();
    assert_eq!(usize::try_from(kept).unwrap(), others.len(), "one of each other message");
}

#[tokio::test]
async fn an_erased_channel_stays_empty_and_its_exports_complete() {
    let document = Document::generated(2500);
    let service = Service::start(&Scenario::new()).await;
    assert_counts(&exported(&service, document.channel()).await, 2500, 2500, 0);
    let said = command(&service, &format!("purge --channel {CHANNEL} --yes")).await;
    assert_eq!(number_before(&said, " messages erased"), 2500);
    assert_archived(&service, &Messages::new()).await;
    // An attempt that dies in the middle, and one that resumes.
    let channel = document.channel().attempt(Attempt::ends(Ending::Complete));
    let channel = channel.attempt(Attempt::ends_after(1200, Ending::Dropped));
    let export = exported(&service, channel).await;
    assert_counts(&export, 2500, 0, 2500);
    assert_eq!(export["runs"][0]["attempt"], 2);
    assert_archived(&service, &Messages::new()).await;
}

#[tokio::test]
async fn messages_pruned_during_an_export_are_counted_and_archived_by_the_next_export() {
    let document = Document::generated(6000);
    let mut old = document.clone();
    (3000..6000).rev().for_each(|number| drop(old.remove(number)));
    let known = old.messages();
    let (_, young) =
        split(document.messages(), |message| known.contains_key(message["id"].as_str().unwrap()));
    let service = Service::start(&Scenario::new()).await;
    assert_counts(&exported(&service, old.channel()).await, 3000, 3000, 0);
    sqlx::query("UPDATE messages SET \"timestamp\" = '2015-01-01T00:00:00Z'")
        .execute(&service.pool())
        .await
        .unwrap();
    // After the old messages it archives new ones, while those are pruned.
    let job_id = half_way(&service, &document, &json!({})).await;
    let said = command(&service, "prune --older-than 2000d --yes").await;
    assert_eq!(number_before(&said, " messages, sent"), 3000, "{said}");
    assert_counts(&service.ended(&job_id).await, 6000, 3000, 0);
    assert_archived(&service, &young).await;

    assert_counts(&exported(&service, document.channel()).await, 6000, 3000, 0);
    assert_archived(&service, &document.messages()).await;
    let said = command(&service, "prune --exports-older-than 0s --yes").await;
    assert!(said.contains("3 exports with 3 runs and 3 attempts"), "{said}");
    let (status, _) = service.get(&format!("/exports/{job_id}")).await;
    assert_eq!(status, 404);
}

#[tokio::test]
async fn imports_skip_erased_messages() {
    let document = Document::generated(500);
    let all = document.messages();
    let author = somebody(&all);
    let message = all.iter().find(|(_, message)| message["author"]["id"] != *author).unwrap().0.clone();
    let (left_out, others) = split(all, |of| of["id"] == *message || of["author"]["id"] == *author);
    let service = Service::api_only(&Scenario::new(), &[]).await;
    command(&service, &format!("purge --author {author} --yes")).await;
    command(&service, &format!("purge --message {message} --yes")).await;

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("export.json");
    fs::write(&file, document.text()).unwrap();
    let said = import(&service, &file).await;
    let expected =
        format!("500 messages, {} new, {} skipped because they were erased", others.len(), left_out.len());
    assert!(said.contains(&expected), "{said}");
    assert_archived(&service, &others).await;
}

async fn import(service: &Service, file: &Path) -> String {
    let mut command = Command::new(binary("dce-worker"));
    command.arg("import").arg(file).envs([("DATABASE_URL", service.url().as_str()), ("DOTENV", "false")]);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}
