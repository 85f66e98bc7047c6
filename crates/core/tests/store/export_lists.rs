//! Lists of exports: the reads of a page, and the tables that keep the order.

use std::time::Duration;

use dce_core::db::DatabaseUrl;
use dce_core::export::state::ExportStatus;
use dce_core::ids::Snowflake;
use dce_core::notifications::{ExportChange, Listener, Notification};
use dce_core::schema::migrate;
use dce_core::store::reading::change_token;
use dce_core::store::reading::export_list::{ExportFilter, page};
use dce_core::store::retention::prune;
use dce_core::store::transitions;
use dce_testkit::database::TestDatabase;
use sqlx::migrate::{Migrate as _, Migrator};
use sqlx::{Connection, PgConnection};
use tokio::time::timeout;
use uuid::Uuid;

use super::support::{BOUND, BY_SLOTS, DONE, REPORT, Store};

/// The migration under test.
const LISTING: i64 = 11;
/// The statistics contain only one export with three runs; later there are exports of one channel, each hundredth failed,
/// and a few of another channel.
const KNOWN: &str = "
  INSERT INTO exports (job_id) SELECT gen_random_uuid();
  INSERT INTO export_channels (id, job_id, channel_id)
  SELECT gen_random_uuid(), job_id, n::text FROM exports, generate_series(1, 3) n;
  ANALYZE exports, export_channels, channel_exports";
const NEW: &str = "
  ALTER TABLE exports SET (autovacuum_enabled = off);
  ALTER TABLE export_channels SET (autovacuum_enabled = off);
  ALTER TABLE channel_exports SET (autovacuum_enabled = off);
  INSERT INTO exports (job_id, status, created_at, finished_at)
  SELECT gen_random_uuid(), CASE WHEN n % 100 = 0 THEN 'failed' ELSE 'completed' END, t, t
    FROM (SELECT n, timestamptz '2026-01-01' + n * interval '1 s' AS t FROM generate_series(1, 20000) n) x;
  INSERT INTO export_channels (id, job_id, channel_id, status, finished_at)
  SELECT gen_random_uuid(), job_id, CASE WHEN extract(epoch FROM created_at)::bigint % 1000 = 0 THEN '8' ELSE '7' END, status, finished_at
    FROM exports WHERE created_at < '2026-02-01'";

/// Rows that the session has read so far, except those already reported to the server's statistics.
async fn read(session: &mut PgConnection) -> i64 {
    sqlx::query_scalar(
        "SELECT sum(idx_tup_fetch + seq_tup_read)::bigint FROM pg_stat_xact_user_tables
          WHERE relname IN ('exports', 'export_channels', 'channel_exports')",
    )
    .fetch_one(session)
    .await
    .unwrap()
}

#[tokio::test]
async fn a_page_reads_only_its_own_exports_with_any_statistics() {
    let store = Store::new().await;
    sqlx::raw_sql(KNOWN).execute(&store.pool).await.unwrap();
    sqlx::raw_sql(NEW).execute(&store.database.pool()).await.unwrap();
    let mut session = store.session().await;
    for (statuses, channel, found) in [
        (None, None, 20),
        (Some(vec!["failed"]), None, 20),
        (Some(vec!["failed", "cancelled", "completed"]), None, 20),
        (Some(vec!["cancelled"]), None, 0),
        (None, Some("7"), 20),
        (None, Some("8"), 11),
        (Some(vec!["failed"]), Some("7"), 20),
        (Some(vec!["completed"]), Some("8"), 0),
        (None, Some("9"), 0),
    ] {
        let mut tx = session.begin().await.unwrap();
        let before = read(&mut tx).await;
        let ids: Vec<Uuid> = sqlx::query_scalar(
            "SELECT job_id FROM list_exports($1, $2, '-infinity', '2026-01-01 03:00:00+00', $3, 20)",
        )
        .bind(&statuses)
        .bind(channel)
        .bind(Uuid::nil())
        .fetch_all(&mut *tx)
        .await
        .unwrap();
        let rows = read(&mut tx).await - before;
        sqlx::query("SELECT job_id FROM export_totals($1)").bind(&ids).execute(&mut *tx).await.unwrap();
        let of_runs = read(&mut tx).await - before - rows;
        tx.rollback().await.unwrap();
        assert_eq!(ids.len(), found, "{statuses:?} {channel:?}");
        // Each status is a list of its own.
        assert!(rows <= 3 * 20 && of_runs <= 20, "{statuses:?} {channel:?}: {rows}, {of_runs}");
    }
}

