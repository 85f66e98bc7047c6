//! The proxy itself: each of its faults, as seen by a client and by the server.
#![expect(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

use std::time::Duration;

use dce_local::PrivatePostgres;
use dce_testkit::process::eventually;
use dce_testkit::proxy::{Lost, Proxy};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

const BOUND: Duration = Duration::from_secs(10);

/// A server, the proxy in front of it, a session through the proxy and a direct session.
struct Setup {
    proxy: Proxy,
    through: PgConnection,
    direct: PgConnection,
    _postgres: PrivatePostgres,
}

async fn setup() -> Setup {
    let postgres = spawn_blocking(PrivatePostgres::temporary).await.unwrap().unwrap();
    let proxy = Proxy::start(postgres.socket().unwrap()).await.unwrap();
    let through = connect(&proxy).await.unwrap();
    let mut direct = PgConnection::connect(&postgres.url("postgres")).await.unwrap();
    direct.execute("CREATE TABLE seen (number int)").await.unwrap();
    Setup { proxy, through, direct, _postgres: postgres }
}

async fn connect(proxy: &Proxy) -> sqlx::Result<PgConnection> {
    PgConnection::connect(&format!("postgres://postgres@127.0.0.1:{}/postgres", proxy.port())).await
}

impl Setup {
    async fn rows(&mut self) -> i64 {
        sqlx::query_scalar("SELECT count(*) FROM seen").fetch_one(&mut self.direct).await.unwrap()
    }

    async fn insert(&mut self, number: i32) -> sqlx::Result<()> {
        let mut tx = self.through.begin().await?;
        tx.execute(AssertSqlSafe(format!("INSERT INTO seen VALUES ({number})"))).await?;
        tx.commit().await
    }
}

#[tokio::test]
async fn the_proxy_forwards_everything_and_cuts_all_connections_at_once() {
    let mut setup = setup().await;
    setup.insert(1).await.unwrap();
    let long: String =
        sqlx::query_scalar("SELECT repeat('x', 1000000)").fetch_one(&mut setup.through).await.unwrap();
    assert_eq!(long.len(), 1_000_000);
    assert_eq!((setup.rows().await, setup.proxy.connections()), (1, 1));
    setup.proxy.cut();
    assert!(setup.insert(2).await.is_err());
    eventually(BOUND, "no connection is open", async || (setup.proxy.connections() == 0).then_some(())).await;
    setup.through = connect(&setup.proxy).await.unwrap();
    setup.insert(3).await.unwrap();
    assert_eq!(setup.rows().await, 2);
}

#[tokio::test]
async fn a_commit_is_lost_before_or_after_the_server_has_it() {
    for (lost, rows) in [(Lost::Request, 0), (Lost::Answer, 1)] {
        let mut setup = setup().await;
        setup.proxy.lose_commit(lost);
        let error = setup.insert(1).await.unwrap_err();
        assert!(matches!(error, sqlx::Error::Io(_)), "{lost:?}: the client knows nothing: {error}");
        assert_eq!((setup.rows().await, setup.proxy.commits_lost()), (rows, 1), "{lost:?}");
        setup.through = connect(&setup.proxy).await.unwrap();
        setup.insert(2).await.unwrap(); // only the requested one is cut
        assert_eq!((setup.rows().await, setup.proxy.commits_lost()), (rows + 1, 1), "{lost:?}");
    }
}

#[tokio::test]
async fn the_proxy_refuses_new_connections_and_keeps_open_ones() {
    let mut setup = setup().await;
    setup.proxy.refuse(true);
    assert!(connect(&setup.proxy).await.is_err());
    setup.insert(1).await.unwrap();
    setup.proxy.restore();
    connect(&setup.proxy).await.unwrap();
}

#[tokio::test]
async fn a_frozen_proxy_forwards_nothing_and_everything_later() {
    let mut setup = setup().await;
    setup.proxy.freeze(true);
    let frozen = setup.proxy.connections();
    {
        let mut insert = Box::pin(setup.through.execute("INSERT INTO seen VALUES (1)"));
        assert!(timeout(Duration::from_millis(300), &mut insert).await.is_err());
        let rows: i64 =
            sqlx::query_scalar("SELECT count(*) FROM seen").fetch_one(&mut setup.direct).await.unwrap();
        assert_eq!(rows, 0);
        setup.proxy.freeze(false);
        timeout(BOUND, insert).await.unwrap().unwrap();
    }
    assert_eq!((setup.rows().await, frozen), (1, 1));
}

#[tokio::test]
async fn a_delay_applies_to_each_direction() {
    let mut setup = setup().await;
    setup.proxy.delay(Duration::from_millis(200));
    let start = std::time::Instant::now();
    setup.through.execute("SELECT 1").await.unwrap();
    assert!(start.elapsed() >= Duration::from_millis(400), "{:?}", start.elapsed());
}
