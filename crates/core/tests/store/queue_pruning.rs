//! Pruning of ended tasks and dead workers, without scans of a million finished tasks.

use std::time::{Duration, Instant};

use dce_core::export::admission::LEASE;
use dce_core::queue;
use dce_core::schema::migrate;
use dce_core::store::transitions::{self, Claim};
use dce_core::store::workers;
use sqlx::{Connection, Executor};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::support::{BOUND, BY_SLOTS, Store};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Tasks that ended at intervals of a second, the last one `age` ago; fetched by `w0` to `w9`.
async fn finish(store: &Store, count: i32, age: Duration) {
    let mut session = store.session().await;
    // Without notifications and checks of references: this only simulates the rows of a long operation.
    session.execute("SET session_replication_role = replica").await.unwrap();
    session
        .execute(
            "INSERT INTO apalis.workers (id, worker_type, storage_name)
             SELECT 'w' || i, 'dce-exports', 'dce-service' FROM generate_series(0, 9) i ON CONFLICT (id) DO NOTHING",
        )
        .await
        .unwrap();
    sqlx::query(
        "INSERT INTO apalis.jobs (id, job_type, job, status, attempts, max_attempts, run_at, priority,
                                  last_result, lock_by, lock_at, done_at)
         SELECT '01' || lpad((extract(epoch FROM ended) * 1000000)::bigint::text, 24, '0'), 'dce-exports',
                convert_to(json_build_object('v', 1, 'kind', 'run', 'id', gen_random_uuid())::text, 'UTF8'),
                'Done', 1, 1, 'epoch', 2147483647 - i, '{\"Ok\": null}', 'w' || i % 10, ended, ended
           FROM generate_series(1, $1) i, LATERAL (SELECT statement_timestamp() - make_interval(secs => $2 + $1 - i)) t (ended)",
    )
    .bind(count)
    .bind(age.as_secs_f64())
    .execute(&mut session)
    .await
    .unwrap();
    session.close().await.unwrap();
}

/// Makes all fetched and ended tasks two days older.
async fn two_days_pass(store: &Store) {
    store
        .execute(
            "UPDATE apalis.jobs SET lock_at = lock_at - interval '2 d', done_at = done_at - interval '2 d'",
        )
        .await;
    store.execute("UPDATE apalis.workers SET last_seen = last_seen - interval '2 d'").await;
    store.execute("UPDATE workers SET last_seen = last_seen - interval '2 d'").await;
}

/// Asks repeatedly until there is an answer.
async fn until<T>(ask: impl AsyncFn() -> Option<T>) -> T {
    let asked = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(BOUND, asked).await.expect("in time")
}

async fn prune(store: &Store, batch: u32) -> u64 {
    queue::prune(&store.pool, DAY, batch).await.unwrap()
}

async fn tasks(store: &Store) -> i64 {
    store.count("SELECT count(*) FROM apalis.jobs").await
}

#[tokio::test]
async fn a_pruned_task_belongs_to_no_run() {
    let store = Store::with_slots(3).await;
    store.post(&[1, 2, 3]).await;
    let claimed = store.claim("w").await;
    let forgotten = store.fetch("w").await.expect("a task");
    assert_eq!(prune(&store, 10).await, 0, "nothing is old");

    two_days_pass(&store).await;
    assert_eq!(
        prune(&store, 10).await,
        2,
        "the acknowledged one and the one whose worker died before the claim"
    );
    assert_eq!(
        store.count("SELECT count(*) FROM apalis.jobs WHERE status = 'Pending'").await,
        tasks(&store).await
    );

    store.register("v", 3).await;
    assert_eq!(transitions::reconcile(&store.pool, BY_SLOTS).await.unwrap().renewed, 1);
    assert!(
        matches!(transitions::claim(&store.pool, &forgotten, "w").await.unwrap(), Claim::Nothing),
        "too late"
    );
    let others = [store.claim("v").await, store.claim("v").await].map(|run| run.fence.run_id);
    assert!(others.contains(&forgotten.run_id.unwrap()));
    assert!(!others.contains(&claimed.fence.run_id));
    assert_eq!(store.fetch("v").await, None);
}

#[tokio::test]
async fn all_ended_tasks_of_this_queue_are_pruned() {
    let store = Store::with_slots(1).await;
    store
        .execute(
            "INSERT INTO apalis.jobs (id, job_type, job, status, done_at)
             SELECT q || s || a, q, '', s, clock_timestamp() - a::interval
               FROM unnest('{dce-exports,somebody}'::text[]) q, unnest('{Done,Failed,Killed}'::text[]) s,
                    unnest('{2 d,23 h}'::text[]) a",
        )
        .await;
    assert_eq!(prune(&store, 10).await, 3);
    let gone = "SELECT count(*) FROM apalis.jobs WHERE job_type = 'dce-exports' AND id LIKE '%2 d'";
    assert_eq!((store.count(gone).await, tasks(&store).await), (0, 9));
}

