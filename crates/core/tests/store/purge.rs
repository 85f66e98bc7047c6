//! Erasure: complete, counted, and effective for concurrent batches.

use std::time::Duration;

use dce_core::ids::Snowflake;
use dce_core::store::retention::batched_deletion::DeletedRows;
use dce_core::store::retention::erasures::{self, BEGIN_BATCH, Erased, Subject};
use dce_core::store::retention::purge::{PurgeCount, count};
use sqlx::Connection;
use tokio::time::timeout;

use super::archive_fixture::{MESSAGES, insert};
use super::support::{BOUND, Store};

const AUTHOR: Subject = Subject::Author(Snowflake::new(0));

fn removed(messages: u64, versions: u64) -> DeletedRows {
    DeletedRows { messages, versions }
}

#[tokio::test]
async fn an_author_is_erased_in_every_channel_with_all_versions() {
    let store = Store::with_archive().await;
    // A version of a deleted message.
    store.execute("DELETE FROM messages WHERE channel_id = '2' AND message_id = '300'").await;
    store.execute("UPDATE channels SET archived_count = archived_count - 1 WHERE channel_id = '2'").await;
    assert_eq!(store.archived().await, (3 * MESSAGES - 1, 150));

    let expected = removed(2999, 150);
    let counted = count(&mut store.session().await, AUTHOR).await.unwrap();
    assert_eq!(counted, PurgeCount { rows: expected, channels: 3 });
    assert_eq!(store.archived().await, (3 * MESSAGES - 1, 150), "counting deletes nothing");

    assert_eq!(store.purge(AUTHOR).await, expected);
    assert_eq!(store.archived().await, (12_000, 0));
    assert_eq!(store.count("SELECT count(*) FROM messages WHERE author_id = '0'").await, 0);
    assert_eq!(store.purge(AUTHOR).await, DeletedRows::default());
}

#[tokio::test]
async fn a_channel_is_erased_and_no_other() {
    let store = Store::with_archive().await;
    let channel = Subject::Channel(Snowflake::new(2));
    let all = removed(5000, 50);
    assert_eq!(
        count(&mut store.session().await, channel).await.unwrap(),
        PurgeCount { rows: all, channels: 1 }
    );
    assert_eq!(store.purge(channel).await, all);
    assert_eq!(store.archived().await, (2 * MESSAGES, 100));
    assert_eq!(store.count("SELECT count(*) FROM messages WHERE channel_id = '2'").await, 0);
}

#[tokio::test]
async fn a_message_is_erased_in_every_channel() {
    let store = Store::with_archive().await;
    store.execute("DELETE FROM messages WHERE channel_id = '3' AND message_id = '700'").await;
    store.execute("UPDATE channels SET archived_count = archived_count - 1 WHERE channel_id = '3'").await;
    let message = Subject::Message(Snowflake::new(700));
    let all = removed(2, 3);
    assert_eq!(
        count(&mut store.session().await, message).await.unwrap(),
        PurgeCount { rows: all, channels: 2 }
    );
    assert_eq!(store.purge(message).await, all);
    assert_eq!(store.archived().await, (3 * MESSAGES - 3, 147));
    assert_eq!(store.purge(Subject::Message(Snowflake::new(1_000_000))).await, DeletedRows::default());
}

#[tokio::test]
async fn an_erasure_is_recorded_once() {
    let store = Store::new().await;
    let mut session = store.session().await;
    assert!(!erasures::any(&mut session).await.unwrap());
    assert!(erasures::record(&mut session, AUTHOR).await.unwrap());
    assert!(!erasures::record(&mut session, AUTHOR).await.unwrap());
    assert!(erasures::any(&mut session).await.unwrap());
    assert_eq!(store.count("SELECT count(*) FROM erasures").await, 1);
}

#[tokio::test]
async fn a_batch_finds_exactly_its_own_erasures() {
    let store = Store::new().await;
    let mut session = store.session().await;
    // The same number as an id of another kind is another subject.
    for subject in [AUTHOR, Subject::Message(Snowflake::new(7)), Subject::Channel(Snowflake::new(9))] {
        erasures::record(&mut session, subject).await.unwrap();
    }
    let texts = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
    let mut among = async |channel: u64| {
        let (authors, messages) = (texts(&["0", "7", "9"]), texts(&["0", "7", "9"]));
        erasures::find_among(&mut session, Snowflake::new(channel), &authors, &messages).await.unwrap()
    };
    let (authors, messages) = ([String::from("0")].into(), [Snowflake::new(7)].into());
    let expected = Erased { channel: false, authors, messages };
    assert_eq!(among(7).await, expected);
    assert_eq!(among(9).await, Erased { channel: true, ..expected });
}

#[tokio::test]
async fn an_erasure_waits_for_batches_that_have_not_read_it() {
    let store = Store::with_archive().await;
    let (mut worker, mut operator) = (store.session().await, store.session().await);
    // At the critical point: it has read, and has not written yet.
    let mut batch = worker.begin_with(BEGIN_BATCH).await.unwrap();
    assert!(!erasures::any(&mut batch).await.unwrap());
    erasures::record(&mut operator, AUTHOR).await.unwrap();
    let ended = erasures::wait_for_batches(&mut operator, Duration::from_millis(100)).await.unwrap();
    assert!(!ended, "it is still under way");
    insert(&mut batch, "9000", "0").await;

    let wait = tokio::spawn(async move { erasures::wait_for_batches(&mut operator, BOUND).await.unwrap() });
    batch.commit().await.unwrap();
    assert!(timeout(BOUND, wait).await.unwrap().unwrap());
    store.execute("UPDATE channels SET archived_count = archived_count + 1 WHERE channel_id = '1'").await;
    assert_eq!(store.purge(AUTHOR).await, removed(3001, 150));
    assert_eq!(store.archived().await, (12_000, 0));
}

#[tokio::test]
async fn an_erasure_and_later_batches_do_not_wait_for_each_other() {
    let store = Store::new().await;
    let (mut early, mut late, mut operator) =
        (store.session().await, store.session().await, store.session().await);
    let before = early.begin_with(BEGIN_BATCH).await.unwrap();
    erasures::record(&mut operator, AUTHOR).await.unwrap();
    let wait = tokio::spawn(async move { erasures::wait_for_batches(&mut operator, BOUND).await.unwrap() });
    let looks = "SELECT count(*) FROM pg_stat_activity
                  WHERE datname = current_database() AND query LIKE '%pg_locks%' AND pid <> pg_backend_pid()";
    dce_testkit::process::eventually(BOUND, "it has looked", async || {
        (store.count(looks).await > 0).then_some(())
    })
    .await;

    let mut after = timeout(BOUND, late.begin_with(BEGIN_BATCH)).await.unwrap().unwrap();
    assert!(erasures::any(&mut after).await.unwrap(), "it has read the erasure");
    assert!(!wait.is_finished());
    before.commit().await.unwrap();
    assert!(timeout(BOUND, wait).await.unwrap().unwrap(), "although the later one is still under way");
    after.commit().await.unwrap();
}
