//! The limits of an attempt: stalls, its disk usage, the free space of the disk.

use std::fs;
use std::time::Duration;

use dce_standin::scenario::{Channel, Scenario};
use dce_testkit::process::eventually;
use dce_testkit::service::Service;
use dce_testkit::small_disk::SmallDisk;
use nix::sys::signal::kill;
use nix::unistd::Pid;
use serde_json::{Value, json};
use sqlx::Executor;

use crate::archive::stored;

/// Longer than any pause of the worker.
const BOUND: Duration = Duration::from_secs(60);

async fn until_dce_is_gone(service: &Service, channel: &str) {
    eventually(BOUND, "DCE is stopped", async || {
        let pid = service.scenario.attempts_at(channel).first()?.pid;
        kill(Pid::from_raw(i32::try_from(pid).unwrap()), None).is_err().then_some(())
    })
    .await;
}

async fn assert_ready(service: &Service, status: &str, problem: Value) {
    let shown = async || {
        let (_, ready) = service.get("/readyz").await;
        (ready["status"] == status && ready["problems"][0]["code"] == problem).then_some(())
    };
    eventually(BOUND, status, shown).await;
}

async fn assert_complete_at_the_second_attempt(service: &Service, job_id: &str, messages: usize) {
    let export = service.ended(job_id).await;
    assert_eq!(
        (&export["status"], &export["message_count"], &export["inserted_count"]),
        (&"completed".into(), &messages.into(), &messages.into()),
        "{export}"
    );
    let run = &export["runs"][0];
    assert_eq!((&run["attempt"], &run["failures"]), (&2.into(), &0.into()), "{run}");
    assert_eq!(stored(&service.pool(), "1").await.len(), messages);
}

#[tokio::test]
async fn an_attempt_over_its_disk_limit_stops_and_resumes_when_there_is_space() {
    // 43 MB in six seconds.
    let channel = Channel::generated(30_000, 1).rate(5000);
    let mut service = Service::api_only(&Scenario::new().channel("1", channel), &[]).await;
    service.add_worker(&[("ATTEMPT_DISK_LIMIT", "24MB")]).await;
    let pool = service.pool();
    let mut blocking = pool.begin().await.unwrap();
    blocking.execute("LOCK TABLE messages").await.unwrap();
    let job_id = service.export(&json!({ "channel_id": "1" })).await;
    until_dce_is_gone(&service, "1").await;
    assert_eq!(service.find(&job_id).await["message_count"], 0);
    blocking.rollback().await.unwrap();

    let failed =
        service.when(&job_id, "the attempt fails", |export| !export["runs"][0]["error"].is_null()).await;
    let run = &failed["runs"][0];
    assert_eq!(run["error"]["code"], "disk_full", "{run}");
    assert!(run["message_count"].as_i64() > Some(10_000), "what was written is kept: {run}");
    service.workers[0].line(BOUND, "ATTEMPT_DISK_LIMIT is 24 MB").await;
    assert_complete_at_the_second_attempt(&service, &job_id, 30_000).await;
}

#[tokio::test]
async fn a_full_disk_stops_exports_until_there_is_space_again() {
    let Some(disk) = SmallDisk::mount("64m") else { return };
    let (work_dir, filler) = (disk.path().join("work"), disk.path().join("filler"));
    let channel = Channel::generated(3000, 1).rate(300);
    let mut service = Service::api_only(&Scenario::new().channel("1", channel), &[]).await;
    let settings = [("WORK_DIR", work_dir.to_str().unwrap()), ("MIN_FREE_DISK", "32MB")];
    service.add_worker(&settings).await;
    assert_ready(&service, "ready", Value::Null).await;
    let job_id = service.export(&json!({ "channel_id": "1" })).await;
    service.when(&job_id, "messages arrive", |export| export["message_count"].as_i64() > Some(0)).await;

    fs::write(&filler, vec![1; 48 << 20]).unwrap();
    let waits = |export: &Value| export["waiting"]["code"] == "disk_full";
    let export = service.when(&job_id, "it says why it waits", waits).await;
    let run = &export["runs"][0];
    assert_eq!((&run["status"], &run["error"]["code"]), (&"pending".into(), &"disk_full".into()), "{run}");
    assert!(run["message_count"].as_i64() > Some(0), "what was written is kept: {run}");
    until_dce_is_gone(&service, "1").await;
    assert_ready(&service, "degraded", "disk_full".into()).await;
    assert_eq!(service.scenario.attempts_at("1").len(), 1);

    fs::remove_file(&filler).unwrap();
    service.workers[0].line(BOUND, "disk.enough").await;
    assert_complete_at_the_second_attempt(&service, &job_id, 3000).await;
    assert_ready(&service, "ready", Value::Null).await;
}

#[tokio::test]
async fn a_worker_without_disk_space_starts_no_run_and_one_with_space_does() {
    let scenario = Scenario::new().channel("1", Channel::generated(30, 1));
    let mut service = Service::api_only(&scenario, &[]).await;
    service.add_worker(&[("MIN_FREE_DISK", "9000TB")]).await;
    let job_id = service.export(&json!({ "channel_id": "1" })).await;
    service.when(&job_id, "it says why it waits", |export| export["waiting"]["code"] == "disk_full").await;
    assert_ready(&service, "degraded", "disk_full".into()).await;
    assert!(service.scenario.invocations().iter().all(|call| call.attempts.is_empty()));

    // A blank setting counts as not set: the free space is enough for the default, and every line is logged.
    service.add_worker(&[("MIN_FREE_DISK", ""), ("EXPORT_TIMEOUT", ""), ("RUST_LOG", "")]).await;
    let export = service.ended(&job_id).await;
    assert_eq!((&export["status"], &export["message_count"]), (&"completed".into(), &30.into()), "{export}");
}
