//! Messages of one millisecond, which Discord may list in any order: none is lost, none counts twice.

use std::collections::BTreeSet;
use std::time::Duration;

use dce_standin::scenario::{Attempt, Channel, Ending, Scenario};
use dce_testkit::database::OwnServer;
use dce_testkit::process::eventually;
use dce_testkit::proxy::{Lost, Proxy};
use dce_testkit::service::Service;
use serde_json::{Value, json};
use sqlx::PgPool;

use crate::archive::stored;
use crate::document::{CHANNEL, Document};

const BOUND: Duration = Duration::from_secs(60);

/// The millisecond of the first message.
const BEGINNING: u64 = 299_692_000_000;

/// An id of a millisecond that is counted from the channel's beginning.
fn id(millisecond: u64, low: u64) -> u64 {
    ((BEGINNING + millisecond) << 22) + low
}

/// Ten messages, of which the three from `tie` on are of one millisecond, in this order.
fn listing(tie: u64, order: [u64; 3]) -> Vec<u64> {
    let before = (0..tie).map(|ms| id(ms, 0));
    let after = (tie + 3..10).map(|ms| id(ms, 0));
    before.chain(order.map(|low| id(tie, low))).chain(after).collect()
}

/// The run's cursor and how far its channel is covered.
async fn position(pool: &PgPool, channel: &str) -> (String, String) {
    sqlx::query_as(
        "SELECT r.cursor_message_id, c.covered_to_id FROM export_channels r JOIN channels c USING (channel_id)
          WHERE r.channel_id = $1",
    )
    .bind(channel)
    .fetch_one(pool)
    .await
    .unwrap()
}

async fn missing(pool: &PgPool) -> BTreeSet<String> {
    let ids: Vec<String> =
        sqlx::query_scalar("SELECT message_id FROM messages WHERE missing_since IS NOT NULL")
            .fetch_all(pool)
            .await
            .unwrap();
    ids.into_iter().collect()
}

fn assert_counts(export: &Value, messages: usize, inserted: usize) {
    assert_eq!((&export["status"], &export["error"]), (&"completed".into(), &Value::Null), "{export}");
    let counts = ["message_count", "inserted_count", "updated_count"].map(|name| export[name].clone());
    assert_eq!(counts, [messages, inserted, 0].map(Value::from), "{export}");
}

#[tokio::test]
async fn a_drop_at_any_place_among_tied_messages_loses_none() {
    let template = Document::generated(10);
    let orders = [[1, 2, 3], [3, 2, 1], [2, 3, 1], [3, 1, 2]];
    let mut scenario = Scenario::new();
    let mut cases = Vec::new();
    for tie in [0, 3, 7] {
        for (order, drop) in orders.iter().flat_map(|order| (tie..=tie + 3).map(move |drop| (order, drop))) {
            let channel = (1000 + cases.len()).to_string();
            let document = template.in_channel(&channel).renumbered(&listing(tie, *order));
            scenario = scenario
                .channel(&channel, document.channel().attempt(Attempt::ends_after(drop, Ending::Dropped)));
            cases.push((channel, document, format!("{order:?} from {tie} on, dropped after {drop}")));
        }
    }
    let mut service = Service::api_only(&scenario, &[("WORKER_CONCURRENCY", "8")]).await;
    service.add_worker(&[]).await;
    let channels: Vec<_> = cases.iter().map(|(channel, ..)| channel).collect();
    let job_id = service.export(&json!({ "channel_ids": channels })).await;
    let export = service.ended(&job_id).await;
    assert_eq!(export["status"], "completed", "{export}");
    for (channel, document, case) in &cases {
        let runs = export["runs"].as_array().unwrap();
        let run = runs.iter().find(|run| run["channel_id"] == channel.as_str()).unwrap();
        let counts = ["attempt", "message_count", "inserted_count"].map(|name| run[name].clone());
        assert_eq!(counts, [2, 10, 10].map(Value::from), "{case}: {run}");
        let messages = document.messages();
        assert_eq!(&stored(&service.pool(), channel).await, &messages, "{case}");
        let (first, last) = (messages.keys().next().unwrap(), messages.keys().next_back().unwrap());
        assert_eq!(
            (&run["first_message_id"], &run["last_message_id"]),
            (&json!(first), &json!(last)),
            "{case}"
        );
        assert_eq!(position(&service.pool(), channel).await, (last.clone(), last.clone()), "{case}");
    }
}

#[tokio::test]
async fn a_channel_of_tied_messages_that_drops_every_six_pages_completes() {
    let ids: Vec<u64> = (0..1250).flat_map(|ms| [id(ms, 9), id(ms, 4)]).collect();
    let document = Document::generated(2500).renumbered(&ids);
    // Between the two messages of a pair.
    let channel = (0..4)
        .fold(document.channel(), |channel, _| channel.attempt(Attempt::ends_after(601, Ending::Dropped)));
    let mut service =
        Service::api_only(&Scenario::new().channel(CHANNEL, channel), &[("MAX_ATTEMPTS", "1")]).await;
    service.add_worker(&[]).await;
    let export = service.export_channel(CHANNEL).await;
    assert_counts(&export, 2500, 2500);
    assert_eq!((&export["runs"][0]["attempt"], &export["runs"][0]["failures"]), (&5.into(), &0.into()));
    assert_eq!(stored(&service.pool(), CHANNEL).await, document.messages());
    let last = id(1249, 9).to_string();
    assert_eq!(position(&service.pool(), CHANNEL).await, (last.clone(), last));

    let again = service.export_channel(CHANNEL).await;
    assert_counts(&again, 2500, 0);
}

