//! A database with the sessions of a worker, and short names for actions of workers and clients.

use std::time::Duration;

use dce_core::db::{DatabaseUrl, connect_control};
use dce_core::export::admission::AdmissionLimit;
use dce_core::ids::Snowflake;
use dce_core::queue::{self, Task};
use dce_core::store::batches::channel::{self, Channel, DescriptionAge};
use dce_core::store::transitions::{
    self, AttemptReport, Checkpoint, Claim, ClaimedRun, Completion, ExpiredLease, Fence, NewExport, Reread,
};
use dce_core::store::workers::{self, Readiness, Worker};
use dce_testkit::database::TestDatabase;
use sqlx::{Connection, PgConnection, PgPool};
use uuid::Uuid;

/// Time limit of waits, generous for a busy machine.
pub(crate) const BOUND: Duration = Duration::from_secs(20);

/// Limited by the workers' slots only.
pub(crate) const BY_SLOTS: AdmissionLimit = AdmissionLimit { max_parallel_runs: None };

/// An empty report.
pub(crate) const REPORT: AttemptReport = AttemptReport {
    dce_version: None,
    exit_code: None,
    stderr_tail: None,
    discord_requests: 0,
    through: false,
    upper: None,
    reread: Reread::Unchanged,
};

/// A completion without a proof.
pub(crate) const DONE: Completion = Completion { verified: None, warn_not_verified: false, last: None };

/// A database of its own, with sessions set up like those of API and workers.
pub(crate) struct Store {
    /// Limits, timeouts and names as in production.
    pub(crate) pool: PgPool,
    pub(crate) database: TestDatabase,
}

impl Store {
    /// Without workers: one run at a time is admitted.
    pub(crate) async fn new() -> Self {
        let database = TestDatabase::create().await;
        let pool = connect_control(&DatabaseUrl::parse(&database.url()).unwrap(), "test", 12);
        Self { pool, database }
    }

    /// With one worker `w` of so many slots, which stays live without a heartbeat.
    pub(crate) async fn with_slots(slots: u32) -> Self {
        let store = Self::new().await;
        store.register("w", slots).await;
        store.execute("UPDATE workers SET last_seen = 'infinity'").await;
        store
    }

    pub(crate) async fn register(&self, worker: &str, slots: u32) {
        let worker = Worker {
            id: worker.into(),
            host: "test".into(),
            version: "0".into(),
            dce_version: "2.47".into(),
            slots,
        };
        workers::register(&self.pool, &worker, Readiness::default()).await.unwrap();
    }

    /// One run for each channel.
    pub(crate) async fn post(&self, channels: &[u64]) -> Uuid {
        self.post_new(&new_export(channels)).await
    }

    pub(crate) async fn post_new(&self, new: &NewExport) -> Uuid {
        transitions::create(&self.pool, new, BY_SLOTS).await.unwrap().job_id
    }

    pub(crate) async fn fetch(&self, worker: &str) -> Option<Task> {
        queue::fetch(&self.pool, worker).await.unwrap()
    }

    /// Fetches the next task, which must exist, and claims its run.
    pub(crate) async fn claim(&self, worker: &str) -> ClaimedRun {
        let task = self.fetch(worker).await.expect("a task");
        match transitions::claim(&self.pool, &task, worker).await.unwrap() {
            Claim::Won(run) => *run,
            Claim::Nothing => panic!("a stale task"),
        }
    }

    /// Commits a checkpoint.
    pub(crate) async fn reach(&self, fence: &Fence, cursor: u64, message_count: i64) {
        let mut connection = self.pool.acquire().await.unwrap();
        transitions::checkpoint(&mut connection, fence, &at(cursor, message_count)).await.unwrap();
    }

    /// Expires a lease, as if its owner had been silent.
    pub(crate) async fn expire(&self, run_id: Uuid) -> ExpiredLease {
        sqlx::query(
            "UPDATE export_channels SET lease_expires_at = clock_timestamp() - interval '1 s' WHERE id = $1",
        )
        .bind(run_id)
        .execute(&self.pool)
        .await
        .unwrap();
        let expired = transitions::expired_leases(&self.pool).await.unwrap();
        expired.into_iter().find(|expired| expired.run_id == run_id).expect("a running run")
    }

    /// Writes the description of a channel, as DCE's documents begin with it.
    pub(crate) async fn describe_channel(&self, channel_id: u64) {
        let channel = Channel {
            channel_id: Snowflake::new(channel_id),
            guild_id: None,
            guild_name: None,
            name: None,
            kind: None,
            topic: None,
            category_id: None,
            category: None,
        };
        let mut connection = self.pool.acquire().await.unwrap();
        channel::upsert(&mut connection, &channel, DescriptionAge::Current, 0).await.unwrap();
    }

    /// The coverage of the only channel.
    pub(crate) async fn covered_to(&self) -> Option<u64> {
        let id: Option<String> =
            sqlx::query_scalar("SELECT covered_to_id FROM channels").fetch_one(&self.pool).await.unwrap();
        id.map(|id| id.parse().unwrap())
    }

    /// All rows of an export, without the tasks.
    pub(crate) async fn everything(&self, job_id: Uuid) -> serde_json::Value {
        sqlx::query_scalar(
            "SELECT jsonb_build_object('export', to_jsonb(e),
                'runs', (SELECT jsonb_agg(to_jsonb(r) ORDER BY r.id) FROM export_channels r WHERE r.job_id = $1),
                'attempts', (SELECT jsonb_agg(to_jsonb(a) ORDER BY a.run_id, a.attempt) FROM export_attempts a
                               JOIN export_channels r ON r.id = a.run_id WHERE r.job_id = $1))
               FROM exports e WHERE e.job_id = $1",
        )
        .bind(job_id)
        .fetch_one(&self.pool)
        .await
        .unwrap()
    }

    pub(crate) async fn status(&self, job_id: Uuid) -> String {
        self.text("SELECT status FROM exports WHERE job_id = $1", job_id).await.unwrap()
    }

    pub(crate) async fn run_status(&self, run_id: Uuid) -> String {
        self.text("SELECT status FROM export_channels WHERE id = $1", run_id).await.unwrap()
    }

    /// The first column of the first row, for a query of one id.
    pub(crate) async fn text(&self, sql: &'static str, id: Uuid) -> Option<String> {
        sqlx::query_scalar(sql).bind(id).fetch_one(&self.pool).await.unwrap()
    }

    /// The result of a counting query.
    pub(crate) async fn count(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(&self.pool).await.unwrap()
    }

    pub(crate) async fn execute(&self, sql: &'static str) {
        sqlx::query(sql).execute(&self.pool).await.unwrap();
    }

    /// A session of its own, with the server's default settings.
    pub(crate) async fn session(&self) -> PgConnection {
        PgConnection::connect(&self.database.url()).await.unwrap()
    }
}

/// All messages of these channels.
pub(crate) fn new_export(channels: &[u64]) -> NewExport {
    NewExport {
        job_id: Uuid::now_v7(),
        channels: channels.iter().copied().map(Snowflake::new).collect(),
        start_at: None,
        end_at: None,
        format: "Json".into(),
        media: false,
        options: serde_json::json!({}),
        request_id: None,
        requested_by: None,
        max_attempts: 3,
    }
}

/// A checkpoint with this cursor and number of messages.
pub(crate) fn at(cursor: u64, message_count: i64) -> Checkpoint {
    Checkpoint { cursor: Some(Snowflake::new(cursor)), message_count, ..Checkpoint::default() }
}
