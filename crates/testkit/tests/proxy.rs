//! The proxy itself: each way in which it fails, as a client and the server behind it see it.
#![expect(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

use std::time::Duration;

use dce_local::PrivatePostgres;
use dce_testkit::process::eventually;
use dce_testkit::proxy::{Lost, Proxy};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

const BOUND: Duration = Duration::from_secs(10);

/// A server, the proxy in front of it, a session through the proxy and one that goes straight to the server.
struct World {
    proxy: Proxy,
    through: PgConnection,
    direct: PgConnection,
    _postgres: PrivatePostgres,
}

async fn world() -> World {
    let postgres = spawn_blocking(PrivatePostgres::temporary).await.unwrap().unwrap();
    let proxy = Proxy::start(postgres.socket().unwrap()).await.unwrap();
    let through = connect(&proxy).await.unwrap();
    let mut direct = PgConnection::connect(&postgres.url("postgres")).await.unwrap();
    direct.execute("CREATE TABLE seen (number int)").await.unwrap();
    World { proxy, through, direct, _postgres: postgres }
}

async fn connect(proxy: &Proxy) -> sqlx::Result<PgConnection> {
    PgConnection::connect(&format!("postgres://postgres@127.0.0.1:{}/postgres", proxy.port())).await
}

impl World {
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
async fn passes_everything_on_and_cuts_all_connections_at_once() {
    let mut world = world().await;
    world.insert(1).await.unwrap();
    let long: String =
        sqlx::query_scalar("SELECT repeat('x', 1000000)").fetch_one(&mut world.through).await.unwrap();
    assert_eq!(long.len(), 1_000_000);
    assert_eq!((world.rows().await, world.proxy.connections()), (1, 1));
    world.proxy.cut();
    assert!(world.insert(2).await.is_err());
    eventually(BOUND, "no connection is open", async || (world.proxy.connections() == 0).then_some(())).await;
    world.through = connect(&world.proxy).await.unwrap();
    world.insert(3).await.unwrap();
    assert_eq!(world.rows().await, 2);
}

#[tokio::test]
async fn a_commit_is_lost_before_or_after_the_server_has_it() {
    for (lost, rows) in [(Lost::Request, 0), (Lost::Answer, 1)] {
        let mut world = world().await;
        world.proxy.lose_commit(lost);
        let error = world.insert(1).await.unwrap_err();
        assert!(matches!(error, sqlx::Error::Io(_)), "{lost:?}: the client knows nothing: {error}");
        assert_eq!((world.rows().await, world.proxy.commits_lost()), (rows, 1), "{lost:?}");
        world.through = connect(&world.proxy).await.unwrap();
        world.insert(2).await.unwrap(); // only the one that was asked for
        assert_eq!((world.rows().await, world.proxy.commits_lost()), (rows + 1, 1), "{lost:?}");
    }
}

#[tokio::test]
async fn refuses_new_connections_and_keeps_the_open_ones() {
    let mut world = world().await;
    world.proxy.refuse(true);
    assert!(connect(&world.proxy).await.is_err());
    world.insert(1).await.unwrap();
    world.proxy.restore();
    connect(&world.proxy).await.unwrap();
}

#[tokio::test]
async fn frozen_it_passes_nothing_on_and_later_all_of_it() {
    let mut world = world().await;
    world.proxy.freeze(true);
    let frozen = world.proxy.connections();
    {
        let mut insert = Box::pin(world.through.execute("INSERT INTO seen VALUES (1)"));
        assert!(timeout(Duration::from_millis(300), &mut insert).await.is_err());
        let rows: i64 =
            sqlx::query_scalar("SELECT count(*) FROM seen").fetch_one(&mut world.direct).await.unwrap();
        assert_eq!(rows, 0);
        world.proxy.freeze(false);
        timeout(BOUND, insert).await.unwrap().unwrap();
    }
    assert_eq!((world.rows().await, frozen), (1, 1));
}

#[tokio::test]
async fn a_delay_holds_up_each_direction() {
    let mut world = world().await;
    world.proxy.delay(Duration::from_millis(200));
    let start = std::time::Instant::now();
    world.through.execute("SELECT 1").await.unwrap();
    assert!(start.elapsed() >= Duration::from_millis(400), "{:?}", start.elapsed());
}
