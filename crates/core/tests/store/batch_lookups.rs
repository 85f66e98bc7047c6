//! Lookups before a batch is written, and their cost in the archive.

use dce_core::db::{DatabaseUrl, connect_ingest};
use dce_core::ids::Snowflake;
use dce_core::store::batches::archived::{self, ArchivedVersion, IdRanges};
use dce_core::store::batches::missing::{self, Existing};
use futures_util::TryStreamExt;
use sqlx::{Connection, PgConnection};

use super::support::Store;

/// Messages of the channel in the statistics, and of the one that is newer.
const KNOWN: &str = r#"INSERT INTO messages (channel_id, message_id, "timestamp", raw)
    SELECT '1', (1000000 + n)::text, now(), '{}' FROM generate_series(1, 20000) n"#;
const NEW: &str = r#"INSERT INTO messages (channel_id, message_id, "timestamp", raw)
    SELECT '2', (1000000 + n)::text, now(), '{}' FROM generate_series(1, 5000) n"#;

fn ranges(channel: u64, low: u64, high: u64) -> IdRanges {
    IdRanges {
        channel_id: Snowflake::new(channel),
        lows: vec![low.to_string()],
        highs: vec![high.to_string()],
    }
}

/// Rows that the session has read so far, except those already reported to the server's statistics.
async fn read(session: &mut PgConnection) -> i64 {
    sqlx::query_scalar(
        "SELECT idx_tup_fetch + seq_tup_read FROM pg_stat_xact_user_tables WHERE relname = 'messages'",
    )
    .fetch_one(session)
    .await
    .unwrap()
}

async fn ids(session: &mut PgConnection, ranges: &IdRanges, at_most: i64) -> Vec<String> {
    archived::archived_ids(session, ranges, at_most).await.unwrap().iter().map(str::to_owned).collect()
}

/// For a channel that is newer than the statistics Postgres expects a single row, for which any index seems to do.
#[tokio::test]
async fn a_lookup_reads_only_its_range_of_a_channel_newer_than_the_statistics() {
    let store = Store::new().await;
    store.execute(KNOWN).await;
    store.execute("ANALYZE messages").await;
    store.execute(NEW).await;
    let mut session = connect_ingest(&DatabaseUrl::parse(&store.database.url()).unwrap(), "w").await.unwrap();
    for (low, high, archived) in [(1_000_101, 1_000_110, 10), (1_006_000, 1_007_000, 0)] {
        let ranges = ranges(2, low, high);
        let mut tx = session.begin().await.unwrap();
        let before = read(&mut tx).await;
        let ids = ids(&mut tx, &ranges, 1000).await;
        assert_eq!(ids.len(), archived);
        let by_ids = read(&mut tx).await - before;
        let versions: Vec<ArchivedVersion> =
            archived::archived_versions(&mut tx, &ranges, 1000, None).try_collect().await.unwrap();
        assert_eq!(versions.len(), archived);
        let by_versions = read(&mut tx).await - before - by_ids;
        let existing = Existing { message_ids: ids, placeholder: false };
        let missing = missing::mark_missing(&mut tx, &ranges, &existing, None, 1000).await.unwrap();
        assert_eq!(missing, 0);
        let by_marks = read(&mut tx).await - before - by_ids - by_versions;
        tx.rollback().await.unwrap();
        assert!(
            [by_ids, by_versions, by_marks].iter().all(|read| *read <= 10),
            "{by_ids} {by_versions} {by_marks}"
        );
    }
}

#[tokio::test]
async fn exactly_the_ids_in_the_ranges_are_found() {
    let store = Store::new().await;
    store.execute(KNOWN).await;
    store.execute(NEW).await;
    let mut session = store.session().await;
    let several = IdRanges {
        channel_id: Snowflake::new(1),
        lows: ["7", "1000001", "1020000"].map(str::to_owned).to_vec(),
        highs: ["9", "1000002", "1999999"].map(str::to_owned).to_vec(),
    };
    let mut found = ids(&mut session, &several, 1000).await;
    found.sort();
    assert_eq!(found, ["1000001", "1000002", "1020000"]);
    assert_eq!(ids(&mut session, &ranges(1, 1_000_000, 1_999_999), 7).await.len(), 7);
    assert!(ids(&mut session, &ranges(3, 0, 9), 7).await.is_empty());
}