#[tokio::test]
async fn a_message_that_is_listed_twice_in_its_millisecond_counts_once() {
    let ids = [id(0, 0), id(1, 2), id(1, 1), id(1, 2), id(1, 3), id(1, 1), id(2, 0)];
    let document = Document::generated(7).renumbered(&ids);
    let mut unlike = document.messages();
    unlike.retain(|id, _| stored_once(id, &ids));
    // Slow, so that each message is a batch of its own.
    for (drops, rate) in [(&[][..], 0), (&[], 7), (&[3, 4], 0), (&[2, 5], 7)] {
        let channel = drops.iter().fold(document.channel().rate(rate), |channel, after| {
            channel.attempt(Attempt::ends_after(*after, Ending::Dropped))
        });
        let service = Service::start(&Scenario::new().channel(CHANNEL, channel)).await;
        let export = service.export_channel(CHANNEL).await;
        assert_counts(&export, 5, 5);
        let stored = stored(&service.pool(), CHANNEL).await;
        assert_eq!(stored.len(), 5);
        assert!(unlike.iter().all(|(id, message)| stored[id] == *message));
    }
}

/// Whether an id is listed only once, so that only one content can be stored.
fn stored_once(id: &str, ids: &[u64]) -> bool {
    ids.iter().filter(|listed| listed.to_string() == id).count() == 1
}

#[tokio::test]
async fn a_message_that_is_read_again_counts_once_although_its_commit_has_no_answer() {
    // All of one millisecond, the highest id first: whatever the second attempt inserts is below the cursor.
    let ids: Vec<u64> = (0..40).rev().map(|low| id(0, low)).collect();
    let document = Document::generated(40).renumbered(&ids);
    let channel = document.channel().rate(6).attempt(Attempt::ends_after(1, Ending::Dropped));
    let server = OwnServer::start().await;
    let proxy = Proxy::start(server.socket()).await.unwrap();
    let scenario = Scenario::new().channel(CHANNEL, channel);
    let mut service = Service::api_only_on(&server.url(), server.pool(), &scenario, &[]).await;
    let through_the_proxy = format!("postgres://postgres@127.0.0.1:{}/postgres", proxy.port());
    service.add_worker(&[("DATABASE_URL", &through_the_proxy)]).await;
    let job_id = service.export(&json!({ "channel_id": CHANNEL })).await;
    let some_arrived = |export: &Value| export["message_count"].as_i64() > Some(2);
    service.when(&job_id, "the second attempt inserts messages", some_arrived).await;
    for lost in [Lost::Answer, Lost::Request, Lost::Answer, Lost::Answer] {
        let before = proxy.commits_lost();
        proxy.lose_commit(lost);
        eventually(BOUND, "a COMMIT is lost", async || (proxy.commits_lost() > before).then_some(())).await;
    }
    let export = service.ended(&job_id).await;
    assert_counts(&export, 40, 40);
    assert_eq!(export["runs"][0]["attempt"], 2, "{export}");
    assert_eq!(stored(&service.pool(), CHANNEL).await, document.messages());
}

#[tokio::test]
async fn an_update_marks_no_tied_message_that_is_still_to_come() {
    let template = Document::generated(10);
    let whole = template.renumbered(&listing(4, [3, 2, 1]));
    let export = async |service: &Service, channel: Channel| {
        service.scenario.rewrite(&Scenario::new().channel(CHANNEL, channel));
        let body = json!({ "channel_id": CHANNEL, "on_conflict": "update" });
        service.ended(&service.export(&body).await).await
    };
    let service = Service::start(&Scenario::new().channel(CHANNEL, whole.channel())).await;
    assert_counts(&service.export_channel(CHANNEL).await, 10, 10);
    let pool = service.pool();
    let rows = async || -> Vec<(String, String)> {
        let rows = "SELECT message_id, ctid::text || ' ' || xmin FROM messages ORDER BY message_id";
        sqlx::query_as(rows).fetch_all(&pool).await.unwrap()
    };
    let before = rows().await;
    // Slow, so that each message is a batch of its own.
    let slow = || whole.channel().rate(7);
    assert_counts(&export(&service, slow()).await, 10, 0);
    let dropped =
        [5, 3].into_iter().fold(slow().attempt(Attempt::ends(Ending::Complete)), |channel, after| {
            channel.attempt(Attempt::ends_after(after, Ending::Dropped))
        });
    assert_counts(&export(&service, dropped).await, 10, 0);
    assert_eq!(rows().await, before, "no row was written, not even for a while");

    for gone in [4, 5, 6] {
        let mut left = whole.clone();
        let gone = left.remove(gone);
        for channel in [left.channel(), left.channel().rate(7)] {
            sqlx::query("UPDATE messages SET missing_since = NULL").execute(&pool).await.unwrap();
            assert_counts(&export(&service, channel).await, 9, 0);
            assert_eq!(missing(&pool).await, BTreeSet::from([gone.clone()]));
        }
    }
}
