//! Warnings of a run: set with the cursor, read by the next attempt, included in the export.

use dce_core::export::failure::{Failure, FailureKind};
use dce_core::export::state::RunStatus;
use dce_core::export::warnings::Counters;
use dce_core::ids::Snowflake;
use dce_core::store::reading::export;
use dce_core::store::transitions::{self, Checkpoint, ClaimedRun, Completion};
use serde_json::Value;

use super::support::{BY_SLOTS, DONE, REPORT, Store, at};

fn some(blank: u64) -> Counters {
    let mut counters =
        Counters { blank, reactions_short: 2, reaction_users_missing: 5, ..Counters::default() };
    counters.shortened = 1;
    counters.users_omitted = 300_000;
    counters.shortened_ids.push(Snowflake::new(u64::MAX));
    counters
}

impl Store {
    async fn notice(&self, run: &ClaimedRun, cursor: u64, counters: Counters) {
        let checkpoint = Checkpoint { counters, repaired_count: 4, ..at(cursor, 10) };
        let mut connection = self.pool.acquire().await.unwrap();
        transitions::checkpoint(&mut connection, &run.fence, &checkpoint).await.unwrap();
    }

    async fn fail(&self, run: &ClaimedRun) {
        let failure = Failure::new(FailureKind::DiscordUnavailable);
        transitions::fail(&self.pool, &run.fence, &failure, 0.0, &REPORT, BY_SLOTS).await.unwrap();
    }

    /// The warnings of a run and of its export; checks the stored ones.
    async fn warnings(&self, run: &ClaimedRun) -> (Value, Value) {
        let shown = export::find(&self.pool, run.job_id).await.unwrap().unwrap();
        let stored: Value = sqlx::query_scalar("SELECT warnings FROM exports WHERE job_id = $1")
            .bind(run.job_id)
            .fetch_one(&self.pool)
            .await
            .unwrap();
        if shown.row.finished_at.is_some() {
            assert_eq!(stored, export::warnings(&shown.runs), "settled at the end");
        }
        let warnings = export::warnings(&shown.runs);
        let run = shown.runs.into_iter().find(|shown| shown.row.id == run.fence.run_id).unwrap();
        (run.row.warnings, warnings)
    }
}

/// These warnings as in the export.
fn channel_source(warnings: &Value, channel_id: &str) -> Value {
    let named = warnings.as_array().unwrap().iter().map(|warning| {
        let mut warning = warning.clone();
        warning["channel_id"] = channel_id.into();
        warning
    });
    named.collect()
}

#[tokio::test]
async fn counters_are_set_with_the_cursor_and_read_by_the_next_attempt() {
    let store = Store::with_slots(1).await;
    store.post(&[1]).await;
    let first = store.claim("w").await;
    assert_eq!(first.counters, Counters::default());
    store.notice(&first, 500, some(3)).await;
    // Set, not added: a repeated batch counts once.
    store.notice(&first, 600, some(7)).await;
    assert_eq!(store.warnings(&first).await.0, some(7).warnings(4));
    assert_eq!(
        store.warnings(&first).await.1,
        channel_source(&some(7).warnings(4), "1"),
        "shown while it runs"
    );

    store.fail(&first).await;
    store.execute("UPDATE export_channels SET run_at = clock_timestamp()").await;
    transitions::reconcile(&store.pool, BY_SLOTS).await.unwrap();
    let second = store.claim("w").await;
    assert_eq!((second.counters, second.repaired_count), (some(7), 4));
    assert_eq!(store.warnings(&second).await.0, some(7).warnings(4), "a claim forgets nothing");
    let ended = transitions::complete(&store.pool, &second.fence, &DONE, &REPORT, BY_SLOTS).await.unwrap();
    assert_eq!(ended, RunStatus::Completed);
    assert_eq!(
        store.warnings(&second).await,
        (some(7).warnings(4), channel_source(&some(7).warnings(4), "1"))
    );
}

#[tokio::test]
async fn an_export_has_the_warnings_of_all_its_channels() {
    let store = Store::with_slots(2).await;
    store.post(&[1, 2]).await;
    let (one, two) = (store.claim("w").await, store.claim("w").await);
    store.notice(&one, 500, some(1)).await;
    let unverified = Completion { warn_not_verified: true, ..DONE };
    for (run, completion) in [(&one, &DONE), (&two, &unverified)] {
        for _ in 0..2 {
            // The second time as after a lost first answer.
            transitions::complete(&store.pool, &run.fence, completion, &REPORT, BY_SLOTS).await.unwrap();
        }
    }
    let (_, shown) = store.warnings(&one).await;
    let shown = shown.as_array().unwrap().iter();
    let mut shown: Vec<_> =
        shown.map(|warning| (text(&warning["channel_id"]), text(&warning["code"]))).collect();
    shown.sort_unstable();
    let (one, two) = (one.channel_id.to_string(), two.channel_id.to_string());
    let noticed = ["content_blank", "message_shortened", "reaction_users_missing", "repaired"];
    let mut expected: Vec<_> = noticed.iter().map(|code| (one.as_str(), *code)).collect();
    expected.push((&two, "not_verified"));
    expected.sort_unstable();
    assert_eq!(shown, expected);
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}
