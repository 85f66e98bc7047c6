//! Many exports are cancelled while they end, or their runs end at once: none is stuck or has two outcomes.

use std::time::{Duration, Instant};

use dce_standin::scenario::{Channel, Scenario};
use dce_testkit::service::Service;
use futures_util::StreamExt;
use futures_util::stream;
use reqwest::StatusCode;
use serde_json::{Value, json};

/// Number of exports; more with `DCE_RACE_ROUNDS`.
const ROUNDS: u64 = 60;
/// Number of exports at a time.
const AT_ONCE: u64 = 6;

fn rounds() -> u64 {
    std::env::var("DCE_RACE_ROUNDS").map_or(ROUNDS, |rounds| rounds.parse().unwrap())
}

/// Channels of three messages, twice as many as run at a time.
async fn service() -> Service {
    let scenario = (1..=2 * AT_ONCE)
        .fold(Scenario::new(), |scenario, id| scenario.channel(id.to_string(), Channel::generated(3, id)));
    let mut service = Service::api_only(&scenario, &[]).await;
    service.add_worker(&[("WORKER_CONCURRENCY", "6")]).await;
    service
}

#[tokio::test]
async fn a_cancel_while_an_export_ends_has_one_outcome() {
    let service = service().await;
    // On any machine the pauses are spread over one and a half times the duration of an export: that of the second round,
    // which finds all connections open.
    let mut longest_pause = Duration::ZERO;
    for _ in 0..2 {
        let started = Instant::now();
        stream::iter(1..=AT_ONCE)
            .for_each_concurrent(None, async |channel| {
                service.export_channel(&channel.to_string()).await;
            })
            .await;
        longest_pause = started.elapsed().mul_f64(1.5);
    }
    let ends: Vec<String> = stream::iter(0..rounds())
        .map(|round| {
            let service = &service;
            async move {
                let channel = (round % AT_ONCE + 1).to_string();
                let job_id = service.export(&json!({ "channel_id": channel })).await;
                let share = f64::from(u32::try_from(round * 7919 % 100).unwrap()) / 100.0;
                // Most pauses are short, because the measuring client noticed the end late.
                tokio::time::sleep(longest_pause.mul_f64(share * share)).await;
                let (answered, _) = service.cancel(&job_id).await;
                let export = service.ended(&job_id).await;
                let run = &export["runs"][0];
                assert_eq!(run["status"], export["status"], "{export}");
                let status = export["status"].as_str().unwrap();
                match (answered, status) {
                    (StatusCode::ACCEPTED, "cancelled") => {}
                    // It ended before it could be stopped, or before the request.
                    (StatusCode::ACCEPTED | StatusCode::CONFLICT, "completed") => {
                        assert_eq!(run["message_count"], 3, "{export}");
                    }
                    other => panic!("{other:?}: {export}"),
                }
                status.to_owned()
            }
        })
        .buffer_unordered(usize::try_from(AT_ONCE).unwrap())
        .collect()
        .await;
    let cancelled = ends.iter().filter(|end| *end == "cancelled").count();
    println!("{cancelled} of {} were cancelled, the others completed", ends.len());
    assert!(cancelled > 0 && cancelled < ends.len(), "both happen: {cancelled} of {}", ends.len());
    assert_nothing_is_left(&service).await;
}

#[tokio::test]
async fn two_runs_that_end_at_once_end_their_export() {
    let service = service().await;
    stream::iter(0..rounds())
        .map(|round| {
            let service = &service;
            async move {
                let first = round % AT_ONCE * 2 + 1;
                let channels = [first.to_string(), (first + 1).to_string()];
                let export = service.ended(&service.export(&json!({ "channel_ids": channels })).await).await;
                let counts = (&export["status"], &export["message_count"]);
                assert_eq!(counts, (&Value::from("completed"), &Value::from(6)), "{export}");
            }
        })
        .buffer_unordered(usize::try_from(AT_ONCE).unwrap())
        .collect::<()>()
        .await;
    assert_nothing_is_left(&service).await;
}

async fn assert_nothing_is_left(service: &Service) {
    let (open, admitted): (i64, i64) = sqlx::query_as(
        "SELECT (SELECT count(*) FROM exports WHERE finished_at IS NULL),
                (SELECT count(*) FROM export_channels WHERE status IN ('pending', 'running') OR task_id IS NOT NULL)",
    )
    .fetch_one(&service.pool())
    .await
    .unwrap();
    assert_eq!((open, admitted), (0, 0));
}
