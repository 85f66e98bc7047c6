//! LISTEN/NOTIFY: new tasks, cancels, changes of exports. Notifications only save time: polls and heartbeats find what a
//! lost one announced.

use std::time::Duration;

use sqlx::Executor;
use sqlx::postgres::PgListener;
use tokio::time::timeout;
use uuid::Uuid;

use crate::db::{DatabaseUrl, connect_listen};
use crate::export::state::ExportStatus;
use crate::queue;
use crate::store::transitions::CANCEL_CHANNEL;

/// Silence after which the server is pinged: a session that the network lost stays silent.
const PING_AFTER: Duration = Duration::from_secs(20);
/// Time allowed for the answer.
const PING_LIMIT: Duration = Duration::from_secs(5);

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notification {
    NewTask,
    /// `None`: the id of the export cannot be read.
    CancelRequested(Option<Uuid>),
    /// `None`: the payload cannot be read.
    ExportChanged(Option<ExportChange>),
}

/// NOTIFY channel on which migration 0011 announces each change of an export's state, in the order of the commits.
const EXPORTS_CHANNEL: &str = "dce_exports";

/// The state of an export after a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExportChange {
    pub job_id: Uuid,
    /// Rises with each change.
    pub version: i64,
    pub status: ExportStatus,
}

impl ExportChange {
    /// Reads `{job_id}:{version}:{status}`.
    fn parse(payload: &str) -> Option<Self> {
        let (job_id, rest) = payload.split_once(':')?;
        let (version, status) = rest.split_once(':')?;
        Some(Self {
            job_id: job_id.parse().ok()?,
            version: version.parse().ok()?,
            status: ExportStatus::parse(status)?,
        })
    }
}

/// A session that listens. After an error it must be replaced, and notifications may have been missed.
#[derive(Debug)]
pub struct Listener(PgListener);

impl Listener {
    /// Listens for tasks and cancels; `name` is shown in `pg_stat_activity`.
    pub async fn for_workers(url: &DatabaseUrl, name: &str) -> sqlx::Result<Self> {
        Self::listen(&[queue::INSERT_CHANNEL, CANCEL_CHANNEL], url, name).await
    }

    /// Listens for changes of exports; `name` is shown in `pg_stat_activity`.
    pub async fn for_exports(url: &DatabaseUrl, name: &str) -> sqlx::Result<Self> {
        Self::listen(&[EXPORTS_CHANNEL], url, name).await
    }

    async fn listen(channels: &[&str], url: &DatabaseUrl, name: &str) -> sqlx::Result<Self> {
        // A pool of its own, which is dropped together with a session that does not answer.
        let pool = connect_listen(url, name);
        let listen = async {
            let mut listener = PgListener::connect_with(&pool).await?;
            listener.eager_reconnect(false);
            listener.listen_all(channels.iter().copied()).await?;
            Ok(Self(listener))
        };
        timeout(PING_LIMIT, listen).await.map_err(|_| sqlx::Error::PoolTimedOut)?
    }

    /// Waits for the next notification.
    pub async fn recv(&mut self) -> sqlx::Result<Notification> {
        loop {
            let Ok(received) = timeout(PING_AFTER, self.0.try_recv()).await else {
                timeout(PING_LIMIT, self.0.execute("SELECT 1"))
                    .await
                    .map_err(|_| sqlx::Error::PoolTimedOut)??;
                continue;
            };
            let Some(notification) = received? else { return Err(sqlx::Error::PoolClosed) };
            return Ok(match notification.channel() {
                CANCEL_CHANNEL => Notification::CancelRequested(notification.payload().parse().ok()),
                EXPORTS_CHANNEL => Notification::ExportChanged(ExportChange::parse(notification.payload())),
                _ => Notification::NewTask,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_complete_change_is_parsed() {
        let job_id = Uuid::from_u128(7);
        let change = ExportChange { job_id, version: 12, status: ExportStatus::Running };
        assert_eq!(ExportChange::parse(&format!("{job_id}:12:running")), Some(change));
        for payload in ["", "x", "7:12:running", &format!("{job_id}:12"), &format!("{job_id}:12:asleep")] {
            assert_eq!(ExportChange::parse(payload), None, "{payload}");
        }
    }
}
