//! Attempts that fail in the middle: their messages stay, the next attempt resumes after them, every message is stored once.

use std::fs;
use std::path::PathBuf;

use dce_core::ids::Snowflake;
use dce_standin::scenario::{Attempt, Channel, Ending, Scenario, recording};
use dce_testkit::service::Service;
use serde_json::Value;
use tempfile::TempDir;

use crate::archive::{expected, stored};

pub(crate) const DIES: &str = "900000000000001008";

/// The last message of the recording.
const LAST_OF_DIES: u64 = 1_258_071_166_812_160_299;

/// The id of a message that follows them, counted from 1.
pub(crate) fn made_for_the_test(number: u64) -> u64 {
    LAST_OF_DIES + (number << 30)
}

/// The id just below all ids of this one's millisecond.
fn before_millisecond(id: Snowflake) -> String {
    id.first_of_millisecond().before().to_string()
}

/// The recording's 300 messages, followed by as many generated ones, as one DCE document.
pub(crate) fn dies_continued() -> (TempDir, PathBuf) {
    let recorded = fs::read_to_string(recording("dies").join("out/part.json")).unwrap();
    let end = recorded.rfind("\n  ],\n  \"messageCount\": 300").unwrap();
    let last = &recorded[recorded[..end].rfind("\n    {").unwrap()..end];
    let id = LAST_OF_DIES.to_string();
    let mut document = recorded[..end].to_owned();
    for number in 1..=300_u64 {
        document.push(',');
        document.push_str(&last.replace(&id, &made_for_the_test(number).to_string()));
    }
    document.push_str("\n  ],\n  \"messageCount\": 600\n}");
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("part.json");
    fs::write(&file, document).unwrap();
    (folder, file)
}

#[tokio::test]
async fn a_run_with_a_dropped_connection_resumes_after_its_last_message() {
    let (folder, file) = dies_continued();
    let (_, messages) = expected(folder.path());
    assert_eq!(messages.len(), 600);
    let channel = Channel::file(&file).attempt(Attempt::replay(recording("dies")));
    let mut service = Service::api_only(&Scenario::new().channel(DIES, channel), &[]).await;
    let job_id = service.export(&serde_json::json!({ "channel_id": DIES })).await;
    service.add_worker(&[]).await;

    // Between the attempts: pending, with the messages of the first one and the reason in its error.
    let failed = service
        .when(&job_id, "the first attempt fails", |export| !export["runs"][0]["error"].is_null())
        .await;
    let run = &failed["runs"][0];
    assert_eq!(run["error"]["code"], "discord_unavailable", "{run}");
    assert_eq!(
        (&run["message_count"], &run["failures"]),
        (&300.into(), &0.into()),
        "progress costs nothing: {run}"
    );

    let export = service.ended(&job_id).await;
    assert_eq!(export["status"], "completed", "{export}");
    assert_eq!((&export["message_count"], &export["inserted_count"]), (&600.into(), &600.into()));
    assert_eq!(export["error"], Value::Null);
    assert_eq!(stored(&service.pool(), DIES).await, messages);
    let attempts = service.scenario.attempts_at(DIES);
    assert_eq!(attempts.len(), 2);
    assert_eq!(attempts[0].option("--after"), None);
    // With the cursor's millisecond, because more of it may be listed after the cursor.
    let cursor = Snowflake::new(LAST_OF_DIES);
    assert_eq!(attempts[1].option("--after"), Some(before_millisecond(cursor).as_str()));
    assert_eq!(attempts[0].option("--before"), attempts[1].option("--before"), "one window for all attempts");
}

/// The channel of `sigint-inside-message` without the stop: the message continues where the postamble stood.
fn cut_message_whole() -> (TempDir, PathBuf) {
    let cut = fs::read_to_string(recording("sigint-inside-message").join("out/part.json")).unwrap();
    let postamble = ",\n      \"messageCount\": 1\n    }";
    assert!(cut.ends_with(postamble));
    let whole = cut.replace(postamble, "\n    }\n  ],\n  \"messageCount\": 1\n}");
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("part.json");
    fs::write(&file, whole).unwrap();
    (folder, file)
}

#[tokio::test]
async fn a_message_cut_by_a_stop_is_discarded_and_read_again() {
    let (folder, file) = cut_message_whole();
    let (channel_id, messages) = expected(folder.path());
    let channel = Channel::file(file).attempt(Attempt::replay(recording("sigint-inside-message")));
    let mut service = Service::api_only(&Scenario::new().channel(&channel_id, channel), &[]).await;
    let job_id = service.export(&serde_json::json!({ "channel_id": channel_id })).await;
    service.add_worker(&[]).await;

    let failed = service
        .when(&job_id, "the first attempt fails", |export| !export["runs"][0]["error"].is_null())
        .await;
    assert_eq!(failed["message_count"], 0, "{failed}");
    assert!(stored(&service.pool(), &channel_id).await.is_empty());

    let export = service.ended(&job_id).await;
    assert_eq!((&export["status"], &export["message_count"]), (&"completed".into(), &1.into()), "{export}");
    let now = stored(&service.pool(), &channel_id).await;
    assert_eq!(now.values().next().unwrap().get("messageCount"), None);
    assert_eq!(now, messages);
}

