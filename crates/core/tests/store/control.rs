//! Cancel and retry: notifications of workers, and repetition after lost answers.

use dce_core::db::{DatabaseUrl, connect_control};
use dce_core::export::state::RunStatus::{Cancelled, Completed, Failed, Pending, Running};
use dce_core::store::transitions::{CANCEL_CHANNEL, ControlOutcome, cancel, complete, hand_back, retry};
use dce_testkit::proxy::{Lost, Proxy};
use sqlx::PgPool;
use sqlx::postgres::PgListener;
use tokio::time::timeout;
use uuid::Uuid;

use super::support::{BOUND, BY_SLOTS, DONE, REPORT, Store};

impl Store {
    /// Sessions as in [`Store::pool`], through a proxy.
    pub(crate) async fn behind(&self) -> (Proxy, PgPool) {
        let options = self.database.pool().connect_options();
        let directory = options.get_socket().expect("the test's server listens on a socket");
        let socket = directory.join(format!(".s.PGSQL.{}", options.get_port()));
        let proxy = Proxy::start(socket).await.unwrap();
        let url = format!("postgres://postgres@127.0.0.1:{}/{}", proxy.port(), self.database.name());
        (proxy, connect_control(&DatabaseUrl::parse(&url).unwrap(), "test", 1))
    }

    async fn version(&self, job_id: Uuid) -> i64 {
        sqlx::query_scalar("SELECT version FROM exports WHERE job_id = $1")
            .bind(job_id)
            .fetch_one(&self.pool)
            .await
            .unwrap()
    }
}

#[tokio::test]
async fn a_lost_answer_to_a_retry_is_no_refusal() {
    let store = Store::with_slots(1).await;
    let (proxy, pool) = store.behind().await;
    let job_id = store.post(&[1]).await;
    cancel(&store.pool, job_id, BY_SLOTS).await.unwrap();
    for lost in [Lost::Answer, Lost::Request] {
        let before = store.version(job_id).await;
        proxy.lose_commit(lost);
        let told = retry(&pool, job_id, BY_SLOTS).await.unwrap();
        assert_eq!(told, ControlOutcome::Now(Pending), "{lost:?}");
        assert_eq!(store.version(job_id).await, before + 1, "done once: {lost:?}");
        cancel(&store.pool, job_id, BY_SLOTS).await.unwrap();
    }
    assert_eq!(proxy.commits_lost(), 2);
    retry(&store.pool, job_id, BY_SLOTS).await.unwrap();
    assert_eq!(
        retry(&pool, job_id, BY_SLOTS).await.unwrap(),
        ControlOutcome::Refused(Pending),
        "nothing was lost"
    );
}

#[tokio::test]
async fn a_lost_answer_to_a_cancel_is_repeated() {
    let store = Store::with_slots(2).await;
    let (proxy, pool) = store.behind().await;
    let runs = store.post(&[1]).await;
    let fence = store.claim("w").await.fence;
    let waits = store.post(&[2]).await;
    for (job_id, status) in [(waits, Cancelled), (runs, Running)] {
        let before = store.version(job_id).await;
        proxy.lose_commit(Lost::Answer);
        assert_eq!(cancel(&pool, job_id, BY_SLOTS).await.unwrap(), ControlOutcome::Now(status));
        assert_eq!(store.version(job_id).await, before + 1, "done once");
    }
    assert_eq!(proxy.commits_lost(), 2);
    assert_eq!(hand_back(&store.pool, &fence, &REPORT, BY_SLOTS).await.unwrap(), Cancelled);
}

#[tokio::test]
async fn only_a_new_cancel_of_a_running_export_is_announced() {
    let store = Store::with_slots(2).await;
    let mut listener = PgListener::connect(&store.database.url()).await.unwrap();
    listener.listen(CANCEL_CHANNEL).await.unwrap();
    let (runs, waits) = (store.post(&[1]).await, store.post(&[2]).await);
    store.claim("w").await;
    assert_eq!(
        cancel(&store.pool, waits, BY_SLOTS).await.unwrap(),
        ControlOutcome::Now(Cancelled),
        "nobody runs it"
    );
    for _ in 0..2 {
        assert_eq!(cancel(&store.pool, runs, BY_SLOTS).await.unwrap(), ControlOutcome::Now(Running));
    }
    store.execute("NOTIFY dce_cancel, 'end'").await;
    for expected in [runs.to_string().as_str(), "end"] {
        let notice = timeout(BOUND, listener.recv()).await.expect("a notice").unwrap();
        assert_eq!(notice.payload(), expected);
    }
}

#[tokio::test]
async fn a_refusal_has_the_status_and_changes_nothing() {
    let store = Store::with_slots(1).await;
    let completed = store.post(&[1]).await;
    complete(&store.pool, &store.claim("w").await.fence, &DONE, &REPORT, BY_SLOTS).await.unwrap();
    let before = store.everything(completed).await;
    assert_eq!(cancel(&store.pool, completed, BY_SLOTS).await.unwrap(), ControlOutcome::Refused(Completed));
    assert_eq!(retry(&store.pool, completed, BY_SLOTS).await.unwrap(), ControlOutcome::Refused(Completed));
    assert_eq!(store.everything(completed).await, before);

    let failed = store.post(&[1]).await;
    store
        .execute(
            "UPDATE export_channels SET status = 'failed', task_id = NULL, finished_at = clock_timestamp() WHERE status = 'pending'",
        )
        .await;
    store
        .execute(
            "UPDATE exports SET status = 'failed', finished_at = clock_timestamp() WHERE status = 'pending'",
        )
        .await;
    assert_eq!(cancel(&store.pool, failed, BY_SLOTS).await.unwrap(), ControlOutcome::Refused(Failed));
    let nobody = Uuid::now_v7();
    assert_eq!(cancel(&store.pool, nobody, BY_SLOTS).await.unwrap(), ControlOutcome::NotFound);
    assert_eq!(retry(&store.pool, nobody, BY_SLOTS).await.unwrap(), ControlOutcome::NotFound);
}