#[tokio::test]
async fn every_transition_keeps_the_lists_and_is_announced_in_order() {
    let store = Store::with_slots(2).await;
    let url = DatabaseUrl::parse(&store.database.url()).unwrap();
    let mut notices = Listener::for_exports(&url, "test").await.unwrap();
    let job_id = store.post(&[1, 2]).await;
    let in_lists = async |status: ExportStatus| {
        for channel in [1, 2] {
            let filter = ExportFilter {
                statuses: vec![status],
                channel_id: Some(Snowflake::new(channel)),
                ..ExportFilter::default()
            };
            let page = page(&store.pool, &filter, None, 9).await.unwrap();
            assert_eq!(page.iter().map(|export| export.job_id).collect::<Vec<_>>(), [job_id], "{status}");
        }
    };
    in_lists(ExportStatus::Pending).await;
    let run = store.claim("w").await;
    in_lists(ExportStatus::Running).await;
    store.reach(&run.fence, 7, 3).await; // a checkpoint is no change of state
    transitions::hand_back(&store.pool, &run.fence, &REPORT, BY_SLOTS).await.unwrap();
    transitions::cancel(&store.pool, job_id, BY_SLOTS).await.unwrap();
    in_lists(ExportStatus::Cancelled).await;
    transitions::retry(&store.pool, job_id, BY_SLOTS).await.unwrap();
    in_lists(ExportStatus::Running).await;

    for (version, status) in [
        (1, ExportStatus::Pending),
        (2, ExportStatus::Running),
        (3, ExportStatus::Running),
        (4, ExportStatus::Cancelled),
        (5, ExportStatus::Running),
    ] {
        let notice = timeout(BOUND, notices.recv()).await.expect("in time").unwrap();
        assert_eq!(notice, Notification::ExportChanged(Some(ExportChange { job_id, version, status })));
    }
    let token = change_token::read(&store.pool, &[job_id, Uuid::nil()]).await.unwrap().remove(0);
    assert_eq!((token.version, token.message_count, token.any_due), (5, 3, true));
}

#[tokio::test]
async fn a_checkpoint_is_not_announced() {
    let store = Store::with_slots(1).await;
    store.post(&[1]).await;
    let run = store.claim("w").await;
    let url = DatabaseUrl::parse(&store.database.url()).unwrap();
    let mut notices = Listener::for_exports(&url, "test").await.unwrap();
    store.reach(&run.fence, 7, 3).await;
    transitions::complete(&store.pool, &run.fence, &DONE, &REPORT, BY_SLOTS).await.unwrap();
    let notice = timeout(BOUND, notices.recv()).await.expect("in time").unwrap();
    let change = ExportChange { job_id: run.job_id, version: 3, status: ExportStatus::Completed };
    assert_eq!(notice, Notification::ExportChanged(Some(change)), "the first that is heard");
}

#[tokio::test]
async fn pruned_exports_are_in_no_list() {
    let store = Store::with_slots(1).await;
    let job_id = store.post(&[1]).await;
    transitions::cancel(&store.pool, job_id, BY_SLOTS).await.unwrap();
    let mut session = store.session().await;
    let future = chrono::DateTime::from_timestamp(4_000_000_000, 0).unwrap();
    assert_eq!(prune::delete_exports(&mut session, future).await.unwrap().exports, 1);
    assert_eq!(store.count("SELECT count(*) FROM channel_exports").await, 0);
    assert!(page(&store.pool, &ExportFilter::default(), None, 9).await.unwrap().is_empty());

    store.post(&[2]).await;
    store.execute("TRUNCATE exports, export_channels, export_attempts").await;
    assert_eq!(store.count("SELECT count(*) FROM channel_exports").await, 0);
}

/// A database as the previous version left it.
async fn before_listing() -> TestDatabase {
    let database = TestDatabase::empty().await;
    let all = sqlx::migrate!("../../migrations");
    let before: Vec<_> = all.iter().filter(|migration| migration.version < LISTING).cloned().collect();
    let mut migrator = Migrator::DEFAULT;
    migrator.migrations = before.into();
    let mut session = PgConnection::connect(&database.url()).await.unwrap();
    session.ensure_migrations_table("_sqlx_migrations").await.unwrap();
    migrator.run(&mut session).await.unwrap();
    database
}

#[tokio::test]
async fn exports_of_the_previous_version_are_listed_even_running_ones() {
    let database = before_listing().await;
    let pool = database.pool();
    let (old, under_way) = (Uuid::from_u128(1), Uuid::from_u128(2));
    let insert = "WITH e AS (INSERT INTO exports (job_id) VALUES ($1) RETURNING job_id)
                  SELECT job_id FROM e";
    let runs = "INSERT INTO export_channels (id, job_id, channel_id)
                SELECT gen_random_uuid(), $1, c FROM unnest('{1,2}'::text[]) c";
    for statement in [insert, runs] {
        sqlx::query(statement).bind(old).execute(&pool).await.unwrap();
    }
    // A program of the previous version is in the middle of a creation when the migration runs.
    let mut tx = pool.begin().await.unwrap();
    sqlx::query(insert).bind(under_way).execute(&mut *tx).await.unwrap();
    let url = database.url();
    let migrating = tokio::spawn(async move { migrate(&url).await });
    dce_testkit::process::eventually(BOUND, "the migration waits", async || {
        let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
        (sqlx::query_scalar::<_, i64>(waiting).fetch_one(&pool).await.unwrap() > 0).then_some(())
    })
    .await;
    sqlx::query(runs).bind(under_way).execute(&mut *tx).await.unwrap();
    tx.commit().await.unwrap();
    timeout(BOUND + Duration::from_secs(20), migrating).await.expect("in time").unwrap().unwrap();

    for channel in [1, 2] {
        let filter = ExportFilter { channel_id: Some(Snowflake::new(channel)), ..ExportFilter::default() };
        let ids: Vec<_> =
            page(&pool, &filter, None, 9).await.unwrap().iter().map(|export| export.job_id).collect();
        assert_eq!(ids, [under_way, old]);
    }
}
