//! What becomes of a session that comes back to its pool.

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
async fn it_is_used_again() {
    let (_database, pool) = one_session().await;
    let first = backend(&pool).await;
    for _ in 0..20 {
        // Whatever it did before, in whichever protocol.
        pool.begin().await.unwrap().commit().await.unwrap();
        sqlx::query("SELECT $1::int8").bind(1_i64).fetch_one(&pool).await.unwrap();
        drop(pool.begin().await.unwrap());
        assert_eq!(backend(&pool).await, first);
    }
}

#[tokio::test]
async fn it_is_not_used_again_in_the_middle_of_a_transaction() {
    let (_database, pool) = one_session().await;
    let first = backend(&pool).await;
    // As a caller leaves it that is dropped while its BEGIN is on its way.
    pool.acquire().await.unwrap().execute("BEGIN").await.unwrap();
    assert_ne!(backend(&pool).await, first);
}
