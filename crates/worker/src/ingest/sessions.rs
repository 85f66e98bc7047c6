//! The sessions that write messages: few, shared by all slots, each known to Postgres by the worker's id so that a
//! rescue can end what a paused worker left open.

use std::sync::{Mutex, PoisonError};

use dce_core::db::{DatabaseUrl, connect_ingest};
use sqlx::postgres::PgConnection;
use tokio::sync::{Semaphore, SemaphorePermit};

/// At most so many sessions as were allowed, opened when first needed.
#[derive(Debug)]
pub struct Sessions {
    url: DatabaseUrl,
    worker: String,
    limit: usize,
    permits: Semaphore,
    idle: Mutex<Idle>,
}

#[derive(Debug, Default)]
struct Idle {
    sessions: Vec<(u64, PgConnection)>,
    opened: u64,
}

/// A session in use. Dropped without [`Session::give_back`] it is closed, and with it whatever it had begun.
#[derive(Debug)]
pub struct Session<'a> {
    /// Tells sessions of one process apart.
    pub serial: u64,
    /// The session.
    pub connection: PgConnection,
    sessions: &'a Sessions,
    _permit: SemaphorePermit<'a>,
}

impl Sessions {
    /// For `limit` sessions of this worker.
    pub fn new(url: DatabaseUrl, worker: String, limit: u32) -> Self {
        let limit = limit as usize;
        Self { url, worker, limit, permits: Semaphore::new(limit), idle: Mutex::default() }
    }

    /// How many there are at most.
    pub const fn limit(&self) -> usize {
        self.limit
    }

    /// Waits for a free session, opening one if none is idle.
    pub async fn acquire(&self) -> sqlx::Result<Session<'_>> {
        // The semaphore is never closed.
        let permit = self.permits.acquire().await.map_err(|_| sqlx::Error::PoolClosed)?;
        let idle = self.lock().sessions.pop();
        let (serial, connection) = if let Some(idle) = idle {
            idle
        } else {
            let connection = connect_ingest(&self.url, &self.worker).await?;
            let mut idle = self.lock();
            idle.opened += 1;
            (idle.opened, connection)
        };
        Ok(Session { serial, connection, sessions: self, _permit: permit })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Session<'_> {
    /// Keeps the session open for the next user. Only for one that is outside of a transaction.
    pub fn give_back(self) {
        let Self { serial, connection, sessions, _permit } = self;
        sessions.lock().sessions.push((serial, connection));
    }
}
