//! The command that builds and drops the index on the text of messages.

use dce_testkit::database::TestDatabase;

use crate::support::run_command;

/// The validity of the index, if it exists, and the schema of the extension.
async fn index(database: &TestDatabase) -> (Option<bool>, Option<String>) {
    sqlx::query_as(
        "SELECT (SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('messages_content_trgm')),
                (SELECT extnamespace::regnamespace::text FROM pg_extension WHERE extname = 'pg_trgm')",
    )
    .fetch_one(&database.pool())
    .await
    .unwrap()
}

#[tokio::test]
async fn the_index_is_built_once_dropped_and_replaced_if_invalid() {
    let database = TestDatabase::create().await;
    let url = database.url();
    let done = |line: &str, words: &str| {
        let (code, out, err) = run_command(&url, line);
        assert!(code == Some(0) && out.contains(words) && err.is_empty(), "{line}: {code:?} {out} {err}");
    };
    done("index search --drop", "There is no index");
    done("index search", "Built in 0 s");
    assert_eq!(index(&database).await, (Some(true), Some("public".into())));
    done("index search", "exists already");
    sqlx::raw_sql(
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'messages_content_trgm'::regclass",
    )
    .execute(&database.pool())
    .await
    .unwrap();
    done("index search", "interrupted build");
    assert_eq!(index(&database).await.0, Some(true));
    done("index search --drop", "Dropped");
    assert_eq!(index(&database).await.0, None);
}

#[tokio::test]
async fn the_extension_is_created_in_supabases_schema_and_missing_tables_are_reported() {
    let database = TestDatabase::create().await;
    sqlx::raw_sql("CREATE SCHEMA extensions").execute(&database.pool()).await.unwrap();
    assert_eq!(run_command(&database.url(), "index search").0, Some(0));
    assert_eq!(index(&database).await, (Some(true), Some("extensions".into())));

    let empty = TestDatabase::empty().await;
    let (code, _, err) = run_command(&empty.url(), "index search");
    assert!(code == Some(1) && err.contains("run `dce-api migrate` first"), "{err}");
}
