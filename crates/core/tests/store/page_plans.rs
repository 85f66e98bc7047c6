//! The reads of a page, and the cancel of a dropped one.

use std::time::{Duration, Instant};

use dce_core::ids::Snowflake;
use dce_core::store::reading::messages::{
    Column, MessageFilters, PageReader, PageStart, Position, SortOrder, channel_source, read_message,
};
use dce_testkit::process::eventually;

use super::pages::{pages_of, sessions};
use super::support::{BOUND, Store};

/// A channel in the statistics, and a newer one.
const KNOWN: &str = r#"INSERT INTO messages (channel_id, message_id, "timestamp", raw)
    SELECT '1', (1257995922097307849 + n * 419430400::bigint)::text, '2024-07-03T09:46:40Z'::timestamptz + n * interval '100 ms', '{}'
      FROM generate_series(1, 20000) n"#;
const NEW: &str = r#"INSERT INTO messages (channel_id, message_id, author_id, "timestamp", raw)
    SELECT '2', (1257995922097307849 + n * 419430400::bigint)::text, '7', '2024-07-03T09:46:40Z'::timestamptz + n * interval '100 ms', '{}'
      FROM generate_series(1, 30000) n"#;

const CHANNEL: Snowflake = Snowflake::new(2);

fn id(n: u64) -> Snowflake {
    Snowflake::new(1_257_995_922_097_307_849 + n * 419_430_400)
}

fn place(n: u64) -> PageStart {
    let start: chrono::DateTime<chrono::Utc> = "2024-07-03T09:46:40Z".parse().unwrap();
    let timestamp = start + chrono::TimeDelta::milliseconds(100 * i64::try_from(n).unwrap());
    PageStart { channel_id: CHANNEL, position: Position { timestamp, message_id: id(n) } }
}

/// Rows of messages that ended sessions have read.
async fn rows_read(store: &Store) -> i64 {
    eventually(BOUND, "the sessions end", async || {
        let open = store
            .count("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'test read' AND datname = current_database()")
            .await;
        (open == 0).then_some(())
    })
    .await;
    store.count("SELECT (idx_tup_fetch + seq_tup_read)::bigint FROM pg_stat_user_tables WHERE relname = 'messages'").await
}

/// For a channel that is newer than the statistics Postgres expects a single row, for which any index seems to do.
#[tokio::test]
async fn a_page_reads_only_its_rows_of_a_channel_newer_than_the_statistics() {
    let store = Store::new().await;
    store.execute("ALTER TABLE messages SET (autovacuum_enabled = off)").await;
    store.execute(KNOWN).await;
    store.execute("ANALYZE messages").await;
    store.execute(NEW).await;
    let filters = |after: Option<u64>, before: Option<u64>, author: Option<u64>| MessageFilters {
        after: after.map(|n| dce_core::store::reading::messages::Bound::Id(id(n))),
        before: before.map(|n| dce_core::store::reading::messages::Bound::Id(id(n))),
        author_id: author.map(Snowflake::new),
        ..MessageFilters::default()
    };
    let everything = filters(None, None, None);
    for (name, filters, order, start, rows, at_most) in [
        ("the first page", everything.clone(), SortOrder::Asc, None, 100, 200),
        ("the last page", everything.clone(), SortOrder::Desc, None, 100, 200),
        ("a deep page", everything.clone(), SortOrder::Asc, Some(place(25_000)), 100, 200),
        ("a deep page backwards", everything.clone(), SortOrder::Desc, Some(place(5_000)), 100, 200),
        ("a large page", everything.clone(), SortOrder::Asc, Some(place(10_000)), 1000, 1200),
        (
            "between ids",
            filters(Some(29_000), Some(29_050), None),
            SortOrder::Asc,
            None,
            100,
            50 + 2 * 600 + 100,
        ),
        ("of an author", filters(None, None, Some(7)), SortOrder::Asc, Some(place(25_000)), 100, 200 + 5_000),
    ] {
        let before = rows_read(&store).await;
        let sessions = sessions(&store);
        let columns = vec![Column::Raw];
        let mut reader = PageReader::new(channel_source(CHANNEL), filters, order, columns, start).unwrap();
        let page = reader.page(&sessions, pages_of(rows), &mut |_| Ok(0)).await.unwrap();
        sessions.close().await;
        let read = rows_read(&store).await - before;
        assert!(page.rows > 0 && read > 0, "{name}: {page:?} {read}");
        assert!(read <= at_most, "{name}: {read} rows were read for {}", page.rows);
    }
    let before = rows_read(&store).await;
    let sessions = sessions(&store);
    assert!(read_message(&sessions, CHANNEL, id(20_000), &mut |_| Ok(0)).await.unwrap());
    sessions.close().await;
    let read = rows_read(&store).await - before;
    assert!((1..=3).contains(&read), "one message: {read}");
}

/// A replacement of the table in which one message takes half a minute.
const SLOW: [&str; 2] = [
    "ALTER TABLE messages RENAME TO stored",
    "CREATE VIEW messages AS SELECT * FROM stored WHERE message_id <> '1257995930485915849' OR pg_sleep(30) IS NOT NULL",
];

#[tokio::test]
async fn a_dropped_page_is_cancelled_and_its_session_reused() {
    let store = Store::new().await;
    store.execute(NEW).await;
    for statement in SLOW {
        store.execute(statement).await;
    }
    let sessions = sessions(&store);
    let busy = async || {
        store
            .count(
                "SELECT count(*) FROM pg_stat_activity
                  WHERE application_name = 'test read' AND datname = current_database() AND state = 'active'",
            )
            .await
    };
    for _ in 0..3 {
        let sessions = sessions.clone();
        let task = tokio::spawn(async move {
            let mut reader = PageReader::new(
                channel_source(CHANNEL),
                MessageFilters::default(),
                SortOrder::Asc,
                vec![Column::MessageId],
                None,
            )
            .unwrap();
            reader.page(&sessions, pages_of(1000), &mut |_| Ok(0)).await.map(drop)
        });
        eventually(BOUND, "the page is read", async || (busy().await == 1).then_some(())).await;
        task.abort();
        let left = Instant::now();
        eventually(BOUND, "the page is cancelled", async || (busy().await == 0).then_some(())).await;
        assert!(left.elapsed() < Duration::from_secs(1), "{:?}", left.elapsed());
    }
    let mut reader = PageReader::new(
        channel_source(CHANNEL),
        MessageFilters::default(),
        SortOrder::Asc,
        vec![Column::MessageId],
        Some(place(1000)),
    )
    .unwrap();
    assert_eq!(reader.page(&sessions, pages_of(10), &mut |_| Ok(0)).await.unwrap().rows, 10);
}
