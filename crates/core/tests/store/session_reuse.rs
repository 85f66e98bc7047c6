//! The check of sessions that return to their pool.

use dce_core::db::{DatabaseUrl, connect_control};
use dce_testkit::database::TestDatabase;
use sqlx::{Executor, PgPool};

/// A pool of one session.
async fn one_session() -> (TestDatabase, PgPool) {
    let database = TestDatabase::create().await;
    let pool = connect_control(&DatabaseUrl::parse(&database.url()).unwrap(), "test", 1);
    (database, pool)
}

async fn backend(pool: &PgPool) -> i32 {
    sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(pool).await.unwrap()
}

#[tokio::test]
async fn a_released_session_is_reused() {
    let (_database, pool) = one_session().await;
    let first = backend(&pool).await;
    for _ in 0..20 {
        // After any earlier statement, in both protocols.
        pool.begin().await.unwrap().commit().await.unwrap();
        sqlx::query("SELECT $1::int8").bind(1_i64).fetch_one(&pool).await.unwrap();
        drop(pool.begin().await.unwrap());
        assert_eq!(backend(&pool).await, first);
    }
}

#[tokio::test]
async fn a_session_inside_a_transaction_is_not_reused() {
    let (_database, pool) = one_session().await;
    let first = backend(&pool).await;
    // As after a caller that is dropped while its BEGIN is sent.
    pool.acquire().await.unwrap().execute("BEGIN").await.unwrap();
    assert_ne!(backend(&pool).await, first);
}
