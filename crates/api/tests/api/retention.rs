use dce_testkit::database::TestDatabase;
use sqlx::PgPool;

use crate::support::run_command;

/// Two channels with 30 messages each, a day apart, by three authors; the last messages have an earlier version.
const ARCHIVE: &str = "
    INSERT INTO channels (channel_id, archived_count) VALUES ('1', 30), ('2', 30);
    INSERT INTO messages (channel_id, message_id, author_id, \"timestamp\", raw)
    SELECT c, i::text, (i % 3)::text, clock_timestamp() - make_interval(days => 30 - i),
           jsonb_build_object('author', jsonb_build_object('id', (i % 3)::text))
      FROM generate_series(1, 30) i, unnest('{1,2}'::text[]) c;
    INSERT INTO message_versions (channel_id, message_id, raw) SELECT channel_id, message_id, raw FROM messages WHERE message_id = '30';
    INSERT INTO exports (job_id, status, created_at, finished_at)
    SELECT gen_random_uuid(), 'completed', t, t FROM (SELECT clock_timestamp() - make_interval(days => d) FROM unnest('{1,100,200}'::int[]) d) a (t);
    INSERT INTO exports (job_id, created_at) VALUES (gen_random_uuid(), clock_timestamp() - interval '300 d')";

struct Archive {
    database: TestDatabase,
    pool: PgPool,
}

impl Archive {
    async fn new() -> Self {
        let database = TestDatabase::create().await;
        let pool = database.pool();
        sqlx::raw_sql(ARCHIVE).execute(&pool).await.unwrap();
        Self { database, pool }
    }

    fn run(&self, line: &str) -> (Option<i32>, String, String) {
        run_command(&self.database.url(), line)
    }

    /// Messages, versions, the sum of `archived_count`, exports, erasures.
    async fn rows(&self) -> [i64; 5] {
        let rows: (i64, i64, i64, i64, i64) = sqlx::query_as(
            "SELECT (SELECT count(*) FROM messages), (SELECT count(*) FROM message_versions),
                    (SELECT sum(archived_count)::bigint FROM channels), (SELECT count(*) FROM exports),
                    (SELECT count(*) FROM erasures)",
        )
        .fetch_one(&self.pool)
        .await
        .unwrap();
        rows.into()
    }
}

const BEFORE: [i64; 5] = [60, 2, 60, 4, 0];

#[tokio::test]
async fn a_dry_run_counts_and_changes_nothing() {
    let archive = Archive::new().await;
    for (line, found) in [
        ("prune --older-than 10d", "40 messages, sent more than 10d ago: would be deleted."),
        (
            "prune --older-than 0s",
            "60 messages and 2 earlier versions, sent more than 0s ago: would be deleted.",
        ),
        ("prune --older-than 10d --channel 2", "20 messages of channel 2, sent more than 10d ago"),
        ("prune --exports-older-than 150d", "1 export with 0 runs and 0 attempts, ended more than 150d ago"),
        ("purge --author 0", "author 0: 20 messages and 2 earlier versions in 2 channels would be erased"),
        ("purge --author 77", "author 77: 0 messages in 0 channels would be erased"),
        ("purge --channel 2", "channel 2: 30 messages and 1 earlier version in 1 channel would be erased"),
        ("purge --message 30", "message 30: 2 messages and 2 earlier versions in 2 channels would be erased"),
    ] {
        let (code, out, err) = archive.run(line);
        assert_eq!((code, err.as_str()), (Some(0), ""), "{line}: {out}");
        assert!(out.contains(found), "{line}: {out}");
        assert!(out.contains("Nothing was changed. Repeat the command with --yes"), "{line}: {out}");
        assert_eq!(archive.rows().await, BEFORE, "{line}");
    }
}

#[tokio::test]
async fn with_yes_the_command_deletes_and_counts() {
    let archive = Archive::new().await;
    for (line, done, rows) in [
        (
            "purge --message 30 --yes",
            "message 30: 2 messages and 2 earlier versions erased.",
            [58, 0, 58, 4, 1],
        ),
        ("purge --author 0 --yes", "author 0: 18 messages erased.", [40, 0, 40, 4, 2]),
        ("purge --author 0 --yes", "author 0: 0 messages erased.", [40, 0, 40, 4, 2]),
        ("purge --author 77 --yes", "author 77: 0 messages erased.", [40, 0, 40, 4, 3]),
        ("prune --older-than 10d --channel 1 --yes", "14 messages of channel 1", [26, 0, 26, 4, 3]),
        ("purge --channel 2 --yes", "channel 2: 20 messages erased.", [6, 0, 6, 4, 4]),
        ("prune --older-than 0s --exports-older-than 150d --yes", "6 messages, sent", [0, 0, 0, 3, 4]),
        (
            "prune --exports-older-than 0s --yes",
            "2 exports with 0 runs and 0 attempts, ended",
            [0, 0, 0, 1, 4],
        ),
    ] {
        let (code, out, err) = archive.run(line);
        assert_eq!((code, err.as_str()), (Some(0), ""), "{line}: {out}");
        assert!(out.contains(done) && !out.contains("would"), "{line}: {out}");
        assert_eq!(archive.rows().await, rows, "{line}: {out}");
    }
}

#[test]
fn invalid_arguments_are_refused_with_the_remedy() {
    let nowhere = "postgres://u:hunter2@127.0.0.1:1/none";
    for (line, remedy) in [
        ("prune", "--older-than or --exports-older-than is required"),
        ("prune --older-than yesterday", "--older-than must be a time span"),
        ("purge --author 1 --message 2 --yes", "exactly one of them"),
        ("purge --channel general", "--channel must be a Discord id"),
    ] {
        let (code, out, err) = run_command(nowhere, line);
        assert_eq!((code, out.as_str()), (Some(2), ""), "{line}");
        assert!(err.contains(remedy), "{line}: {err}");
    }
    let (code, _, err) = run_command("", "purge --author 1");
    assert!(code == Some(2) && err.contains("DATABASE_URL is not set"), "{err}");
    let (code, _, err) = run_command(nowhere, "purge --author 1 --yes");
    assert!(code == Some(1) && err.contains("cannot be reached") && !err.contains("hunter2"), "{err}");
}

#[tokio::test]
async fn without_tables_the_error_names_the_migrate_command() {
    let database = TestDatabase::empty().await;
    for line in ["purge --author 1", "purge --author 1 --yes", "prune --older-than 1d"] {
        let (code, out, err) = run_command(&database.url(), line);
        assert_eq!((code, out.as_str()), (Some(1), ""), "{line}");
        assert!(err.contains("run `dce-api migrate` first"), "{line}: {err}");
    }
}
