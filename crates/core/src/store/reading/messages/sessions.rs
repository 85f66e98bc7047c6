//! Sessions that read, one for each page. A statement that its reader leaves unfinished is cancelled at the server.

use std::ops::ControlFlow;
use std::time::Duration;

use futures_util::TryStreamExt;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgPool, PgRow};
use sqlx::{Connection, Postgres, QueryBuilder};

use crate::store::StoreError;

/// Time allowed for a statement, including the round trip; the server itself ends it after 30 s.
const ANSWER_LIMIT: Duration = Duration::from_secs(35);
/// Time allowed for a cancel, and then for the statement to end.
const CANCEL_LIMIT: Duration = Duration::from_secs(2);
/// Pings after a cancel: the cancelled statement's answer, the ready session, and one more.
const PINGS: usize = 3;

/// The pools that sessions come from.
#[derive(Debug, Clone)]
pub struct Sessions {
    read: PgPool,
    control: PgPool,
}

impl Sessions {
    /// `read` serves pages; `control` cancels them, which must not wait for a page.
    pub const fn new(read: PgPool, control: PgPool) -> Self {
        Self { read, control }
    }

    pub(super) async fn acquire(&self) -> Result<Session, StoreError> {
        let mut connection = self.read.acquire().await?;
        let pid =
            sqlx::query_scalar!(r#"SELECT pg_backend_pid() AS "pid!""#).fetch_one(&mut *connection).await?;
        Ok(Session { connection: Some(connection), control: self.control.clone(), pid, is_busy: false })
    }

    pub async fn close(&self) {
        self.read.close().await;
    }
}

/// A session that reads one page. Dropped during a statement, it cancels the statement: a server notices only when it
/// sends that nobody reads the answer, and a search may send nothing for long.
#[derive(Debug)]
pub(super) struct Session {
    connection: Option<PoolConnection<Postgres>>,
    control: PgPool,
    pid: i32,
    is_busy: bool,
}

/// The extent of a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReadExtent {
    AllRows,
    /// The session can no longer be used.
    SomeRows,
}

impl Session {
    /// Passes each row to `sink` until that breaks.
    pub(super) async fn each(
        &mut self,
        statement: &mut QueryBuilder<Postgres>,
        mut sink: impl FnMut(&PgRow) -> Result<ControlFlow<()>, StoreError>,
    ) -> Result<ReadExtent, StoreError> {
        self.is_busy = true;
        // Only `drop` empties it.
        let connection = self.connection.as_deref_mut().ok_or(sqlx::Error::PoolClosed)?;
        let read = async {
            let mut rows = statement.build().fetch(connection);
            while let Some(row) = rows.try_next().await? {
                if sink(&row)?.is_break() {
                    return Ok(ReadExtent::SomeRows);
                }
            }
            Ok(ReadExtent::AllRows)
        };
        let read =
            tokio::time::timeout(ANSWER_LIMIT, read).await.map_err(|_| StoreError::TimedOut(ANSWER_LIMIT))?;
        // After an error that the server reports it is ready for the next statement.
        self.is_busy =
            !matches!(read, Ok(ReadExtent::AllRows) | Err(StoreError::Database(sqlx::Error::Database(_))));
        read
    }

    /// Runs a statement without rows of interest, such as `BEGIN`; does nothing in the middle of another statement.
    pub(super) async fn execute(&mut self, statement: &'static str) -> Result<(), StoreError> {
        if self.is_busy {
            return Ok(());
        }
        self.each(&mut QueryBuilder::new(statement), |_| Ok(ControlFlow::Continue(()))).await.map(drop)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let Some(connection) = self.connection.take().filter(|_| self.is_busy) else { return };
        tokio::spawn(cancel(connection, self.control.clone(), self.pid));
    }
}

/// Cancels the statement of a session. The session returns to its pool only after the statement has ended, so that no
/// other statement is cancelled.
async fn cancel(mut connection: PoolConnection<Postgres>, control: PgPool, pid: i32) {
    let cancel = sqlx::query_scalar!(r#"SELECT pg_cancel_backend($1) AS "sent!""#, pid).fetch_one(&control);
    let cancelled = tokio::time::timeout(CANCEL_LIMIT, cancel).await;
    let ended = tokio::time::timeout(CANCEL_LIMIT, is_ready(&mut connection)).await;
    let is_fit = matches!(cancelled, Ok(Ok(_))) && ended.unwrap_or(false);
    if !is_fit {
        // Without a client the server ends it, at the latest when the statement's time limit is reached.
        drop(connection.detach());
    }
}

/// Whether the session's statement has ended.
async fn is_ready(connection: &mut PoolConnection<Postgres>) -> bool {
    for _ in 0..PINGS {
        // The first answer may be that of the cancelled statement.
        if connection.ping().await.is_ok() {
            return true;
        }
    }
    false
}
