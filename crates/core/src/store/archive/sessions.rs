//! Sessions that read, one for each page. What is left in the middle is cancelled at the server.

use std::ops::ControlFlow;
use std::time::Duration;

use futures_util::TryStreamExt;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgPool, PgRow};
use sqlx::{Connection, Postgres, QueryBuilder};

use crate::store::StoreError;

/// How long a statement may take, the way to the server and back included; the server itself ends it after 30 s.
const ANSWER_LIMIT: Duration = Duration::from_secs(35);
/// How long a cancel may take, and then the statement's end.
const CANCEL_LIMIT: Duration = Duration::from_secs(2);
/// An answer to a cancel, the ready session, and one more.
const PINGS: usize = 3;

/// Where sessions that read come from.
#[derive(Debug, Clone)]
pub struct Sessions {
    read: PgPool,
    control: PgPool,
}

impl Sessions {
    /// `read`: pages; `control`: cancels of them, which must not wait for a page.
    pub const fn new(read: PgPool, control: PgPool) -> Self {
        Self { read, control }
    }

    pub(super) async fn acquire(&self) -> Result<Session, StoreError> {
        let mut connection = self.read.acquire().await?;
        let pid =
            sqlx::query_scalar!(r#"SELECT pg_backend_pid() AS "pid!""#).fetch_one(&mut *connection).await?;
        Ok(Session { connection: Some(connection), control: self.control.clone(), pid, is_busy: false })
    }

    /// Ends the sessions that read.
    pub async fn close(&self) {
        self.read.close().await;
    }
}

/// A session for as long as a page takes. Dropped while a statement goes on, it cancels that: a server notices that nobody
/// reads an answer any more only when it sends, and a search may have nothing to send for long.
#[derive(Debug)]
pub(super) struct Session {
    connection: Option<PoolConnection<Postgres>>,
    control: PgPool,
    pid: i32,
    is_busy: bool,
}

/// Whether all rows were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Read {
    All,
    /// The session cannot be used any more.
    Some,
}

impl Session {
    /// Gives each row to `take`, until that breaks off.
    pub(super) async fn each(
        &mut self,
        statement: &mut QueryBuilder<Postgres>,
        mut take: impl FnMut(&PgRow) -> Result<ControlFlow<()>, StoreError>,
    ) -> Result<Read, StoreError> {
        self.is_busy = true;
        // Only a drop takes it.
        let connection = self.connection.as_deref_mut().ok_or(sqlx::Error::PoolClosed)?;
        let read = async {
            let mut rows = statement.build().fetch(connection);
            while let Some(row) = rows.try_next().await? {
                if take(&row)?.is_break() {
                    return Ok(Read::Some);
                }
            }
            Ok(Read::All)
        };
        let read =
            tokio::time::timeout(ANSWER_LIMIT, read).await.map_err(|_| StoreError::TimedOut(ANSWER_LIMIT))?;
        // After an error of its own the server waits for the next statement.
        self.is_busy = !matches!(read, Ok(Read::All) | Err(StoreError::Database(sqlx::Error::Database(_))));
        read
    }

    /// Runs a statement whose rows say nothing, such as `BEGIN`; not in a session that is left in the middle of another one.
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

/// Nobody else gets the session before its statement has ended, so that nobody else's is cancelled.
async fn cancel(mut connection: PoolConnection<Postgres>, control: PgPool, pid: i32) {
    let cancel = sqlx::query_scalar!(r#"SELECT pg_cancel_backend($1) AS "sent!""#, pid).fetch_one(&control);
    let cancelled = tokio::time::timeout(CANCEL_LIMIT, cancel).await;
    let ended = tokio::time::timeout(CANCEL_LIMIT, is_ready(&mut connection)).await;
    let is_fit = matches!(cancelled, Ok(Ok(_))) && ended.unwrap_or(false);
    if !is_fit {
        // Without its client the server ends it at the latest when the statement's time is up.
        drop(connection.detach());
    }
}

/// Whether the session has come to its statement's end.
async fn is_ready(connection: &mut PoolConnection<Postgres>) -> bool {
    for _ in 0..PINGS {
        // The first answer may be that to the cancelled statement.
        if connection.ping().await.is_ok() {
            return true;
        }
    }
    false
}