#[tokio::test]
async fn a_batch_deletes_the_oldest_tasks_up_to_its_limit() {
    let store = Store::with_slots(1).await;
    finish(&store, 250, DAY * 2).await;
    finish(&store, 10, Duration::ZERO).await;
    let oldest = "SELECT max(id) FROM (SELECT id FROM apalis.jobs ORDER BY done_at LIMIT 100) t";
    let last: String = sqlx::query_scalar(oldest).fetch_one(&store.pool).await.unwrap();
    assert_eq!(prune(&store, 100).await, 100);
    let first: String =
        sqlx::query_scalar("SELECT min(id) FROM apalis.jobs").fetch_one(&store.pool).await.unwrap();
    assert!(first > last, "{first} and {last}: an older one was left");
    assert_eq!((prune(&store, 100).await, prune(&store, 100).await, prune(&store, 100).await), (100, 50, 0));
    assert_eq!(tasks(&store).await, 10);
}

#[tokio::test]
async fn concurrent_prunes_share_the_work_without_waiting() {
    let store = Store::with_slots(1).await;
    finish(&store, 500, DAY * 2).await;
    let mut session = store.session().await;
    let mut held = session.begin().await.unwrap();
    held.execute("SELECT FROM apalis.jobs ORDER BY id LIMIT 1 FOR UPDATE").await.unwrap();

    let mut pruners = JoinSet::new();
    for _ in 0..4 {
        let pool = store.pool.clone();
        pruners.spawn(async move {
            let mut pruned = 0;
            while let more @ 1.. = queue::prune(&pool, DAY, 20).await.unwrap() {
                pruned += more;
            }
            pruned
        });
    }
    let pruned = timeout(BOUND, pruners.join_all()).await.expect("nobody waits");
    assert_eq!(pruned.iter().sum::<u64>(), 499);
    held.rollback().await.unwrap();
    assert_eq!(prune(&store, 20).await, 1);
}

#[tokio::test]
async fn a_dead_worker_is_deleted_with_its_last_task() {
    let store = Store::new().await;
    store.register("dead", 1).await;
    store.register("idle", 1).await;
    store.post(&[1]).await;
    store.claim("dead").await;
    store
        .execute("INSERT INTO apalis.workers (id, worker_type, storage_name) VALUES ('another''s', 'somebody', '')")
        .await;
    two_days_pass(&store).await;
    store.register("alive", 1).await;
    let known = async || {
        sqlx::query_scalar::<_, String>("SELECT string_agg(id, ' ' ORDER BY id) FROM apalis.workers")
            .fetch_one(&store.pool)
            .await
            .unwrap()
    };

    assert_eq!(workers::prune(&store.pool, DAY).await.unwrap(), 2);
    assert_eq!(store.count("SELECT count(*) FROM workers").await, 1);
    assert_eq!(known().await, "alive another's dead", "a task refers to the dead one");
    prune(&store, 10).await;
    assert_eq!(workers::prune(&store.pool, DAY).await.unwrap(), 0);
    assert_eq!(known().await, "alive another's");
}

#[tokio::test]
async fn a_deleted_worker_that_resumes_registers_again_and_works() {
    let store = Store::with_slots(1).await;
    store.post(&[1]).await;
    store.execute("UPDATE workers SET last_seen = clock_timestamp()").await;
    two_days_pass(&store).await;
    assert_eq!(workers::prune(&store.pool, DAY).await.unwrap(), 1);

    assert!(queue::fetch(&store.pool, "w").await.is_err(), "nobody knows it");
    store.register("w", 1).await;
    store.claim("w").await;
}

#[tokio::test]
async fn concurrent_deletions_of_workers_do_not_collide() {
    let store = Store::new().await;
    for worker in 0..50 {
        store.register(&format!("w{worker}"), 1).await;
    }
    two_days_pass(&store).await;
    let mut pruners = JoinSet::new();
    for _ in 0..8 {
        let pool = store.pool.clone();
        pruners.spawn(async move { workers::prune(&pool, DAY).await.unwrap() });
    }
    assert_eq!(pruners.join_all().await.iter().sum::<u64>(), 50);
    workers::prune(&store.pool, DAY).await.unwrap();
    assert_eq!(store.count("SELECT count(*) FROM apalis.workers").await, 0);
}

