//! What changes in a channel while its end is proven, and Discord's own clock.

use std::time::Duration;

use chrono::TimeDelta;
use dce_standin::scenario::DceVersion;
use dce_testkit::discord::Post;
use dce_testkit::process::eventually;
use dce_testkit::service::Service;
use serde_json::json;

use crate::proof_service::{
    asking, assert_archived, assert_proven, export, export_all, hasty, id_now, is_proof, on, proofs, start,
};

const CHANNEL: &str = "7001";
const BOUND: Duration = Duration::from_secs(60);

async fn serve(messages: u64) -> Service {
    start(&hasty(DceVersion::V2_48).channel(CHANNEL, asking(messages)), "3", |_| ()).await
}

/// Posts a message of this moment.
fn post_now(service: &Service) {
    service.discord.post(CHANNEL, Post::new(id_now(0)));
}

#[tokio::test]
async fn messages_that_arrive_meanwhile_are_no_shortfall() {
    let service = serve(500).await;
    let job_id = service.export(&json!({ "channel_id": CHANNEL, "end_at": "2100-01-01T00:00:00Z" })).await;
    let export = eventually(BOUND, "the export ends", async || {
        post_now(&service);
        Some(service.find(&job_id).await).filter(|export| !export["finished_at"].is_null())
    })
    .await;
    assert_proven(&export);
    assert_eq!(service.scenario.attempts_at(CHANNEL).len(), 1);

    // The next increment has what came after the bound.
    let again = export_all(&service, CHANNEL).await;
    assert_proven(&again);
    assert_archived(&service, CHANNEL).await;
}

#[tokio::test]
async fn a_message_that_is_deleted_before_the_proof_is_no_shortfall() {
    let service = serve(200).await;
    let listed = service.discord.message_ids(CHANNEL);
    // DCE has read it when the proof is asked for the first time.
    service.discord.fault(on(CHANNEL, is_proof).times(2).status(503));
    let job_id = service.export(&json!({ "channel_id": CHANNEL })).await;
    eventually(BOUND, "the proof is asked for", async || (proofs(&service, CHANNEL) > 0).then_some(())).await;
    service.discord.delete(CHANNEL, listed[199]);
    let export = service.ended(&job_id).await;
    assert_proven(&export);
    assert_eq!((&export["message_count"], service.scenario.attempts_at(CHANNEL).len()), (&200.into(), 1));
}

#[tokio::test]
async fn a_clock_a_minute_ahead_of_discords_is_no_false_alarm() {
    let service = serve(100).await;
    service.discord.set_clock_offset(TimeDelta::seconds(-60));
    for _ in 0..2 {
        service.discord.post(CHANNEL, Post::new(id_now(-60_000)));
        let export = export(&service, CHANNEL, json!({})).await;
        assert_proven(&export);
        assert_archived(&service, CHANNEL).await;
    }
    assert_eq!(service.scenario.attempts_at(CHANNEL).len(), 2);
}
