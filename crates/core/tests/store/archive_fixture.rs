//! A small archive for tests of deletion.

use dce_core::store::retention::batched_deletion::DeletedRows;
use dce_core::store::retention::erasures::Subject;
use dce_core::store::retention::purge::Purge;
use sqlx::{AssertSqlSafe, PgConnection};

use super::support::Store;

/// Messages of each channel.
pub(crate) const MESSAGES: i64 = 5000;
/// Interval between two messages.
const HOURS: i64 = 1;

impl Store {
    /// Channels 1, 2 and 3 with messages 1 to 5000, sent at intervals of an hour, the last one now. Message n has author
    /// n % 5; each hundredth was updated once.
    pub(crate) async fn with_archive() -> Self {
        let store = Self::new().await;
        for channel in [1, 2, 3] {
            let sql = format!(
                "INSERT INTO channels (channel_id, archived_count) VALUES ('{channel}', {MESSAGES});
                 INSERT INTO messages (channel_id, message_id, author_id, \"timestamp\", raw)
                 SELECT '{channel}', i::text, (i % 5)::text, clock_timestamp() - make_interval(hours => (({MESSAGES} - i) * {HOURS})::int),
                        jsonb_build_object('author', jsonb_build_object('id', (i % 5)::text)) FROM generate_series(1, {MESSAGES}) i;
                 INSERT INTO message_versions (channel_id, message_id, raw)
                 SELECT channel_id, message_id, raw FROM messages WHERE channel_id = '{channel}' AND message_id LIKE '%00'"
            );
            sqlx::raw_sql(AssertSqlSafe(sql)).execute(&store.pool).await.unwrap();
        }
        store
    }

    /// Numbers of messages and versions; compares the channels' own counts with them.
    pub(crate) async fn archived(&self) -> (i64, i64) {
        let wrong = "SELECT count(*) FROM channels c
                      WHERE archived_count <> (SELECT count(*) FROM messages m WHERE m.channel_id = c.channel_id)";
        assert_eq!(self.count(wrong).await, 0, "archived_count is what is there");
        let messages = self.count("SELECT count(*) FROM messages").await;
        (messages, self.count("SELECT count(*) FROM message_versions").await)
    }

    /// Deletes all messages of a subject, whether it is recorded or not.
    pub(crate) async fn purge(&self, subject: Subject) -> DeletedRows {
        let mut session = self.session().await;
        let mut purge = Purge::begin(&mut session, subject).await.unwrap();
        let mut all = DeletedRows::default();
        while let Some(some) = purge.next(&mut session).await.unwrap() {
            assert!(some.messages <= 2000, "a transaction is short: {some:?}");
            all += some;
        }
        all
    }
}

/// A session of a worker, inside a transaction that writes messages.
pub(crate) async fn insert(session: &mut PgConnection, message_id: &str, author_id: &str) {
    sqlx::query(
        "INSERT INTO messages (channel_id, message_id, author_id, \"timestamp\", raw)
         VALUES ('1', $1, $2, clock_timestamp(), '{}')",
    )
    .bind(message_id)
    .bind(author_id)
    .execute(session)
    .await
    .unwrap();
}
