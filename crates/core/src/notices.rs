//! What sessions tell each other through NOTIFY: there is something to fetch, something to stop. Notices only make it
//! faster: what gets lost is found by polls and heartbeats.

use std::time::Duration;

use sqlx::Executor;
use sqlx::postgres::PgListener;
use tokio::time::timeout;
use uuid::Uuid;

use crate::db::{DatabaseUrl, connect_listen};
use crate::export::state::ExportStatus;
use crate::queue;
use crate::store::control::CANCEL_CHANNEL;

/// After so much silence the server is asked whether it is still there: a session that a network swallowed stays silent.
const SILENCE: Duration = Duration::from_secs(20);
/// How long the server may take to answer that.
const ANSWER: Duration = Duration::from_secs(5);

/// What was heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// A task was pushed.
    NewTask,
    /// A cancel was asked for; `None` where the export's id cannot be read.
    CancelRequested(Option<Uuid>),
    /// An export has changed its state; `None` where the payload cannot be read.
    ExportChanged(Option<ExportChange>),
}

/// Where migration 0011 announces every change of an export's state, in the order of the commits.
const EXPORTS_CHANNEL: &str = "dce_exports";

/// The state of an export after a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExportChange {
    /// The export.
    pub job_id: Uuid,
    /// Rises with every change.
    pub version: i64,
    /// What the change made of it.
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

/// One session that listens. After an error it is of no use any more, and notices may have been missed.
#[derive(Debug)]
pub struct Notices(PgListener);

impl Notices {
    /// Opens a session that hears of tasks and cancels; `name` is shown in `pg_stat_activity`.
    pub async fn listen(url: &DatabaseUrl, name: &str) -> sqlx::Result<Self> {
        Self::listen_to(&[queue::INSERTED, CANCEL_CHANNEL], url, name).await
    }

    /// Opens a session that hears of all changes of exports; `name` is shown in `pg_stat_activity`.
    pub async fn listen_to_exports(url: &DatabaseUrl, name: &str) -> sqlx::Result<Self> {
        Self::listen_to(&[EXPORTS_CHANNEL], url, name).await
    }

    async fn listen_to(channels: &[&str], url: &DatabaseUrl, name: &str) -> sqlx::Result<Self> {
        // A pool of its own, which goes with a session that does not answer.
        let pool = connect_listen(url, name);
        let listen = async {
            let mut listener = PgListener::connect_with(&pool).await?;
            listener.eager_reconnect(false);
            listener.listen_all(channels.iter().copied()).await?;
            Ok(Self(listener))
        };
        timeout(ANSWER, listen).await.map_err(|_| sqlx::Error::PoolTimedOut)?
    }

    /// The next notice of anyone.
    pub async fn heard(&mut self) -> sqlx::Result<Notice> {
        loop {
            let Ok(received) = timeout(SILENCE, self.0.try_recv()).await else {
                timeout(ANSWER, self.0.execute("SELECT 1"))
                    .await
                    .map_err(|_| sqlx::Error::PoolTimedOut)??;
                continue;
            };
            let Some(notification) = received? else { return Err(sqlx::Error::PoolClosed) };
            return Ok(match notification.channel() {
                CANCEL_CHANNEL => Notice::CancelRequested(notification.payload().parse().ok()),
                EXPORTS_CHANNEL => Notice::ExportChanged(ExportChange::parse(notification.payload())),
                _ => Notice::NewTask,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_read_and_nothing_else() {
        let job_id = Uuid::from_u128(7);
        let change = ExportChange { job_id, version: 12, status: ExportStatus::Running };
        assert_eq!(ExportChange::parse(&format!("{job_id}:12:running")), Some(change));
        for payload in ["", "x", "7:12:running", &format!("{job_id}:12"), &format!("{job_id}:12:asleep")] {
            assert_eq!(ExportChange::parse(payload), None, "{payload}");
        }
    }
}
