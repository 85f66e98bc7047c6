//! The rules themselves: none reports consistent tables, and each reports the corruption that it is for.

use dce_testkit::database::TestDatabase;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Executor as _};

use super::{Rule, archive, tables};

/// An export of one channel with two messages, of which the second is in its window, and DCE's output.
const CONSISTENT: &str = r#"
    INSERT INTO chaos.source
    SELECT '7', m, (m::bigint >> 22) + 1420070400000,
           jsonb_build_object('id', m, 'content', 'x', 'author', jsonb_build_object('id', '5'), 'timestamp',
                              to_timestamp(((m::bigint >> 22) + 1420070400000) / 1000.0))
      FROM unnest('{4194304000, 8388608000}'::text[]) m;
    INSERT INTO exports (job_id, status, channel_id, start_at, message_count, inserted_count, finished_at)
    VALUES ('00000000-0000-0000-0000-000000000001', 'completed', '7', '2015-01-01T00:00:02Z', 1, 1, now());
    INSERT INTO export_channels (id, job_id, channel_id, status, attempt, message_count, inserted_count, finished_at)
    VALUES ('00000000-0000-0000-0000-000000000002', '00000000-0000-0000-0000-000000000001', '7', 'completed', 2, 1, 1, now());
    INSERT INTO export_attempts (run_id, attempt, worker, started_at, ended_at, outcome)
    VALUES ('00000000-0000-0000-0000-000000000002', 1, 'w', '2024-01-01', '2024-01-02', 'failed'),
           ('00000000-0000-0000-0000-000000000002', 2, 'w', '2024-01-02', '2024-01-03', 'completed');
    INSERT INTO channels (channel_id, archived_count) VALUES ('7', 1);
    INSERT INTO messages (channel_id, message_id, author_id, content, "timestamp", raw, job_id)
    SELECT channel_id, message_id, '5', 'x', (raw ->> 'timestamp')::timestamptz, raw, '00000000-0000-0000-0000-000000000001'
      FROM chaos.source WHERE message_id = '8388608000';"#;

/// The rule that must notice, and the corruption of the tables.
const CORRUPTIONS: [(&str, &str); 18] = [
    ("exports have not ended", "UPDATE exports SET status = 'running', finished_at = NULL"),
    (
        "runs have not ended",
        "UPDATE export_channels SET status = 'pending', finished_at = NULL",
    ),
    ("an export's status does not follow", "UPDATE exports SET status = 'cancelled'"),
    ("an export's counts differ", "UPDATE exports SET inserted_count = 2"),
    ("the history lacks an attempt", "DELETE FROM export_attempts WHERE attempt = 1"),
    ("the history lacks an attempt", "UPDATE export_attempts SET ended_at = NULL, outcome = NULL WHERE attempt = 2"),
    ("a run is completed and its last attempt", "UPDATE export_attempts SET outcome = 'failed'"),
    ("attempts of a run overlap", "UPDATE export_attempts SET started_at = '2024-01-01T12:00Z' WHERE attempt = 2"),
    ("the inserted counts of a channel", "UPDATE export_channels SET inserted_count = 2"),
    ("a channel's archived count", "UPDATE channels SET archived_count = 2"),
    (
        "a run that has ended keeps",
        "DO $$ DECLARE v_name text; BEGIN
           FOR v_name IN SELECT conname FROM pg_constraint WHERE conrelid = 'export_channels'::regclass AND contype = 'c' LOOP
             EXECUTE format('ALTER TABLE export_channels DROP CONSTRAINT %I', v_name);
           END LOOP;
         END $$; UPDATE export_channels SET lease_owner = 'w'",
    ),
    (
        "tasks wait in the queue",
        "INSERT INTO apalis.jobs (id, job, job_type, status) VALUES ('01M839M3V97RWAYHJK9AJBQX2H', '', 'dce-exports', 'Pending')",
    ),
    ("messages of completed runs are not stored", "DELETE FROM messages"),
    ("stored messages differ", "UPDATE messages SET raw = raw || '{\"content\": \"y\"}'"),
    (
        "messages are stored twice",
        "INSERT INTO messages (channel_id, message_id, \"timestamp\", raw) SELECT channel_id, '0' || message_id, \"timestamp\", raw FROM messages",
    ),
    (
        "messages are stored that their source does not have",
        "UPDATE messages SET message_id = '8388608001'",
    ),
    ("completed runs count other", "UPDATE export_channels SET message_count = 2"),
    ("messages name an export", "UPDATE messages SET job_id = NULL"),
];

#[tokio::test]
async fn every_rule_notices_its_corruption_and_none_reports_consistent_tables() {
    let database = TestDatabase::create().await;
    let pool = database.pool();
    archive::prepare(&pool).await.unwrap();
    pool.execute(CONSISTENT).await.unwrap();
    let mut connection = pool.acquire().await.unwrap();
    assert_eq!(broken(&mut connection).await, Vec::<&str>::new());
    for (description, corruption) in CORRUPTIONS {
        connection.execute("BEGIN").await.unwrap();
        connection.execute(AssertSqlSafe(corruption)).await.unwrap();
        let broken = broken(&mut connection).await;
        assert!(broken.iter().any(|rule| rule.starts_with(description)), "{corruption}: {broken:?}");
        connection.execute("ROLLBACK").await.unwrap();
    }
    let untested = rules()
        .find(|rule| !CORRUPTIONS.iter().any(|(description, _)| rule.description.starts_with(description)));
    assert_eq!(untested.map(|rule| rule.description), None);
}

fn rules() -> impl Iterator<Item = &'static Rule> {
    tables::RULES.iter().chain(archive::RULES)
}

async fn broken(connection: &mut PgConnection) -> Vec<&'static str> {
    let mut broken = Vec::new();
    for rule in rules() {
        if rule.check(&mut *connection).await.unwrap().is_some() {
            broken.push(rule.description);
        }
    }
    broken
}
