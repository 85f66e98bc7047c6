//! Entry point for clients that watch exports.

use std::sync::Arc;
use std::time::Duration;

use dce_core::db::{DatabaseUrl, PgPool};
use dce_core::store::{ANSWER_LIMIT, StoreError};
use tokio::time::timeout;
use uuid::Uuid;

use super::event::EventId;
use super::stream::EventStream;
use super::topic::{Topics, wait_for_stop};
use super::watcher::Watcher;
use crate::problem::Problem;

/// Number of reads after which a client accepts a snapshot that is older than the state it knows.
const READS_FOR_KNOWN: u32 = 3;

/// Clones share the same watched exports.
#[derive(Debug, Clone)]
pub struct Hub(Arc<Topics>);

impl Hub {
    /// A hub, and the task that it needs. `ping`: silence after which a stream sends a comment.
    pub fn new(pool: PgPool, url: DatabaseUrl, ping: Duration) -> (Self, Watcher) {
        let topics = Arc::new(Topics::new(ping));
        (Self(Arc::clone(&topics)), Watcher::new(topics, pool, url))
    }

    /// The events of an export, from a snapshot that is at least as recent as `known`. `None`: the export was deleted.
    ///
    /// # Errors
    /// `database_unavailable` if the export cannot be read in time.
    pub async fn subscribe(&self, job_id: Uuid, known: EventId) -> Result<Option<EventStream>, Problem> {
        let topic = self.0.get_or_create(job_id);
        let mut changed = topic.subscribe();
        let mut stopped = self.0.stopped.subscribe();
        let first = async {
            for reads in 0.. {
                changed.mark_unchanged();
                if topic.history().is_deleted() || *stopped.borrow() {
                    return None;
                }
                // A snapshot that was read since then is recent enough, even if its id is lower.
                let known = Some(known).filter(|_| reads < READS_FOR_KNOWN);
                if let Some(first) = topic.first(known) {
                    return Some(first);
                }
                topic.request_read();
                self.0.read_requested.notify_one();
                tokio::select! {
                    _ = changed.changed() => {}
                    () = wait_for_stop(&mut stopped) => {}
                }
            }
            None
        };
        let first = timeout(ANSWER_LIMIT, first).await.map_err(|_| StoreError::TimedOut(ANSWER_LIMIT))?;
        Ok(first.map(|first| EventStream::new(topic, self.0.stopped.subscribe(), self.0.ping, first)))
    }

    /// Ends all streams and the watcher.
    pub fn stop(&self) {
        self.0.stopped.send_replace(true);
    }
}
