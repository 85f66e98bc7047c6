//! The database sessions that write messages: few, and shared by all slots. Postgres knows each by the worker's id, so that a
//! rescue can end the sessions of a paused worker.

use std::sync::{Mutex, MutexGuard, PoisonError};

use dce_core::db::{DatabaseUrl, connect_ingest};
use dce_core::store::StoreError;
use dce_core::store::transitions;
use sqlx::postgres::PgConnection;
use tokio::sync::{Semaphore, SemaphorePermit};

/// A bounded number of sessions, each opened when first needed.
#[derive(Debug)]
pub struct Sessions {
    url: DatabaseUrl,
    worker: String,
    limit: usize,
    permits: Semaphore,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    idle: Vec<Open>,
    /// Backends of sessions that were dropped in the middle of a statement or transaction: the server may not have noticed.
    abandoned: Vec<serde_json::Value>,
    opened: u64,
}

/// A session that is open as far as the client knows.
#[derive(Debug)]
struct Open {
    serial: u64,
    backend: serde_json::Value,
    connection: PgConnection,
}

/// A session in use. If it is dropped without [`Session::release`], it is closed, and ended on the server before the next one
/// is opened: its open transaction must not block the retry.
#[derive(Debug)]
pub struct Session<'a> {
    /// Unique within the process.
    pub serial: u64,
    pub connection: PgConnection,
    server_side: ServerSide<'a>,
    _permit: SemaphorePermit<'a>,
}

/// Records a session that was dropped.
#[derive(Debug)]
struct ServerSide<'a> {
    backend: Option<serde_json::Value>,
    sessions: &'a Sessions,
}

impl Sessions {
    /// At most `limit` sessions of this worker.
    pub fn new(url: DatabaseUrl, worker: String, limit: u32) -> Self {
        let limit = limit as usize;
        Self { url, worker, limit, permits: Semaphore::new(limit), known: Mutex::default() }
    }

    pub const fn limit(&self) -> usize {
        self.limit
    }

    /// Waits for a free session, opening one if none is idle.
    pub async fn acquire(&self) -> Result<Session<'_>, StoreError> {
        // The semaphore is never closed.
        let permit = self.permits.acquire().await.map_err(|_| sqlx::Error::PoolClosed)?;
        let idle = self.known().idle.pop();
        let open = match idle {
            Some(open) => open,
            None => self.open().await?,
        };
        let Open { serial, backend, connection } = open;
        let server_side = ServerSide { backend: Some(backend), sessions: self };
        Ok(Session { serial, connection, server_side, _permit: permit })
    }

    /// Opens a session that will soon be needed. An error is left to the next user.
    pub async fn open_ahead(&self) {
        if let Ok(session) = self.acquire().await {
            session.release();
        }
    }

    async fn open(&self) -> Result<Open, StoreError> {
        let mut connection = connect_ingest(&self.url, &self.worker).await?;
        let abandoned = self.known().abandoned.clone();
        for backend in &abandoned {
            transitions::terminate_sessions(&mut connection, backend).await?;
        }
        let backend = transitions::current_session(&mut connection).await?;
        let mut known = self.known();
        known.abandoned.retain(|backend| !abandoned.contains(backend));
        known.opened += 1;
        Ok(Open { serial: known.opened, backend, connection })
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Session<'_> {
    /// Keeps the session open for the next user. It must be outside a transaction.
    pub fn release(self) {
        let Self { serial, connection, mut server_side, _permit } = self;
        if let Some(backend) = server_side.backend.take() {
            server_side.sessions.known().idle.push(Open { serial, backend, connection });
        }
    }
}

impl Drop for ServerSide<'_> {
    fn drop(&mut self) {
        if let Some(backend) = self.backend.take() {
            self.sessions.known().abandoned.push(backend);
        }
    }
}