#[tokio::test]
async fn a_channel_that_drops_its_connection_repeatedly_completes_while_it_advances() {
    let mut channel = Channel::generated(500, 11);
    for ending in
        [Ending::Dropped, Ending::Sigkill, Ending::CutInside, Ending::Crash, Ending::Dropped, Ending::Sigterm]
    {
        channel = channel.attempt(Attempt::ends_after(50, ending));
    }
    let mut service =
        Service::api_only(&Scenario::new().channel("42", channel), &[("MAX_ATTEMPTS", "1")]).await;
    service.add_worker(&[]).await;
    let export = service.export_channel("42").await;
    assert_eq!(export["status"], "completed", "{export}");
    assert_eq!((&export["message_count"], &export["inserted_count"]), (&500.into(), &500.into()), "{export}");
    assert_eq!(stored(&service.pool(), "42").await.len(), 500);
    assert_eq!(export["runs"][0]["attempt"], 7);
    // The worker's lock file is beside its folder.
    let workers = fs::read_dir(service.work_dir()).unwrap().map(|entry| entry.unwrap().path());
    let left = workers.filter(|path| path.is_dir()).flat_map(|worker| fs::read_dir(worker).unwrap());
    assert_eq!(left.count(), 0, "no attempt leaves files");
}

#[tokio::test]
async fn a_run_that_does_not_advance_fails_and_keeps_its_history() {
    let channel =
        (0..3).fold(Channel::generated(100, 5), |channel, _| channel.attempt(Attempt::ends(Ending::Dropped)));
    let mut service =
        Service::api_only(&Scenario::new().channel("42", channel), &[("MAX_ATTEMPTS", "3")]).await;
    service.add_worker(&[]).await;
    let export = service.export_channel("42").await;
    assert_eq!(
        (&export["status"], &export["error"]["code"]),
        (&"failed".into(), &"discord_unavailable".into())
    );
    assert_eq!((&export["runs"][0]["attempt"], &export["runs"][0]["failures"]), (&3.into(), &3.into()));
}

#[tokio::test]
async fn a_resume_compares_ids_of_18_and_19_digits_as_numbers() {
    /// Ids in a millisecond.
    const MILLISECOND: u64 = 1 << 22;
    // The recording's twelve messages, renumbered so that half of the ids have one digit less.
    let recorded = fs::read_to_string(recording("small").join("out/part.json")).unwrap();
    let (channel, before) = expected(&recording("small").join("out"));
    let mut ids: Vec<&String> = before.keys().collect();
    ids.sort_by_key(|id| id.parse::<u64>().unwrap());
    let id =
        |at: usize| 1_000_000_000_000_000_000 - 6 * MILLISECOND + u64::try_from(at).unwrap() * MILLISECOND;
    let new = |at: usize| id(at).to_string();
    let text = ids.iter().enumerate().fold(recorded, |text, (at, old)| text.replace(*old, &new(at)));
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("part.json");
    fs::write(&file, text).unwrap();
    let (_, messages) = expected(folder.path());
    assert_eq!(messages.keys().filter(|id| id.len() == 18).count(), 6);

    let source = Channel::file(&file)
        .attempt(Attempt::ends_after(5, Ending::Dropped))
        .attempt(Attempt::ends_after(3, Ending::Dropped));
    let service = Service::start(&Scenario::new().channel(&channel, source)).await;
    let export = service.export_channel(&channel).await;
    assert_eq!((&export["status"], &export["message_count"]), (&"completed".into(), &12.into()), "{export}");
    assert_eq!(
        (&export["runs"][0]["first_message_id"], &export["runs"][0]["last_message_id"]),
        (&new(0).into(), &new(11).into())
    );
    assert_eq!(stored(&service.pool(), &channel).await, messages);
    let attempts = service.scenario.attempts_at(&channel);
    let resumed: Vec<_> =
        attempts.iter().map(|attempt| attempt.option("--after").map(str::to_owned)).collect();
    let before = |at: usize| Some(before_millisecond(Snowflake::new(id(at))));
    // The second attempt begins with the last message of the first.
    assert_eq!(resumed, [None, before(4), before(6)]);
    let covered: String =
        sqlx::query_scalar("SELECT covered_to_id FROM channels").fetch_one(&service.pool()).await.unwrap();
    assert_eq!(covered, new(11));
}
