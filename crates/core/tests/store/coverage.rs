//! `covered_to_id`: how far a channel is archived without a gap.

use chrono::{DateTime, Utc};
use dce_core::export::failure::{Failure, FailureKind};
use dce_core::ids::Snowflake;
use dce_core::store::transitions::{self, NewExport};
use serde_json::json;

use super::support::{BY_SLOTS, DONE, REPORT, Store, new_export};

/// A time and the last id before it.
const START: &str = "2024-07-03T09:50:40Z";

fn start() -> DateTime<Utc> {
    START.parse().unwrap()
}

fn last_before_start() -> u64 {
    Snowflake::first_at(start()).unwrap().before().get()
}

/// A store with one known channel, 1, and its coverage.
async fn covered(to: Option<u64>) -> Store {
    let store = Store::with_slots(1).await;
    store.describe_channel(1).await;
    sqlx::query("UPDATE channels SET covered_to_id = $1")
        .bind(to.map(|id| id.to_string()))
        .execute(&store.pool)
        .await
        .unwrap();
    store
}

impl Store {
    /// Completes an export of channel 1 with this cursor and returns the channel's coverage.
    async fn complete_up_to(&self, new: NewExport, cursor: Option<u64>) -> Option<u64> {
        self.post_new(&new).await;
        let run = self.claim("w").await;
        if let Some(cursor) = cursor {
            self.reach(&run.fence, cursor, 1).await;
        }
        transitions::complete(&self.pool, &run.fence, &DONE, &REPORT, BY_SLOTS).await.unwrap();
        self.covered_to().await
    }
}

fn whole() -> NewExport {
    new_export(&[1])
}

fn since_start() -> NewExport {
    NewExport { start_at: Some(start()), ..whole() }
}

#[tokio::test]
async fn a_run_from_the_beginning_covers_up_to_its_cursor() {
    let store = covered(None).await;
    assert_eq!(store.complete_up_to(whole(), Some(500)).await, Some(500));
    assert_eq!(store.complete_up_to(whole(), None).await, Some(500), "a run that read nothing");
}

#[tokio::test]
async fn coverage_grows_by_number_and_never_shrinks() {
    let (short, long) = (999_999_999_999_999_999, 1_000_000_000_000_000_000);
    let store = covered(Some(short)).await;
    assert_eq!(store.complete_up_to(whole(), Some(long)).await, Some(long), "19 digits are more than 18");
    assert_eq!(store.complete_up_to(whole(), Some(short)).await, Some(long));
}

#[tokio::test]
async fn a_filtered_run_covers_nothing() {
    let store = covered(Some(100)).await;
    let filtered = NewExport { options: json!({ "filter": "has:image" }), ..whole() };
    assert_eq!(store.complete_up_to(filtered, Some(500)).await, Some(100));
    let unfiltered = NewExport { options: json!({ "filter": null, "markdown": true }), ..whole() };
    assert_eq!(store.complete_up_to(unfiltered, Some(500)).await, Some(500));
}

#[tokio::test]
async fn a_run_that_begins_above_the_coverage_covers_nothing() {
    let cursor = last_before_start() + 1000;
    for (before, expected) in [
        (None, None),
        (Some(last_before_start() - 1), Some(last_before_start() - 1)),
        (Some(last_before_start()), Some(cursor)),
        (Some(last_before_start() + 10), Some(cursor)),
        (Some(cursor + 1), Some(cursor + 1)),
    ] {
        let store = covered(before).await;
        assert_eq!(
            store.complete_up_to(since_start(), Some(cursor)).await,
            expected,
            "covered to {before:?}"
        );
    }
}

#[tokio::test]
async fn only_a_completed_run_covers() {
    let store = covered(None).await;
    store.post_new(&whole()).await;
    let run = store.claim("w").await;
    store.reach(&run.fence, 500, 1).await;
    assert_eq!(store.covered_to().await, None);
    let failure = Failure::new(FailureKind::MissingAccess);
    transitions::fail(&store.pool, &run.fence, &failure, 0.5, &REPORT, BY_SLOTS).await.unwrap();
    assert_eq!(store.covered_to().await, None);
}
