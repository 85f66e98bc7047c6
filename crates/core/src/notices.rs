//! What sessions tell each other through NOTIFY: there is something to fetch, something to stop. Notices only make it
//! faster: what gets lost is found by polls and heartbeats.

use std::time::Duration;

use sqlx::Executor;
use sqlx::postgres::PgListener;
use tokio::time::timeout;
use uuid::Uuid;

use crate::db::{DatabaseUrl, connect_listen};
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
}

/// One session that listens. After an error it is of no use any more, and notices may have been missed.
#[derive(Debug)]
pub struct Notices(PgListener);

impl Notices {
    /// Opens the session; `name` is shown in `pg_stat_activity`.
    pub async fn listen(url: &DatabaseUrl, name: &str) -> sqlx::Result<Self> {
        // A pool of its own, which goes with a session that does not answer.
        let pool = connect_listen(url, name);
        let listen = async {
            let mut listener = PgListener::connect_with(&pool).await?;
            listener.eager_reconnect(false);
            listener.listen_all([queue::INSERTED, CANCEL_CHANNEL]).await?;
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
                _ => Notice::NewTask,
            });
        }
    }
}