#[tokio::test]
async fn an_older_database_gets_the_index_once() {
    let store = Store::with_slots(1).await;
    store.post(&[1]).await;
    store.execute("DROP INDEX apalis.dce_tasks_by_age").await;
    let mut session = store.session().await;
    let mut writing = session.begin().await.unwrap();
    writing.execute("UPDATE apalis.jobs SET priority = 1").await.unwrap();

    let mut programs = JoinSet::new();
    for _ in 0..8 {
        let url = store.database.url();
        programs.spawn(async move { migrate(&url).await });
    }
    // All have found that it is missing, or wait for the check.
    until(async || {
        let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
        (store.count(waiting).await == 8).then_some(())
    })
    .await;
    writing.commit().await.unwrap();
    for done in programs.join_all().await {
        done.unwrap();
    }
    let indexes =
        "SELECT count(*) FROM pg_index WHERE indexrelid = 'apalis.dce_tasks_by_age'::regclass AND indisvalid";
    assert_eq!(store.count(indexes).await, 1);
}

#[tokio::test]
async fn a_start_does_not_wait_for_writers_of_tasks() {
    let store = Store::with_slots(1).await;
    store.post(&[1]).await;
    let mut session = store.session().await;
    let mut writing = session.begin().await.unwrap();
    writing.execute("UPDATE apalis.jobs SET priority = 1").await.unwrap();
    timeout(BOUND, migrate(&store.database.url())).await.expect("no lock on the table").unwrap();
}

/// Number of rows read from the queue's tasks table since the creation of the database. Ends the store's sessions.
async fn tasks_read(store: &Store) -> i64 {
    store.pool.close().await;
    let pool = store.database.pool();
    // A session reports its counts when it ends.
    until(async || {
        sqlx::query_scalar(
            "SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_user_tables
              WHERE relid = 'apalis.jobs'::regclass AND n_tup_del > 0
                AND NOT EXISTS (SELECT FROM pg_stat_activity
                                 WHERE datname = current_database() AND application_name = 'test')",
        )
        .fetch_optional(&pool)
        .await
        .unwrap()
    })
    .await
}

/// Durations of the calls of one kind.
#[derive(Default)]
struct Times(Vec<Duration>);

impl Times {
    async fn of<T>(&mut self, call: impl Future<Output = T>) -> T {
        let started = Instant::now();
        let result = call.await;
        self.0.push(started.elapsed());
        result
    }

    fn print(mut self, what: &str) {
        self.0.sort();
        println!(
            "{what:<22} median {:>8.2?}, max {:>8.2?}",
            self.0[self.0.len() / 2],
            self.0[self.0.len() - 1]
        );
    }
}

/// Prints times with `--nocapture`; `DCE_FINISHED_TASKS=1000000` sets the number of tasks.
#[tokio::test]
async fn no_statement_scans_the_finished_tasks() {
    const ROUNDS: u32 = 20; // so many that a session has turned to its generic plans
    let finished = std::env::var("DCE_FINISHED_TASKS").map_or(100_000, |count| count.parse().unwrap());
    let store = Store::with_slots(2 * ROUNDS).await;
    finish(&store, finished, DAY * 2).await;
    store.execute("VACUUM ANALYZE apalis.jobs").await; // as autovacuum does within a minute
    let job_id = store.post(&(1..=u64::from(2 * ROUNDS)).collect::<Vec<_>>()).await;
    let admitted: Vec<String> = sqlx::query_scalar("SELECT task_id FROM export_channels WHERE job_id = $1")
        .bind(job_id)
        .fetch_all(&store.pool)
        .await
        .unwrap();

    let pool = &store.pool;
    let [mut fetch, mut claim, mut not_live, mut reconcile, mut nothing, mut batch, mut forget] =
        <[Times; 7]>::default();
    for round in 1..=ROUNDS as usize {
        let task = fetch.of(queue::fetch(pool, "w")).await.unwrap().expect("a task");
        let won = claim.of(Box::pin(transitions::claim(pool, &task, "w"))).await.unwrap();
        assert!(matches!(won, Claim::Won(_)));
        let mut connection = pool.acquire().await.unwrap();
        let ended = not_live.of(queue::dead_tasks(&mut connection, &admitted, LEASE)).await.unwrap();
        assert_eq!(ended.len(), round);
        drop(connection);
        let nobody = reconcile.of(transitions::reconcile(pool, BY_SLOTS)).await.unwrap();
        assert_eq!((nobody.renewed, nobody.admitted), (0, 0));
        assert_eq!(nothing.of(queue::prune(pool, DAY * 365, 1000)).await.unwrap(), 0);
        assert_eq!(batch.of(queue::prune(pool, DAY, 1000)).await.unwrap(), 1000);
        forget.of(workers::prune(pool, Duration::ZERO)).await.unwrap(); // everybody is looked at, and has tasks
    }
    println!("{finished} finished tasks");
    fetch.print("fetch");
    claim.print("claim");
    not_live.print("not_live of 40 tasks");
    reconcile.print("reconcile");
    nothing.print("prune of no tasks");
    batch.print("prune of 1000 tasks");
    forget.print("forget workers");
    let (read, pruned) = (tasks_read(&store).await, 1000 * i64::from(ROUNDS));
    assert!(read < 3 * pruned, "{read} rows read: more than those pruned, looked up twice");
}
