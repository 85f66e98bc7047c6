//! A worker is asked to end, in order or at once, also with signals inherited as ignored.

use std::time::Duration;

use dce_standin::scenario::{Attempt, Channel, Ending, Scenario};
use dce_testkit::process::{binary, eventually};
use dce_testkit::service::Service;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;

/// Less than the time that DCE has to stop by itself (10 s).
const AT_ONCE: Duration = Duration::from_secs(8);
const BOUND: Duration = Duration::from_secs(60);

fn is_running(service: &Service, attempt: usize) -> bool {
    let pid = service.scenario.attempts_at("1")[attempt].pid;
    kill(Pid::from_raw(i32::try_from(pid).unwrap()), None).is_ok()
}

#[tokio::test]
async fn a_second_signal_ends_a_worker_at_once_and_its_runs_are_handed_back() {
    // It ignores SIGINT: an orderly end takes 13 s of grace and 10 s of waiting.
    let channel = Channel::generated(3000, 5).attempt(Attempt::ends_after(2000, Ending::Deaf));
    let mut service = Service::start(&Scenario::new().channel("1", channel)).await;
    let job_id = service.export(&json!({ "channel_id": "1" })).await;
    service.when(&job_id, "messages arrive", |export| export["message_count"].as_i64() > Some(1000)).await;
    service.workers[0].signal(Signal::SIGTERM);
    service.workers[0].line(BOUND, "worker.draining").await;
    service.workers[0].signal(Signal::SIGINT);
    let status = service.workers[0].wait(AT_ONCE).await;
    assert_eq!(status.code(), Some(0));
    assert!(!is_running(&service, 0));
    let waiting = service.find(&job_id).await;
    let run = &waiting["runs"][0];
    assert_eq!((&run["status"], &run["failures"]), (&"pending".into(), &0.into()), "{waiting}");
    assert_eq!(std::fs::read_dir(service.work_dir()).unwrap().count(), 0, "nothing is left in WORK_DIR");

    service.add_worker(&[]).await;
    let export = service.ended(&job_id).await;
    assert_eq!(
        (&export["status"], &export["inserted_count"]),
        (&"completed".into(), &3000.into()),
        "{export}"
    );
    assert!(service.scenario.attempts_at("1")[1].option("--after").is_some());
}

/// As with `&` in a script: SIGINT is inherited as ignored.
#[tokio::test]
async fn a_worker_that_inherited_sigint_as_ignored_still_stops_dce() {
    let channel = Channel::generated(20_000, 6).rate(300);
    let mut service =
        Service::api_only(&Scenario::new().channel("1", channel), &[("SHUTDOWN_GRACE", "13s")]).await;
    let ignoring = r#"trap "" INT; exec "$0""#;
    let worker = binary("dce-worker").display().to_string();
    service.add_worker_through("/bin/sh".as_ref(), &["-c", ignoring, &worker], &[]).await;
    let job_id = service.export(&json!({ "channel_id": "1" })).await;
    service.when(&job_id, "messages arrive", |export| export["message_count"].as_i64() > Some(100)).await;
    service.cancel(&job_id).await;
    // After 10 s it would be killed, too, but not at once.
    eventually(AT_ONCE, "cancelled, DCE is gone", async || (!is_running(&service, 0)).then_some(())).await;
    assert_eq!(service.ended(&job_id).await["status"], "cancelled");

    service.retry(&job_id).await;
    let kept = service.find(&job_id).await["message_count"].as_i64();
    service.when(&job_id, "it goes on", |export| export["message_count"].as_i64() > kept).await;
    service.workers[0].signal(Signal::SIGTERM);
    assert_eq!(service.workers[0].wait(BOUND).await.code(), Some(0));
    assert!(!is_running(&service, 1));
    let export = service.find(&job_id).await;
    assert_eq!(export["runs"][0]["failures"], 0, "{export}");
    let codes: Vec<Option<i32>> =
        sqlx::query_scalar("SELECT exit_code FROM export_attempts ORDER BY attempt")
            .fetch_all(&service.pool())
            .await
            .unwrap();
    assert_eq!(codes, [Some(1), Some(1)], "stopped in order, not killed");
}
