//! Several workers and exports at once.

use dce_standin::scenario::{Channel, Scenario};
use dce_testkit::service::Service;
use serde_json::json;
use sqlx::Row;

#[tokio::test]
async fn two_workers_complete_each_of_eight_exports_once() {
    let channels: Vec<String> = (1..=8).map(|number| format!("70000000000000000{number}")).collect();
    let scenario = channels.iter().zip(1..).fold(Scenario::new(), |scenario, (channel, seed)| {
        scenario.channel(channel, Channel::generated(1500, seed).rate(3000))
    });
    let mut service = Service::start(&scenario).await;
    service.add_worker(&[]).await;
    let mut jobs = Vec::new();
    for channel in &channels {
        jobs.push(service.export(&json!({ "channel_id": channel })).await);
    }
    for (job, channel) in jobs.iter().zip(&channels) {
        let export = service.ended(job).await;
        assert_eq!(export["status"], "completed", "{export}");
        assert_eq!(
            (&export["message_count"], &export["inserted_count"]),
            (&1500.into(), &1500.into()),
            "{export}"
        );
        assert_eq!(service.scenario.attempts_at(channel).len(), 1, "one attempt is enough");
    }
    let owners: i64 = sqlx::query_scalar("SELECT count(DISTINCT worker) FROM export_attempts")
        .fetch_one(&service.pool())
        .await
        .unwrap();
    assert_eq!(owners, 2, "both workers took part");
}

#[tokio::test]
async fn two_exports_of_one_channel_run_one_after_the_other() {
    let service = Service::start(&Scenario::new().channel("42", Channel::generated(600, 3).rate(1000))).await;
    let jobs = [
        service.export(&json!({ "channel_id": "42" })).await,
        service.export(&json!({ "channel_id": "42" })).await,
    ];
    let mut inserted = Vec::new();
    for job in &jobs {
        let export = service.ended(job).await;
        assert_eq!(
            (&export["status"], &export["message_count"]),
            (&"completed".into(), &600.into()),
            "{export}"
        );
        inserted.push(export["inserted_count"].as_i64().unwrap());
    }
    assert_eq!(inserted, [600, 0]);
    let overlapping: i64 = sqlx::query(
        "SELECT count(*) FROM export_attempts a JOIN export_attempts b ON a.run_id < b.run_id
          WHERE a.started_at < b.ended_at AND b.started_at < a.ended_at",
    )
    .fetch_one(&service.pool())
    .await
    .unwrap()
    .get(0);
    assert_eq!(overlapping, 0);
}
