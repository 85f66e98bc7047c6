//! The task that keeps the watched exports up to date: receives notifications, polls once a second, and reads the exports
//! that have changed.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use dce_core::db::{DatabaseUrl, PgPool};
use dce_core::notifications::ExportChange;
use dce_core::store;
use dce_core::store::reading::blockers::ServiceState;
use dce_core::store::reading::change_token::{self, ChangeToken};
use dce_core::store::reading::export;
use futures_util::{StreamExt, stream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};
use uuid::Uuid;

use super::listener::{ListenerEvent, listen};
use super::topic::{Topic, Topics, wait_for_stop};
use crate::rendered_export::RenderedExport;

/// Interval at which all watched exports are checked for changes.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// Maximum number of exports read at once: requests use the same sessions.
const PARALLEL_READS: usize = 2;
/// Maximum number of notifications that wait while exports are read; further ones wait in the session.
const NOTIFICATION_BUFFER: usize = 1024;

/// Whether notifications are received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ListenState {
    /// No client has watched anything yet.
    NotStarted,
    /// The first session is being opened. A snapshot read before it is open would miss changes made meanwhile.
    Connecting,
    Listening,
    /// The session is lost: only polling detects changes.
    Lost,
}

#[derive(Debug)]
pub struct Watcher {
    topics: Arc<Topics>,
    pool: PgPool,
    url: DatabaseUrl,
    state: ListenState,
}

impl Watcher {
    pub(super) fn new(topics: Arc<Topics>, pool: PgPool, url: DatabaseUrl) -> Self {
        Self { topics, pool, url, state: ListenState::NotStarted }
    }

    /// Runs until the hub is stopped.
    pub async fn run(mut self) {
        let (sender, mut receiver) = mpsc::channel(NOTIFICATION_BUFFER);
        let mut listeners = JoinSet::new(); // dropped with this task, which ends the listener
        let mut received = Vec::new();
        let mut poll = interval(POLL_INTERVAL);
        poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let topics = Arc::clone(&self.topics);
        let mut stopped = topics.stopped.subscribe();
        loop {
            tokio::select! {
                () = wait_for_stop(&mut stopped) => return,
                () = topics.read_requested.notified() => {
                    if self.state == ListenState::NotStarted {
                        self.state = ListenState::Connecting;
                        listeners.spawn(listen(self.url.clone(), sender.clone()));
                    }
                }
                _ = receiver.recv_many(&mut received, NOTIFICATION_BUFFER) => {
                    for event in received.drain(..) {
                        self.handle(&event);
                    }
                }
                _ = poll.tick() => self.poll().await,
            }
            if self.state != ListenState::Connecting {
                self.read_requested().await;
            }
        }
    }

    fn handle(&mut self, event: &ListenerEvent) {
        match event {
            ListenerEvent::Change(change) => self.record(change),
            ListenerEvent::Connected => {
                // Changes may have been missed: after a loss every client gets a fresh snapshot.
                let was_lost = self.state == ListenState::Lost;
                self.state = ListenState::Listening;
                for topic in self.topics.all() {
                    if was_lost {
                        topic.request_send();
                    }
                    topic.request_read();
                }
                tracing::debug!("events.listening");
            }
            ListenerEvent::Disconnected => self.state = ListenState::Lost,
        }
    }

    fn record(&self, change: &ExportChange) {
        let Some(topic) = self.topics.get(change.job_id) else { return };
        let released = {
            let mut history = topic.history();
            history.record(change);
            history.release(false)
        };
        if let Some(snapshot) = released {
            topic.offer(snapshot, true);
        }
    }

    /// Checks all watched exports for changes and requests reads of those that have changed.
    async fn poll(&self) {
        self.topics.remove_unwatched();
        let topics = self.topics.all();
        if topics.is_empty() {
            return;
        }
        for topic in &topics {
            let overdue = topic.history().release(true);
            if let Some(snapshot) = overdue {
                topic.offer(snapshot, false);
            }
        }
        let polled = store::in_time(async {
            let job_ids: Vec<Uuid> = topics.iter().map(|topic| topic.job_id).collect();
            let tokens = change_token::read(&self.pool, &job_ids).await?;
            let blocker = if tokens.iter().any(|token| token.any_due) {
                ServiceState::read(&self.pool).await?.blocker().map(|blocker| blocker.code)
            } else {
                None
            };
            Ok((tokens, blocker))
        });
        let (tokens, blocker) = match polled.await {
            Ok(polled) => polled,
            Err(error) => return tracing::debug!(error = %error, "events.look_failed"),
        };
        let tokens: HashMap<Uuid, ChangeToken> =
            tokens.into_iter().map(|token| (token.job_id, token)).collect();
        for topic in topics {
            let token = tokens.get(&topic.job_id);
            if !topic.history().newest().is_some_and(|newest| is_current(newest, token, blocker)) {
                topic.request_read();
            }
        }
    }

    /// Reads the exports that must be read. A failed read is retried after the next poll.
    async fn read_requested(&self) {
        let due = self.topics.all().into_iter().filter(|topic| topic.take_read_request());
        stream::iter(due.collect::<Vec<_>>())
            .for_each_concurrent(PARALLEL_READS, |topic| self.read(topic))
            .await;
    }

    async fn read(&self, topic: Arc<Topic>) {
        let export = Box::pin(export::find(&self.pool, topic.job_id)); // large
        match store::in_time(export).await {
            Ok(Some(export)) => match RenderedExport::new(export) {
                Ok(snapshot) => topic.offer(snapshot, self.state == ListenState::Listening),
                Err(error) => tracing::error!(error = %error, job_id = %topic.job_id, "events.unreadable"),
            },
            Ok(None) => {
                topic.history().mark_deleted();
                self.topics.remove(topic.job_id);
                topic.notify();
            }
            Err(error) => tracing::debug!(error = %error, job_id = %topic.job_id, "events.read_failed"),
        }
    }
}

/// Whether the snapshot still shows the export's current state. `blocker`: what due runs wait for.
fn is_current(newest: &RenderedExport, token: Option<&ChangeToken>, blocker: Option<&'static str>) -> bool {
    token.is_some_and(|token| {
        newest.version == token.version
            && newest.status.as_str() == token.status
            && newest.bytes_read == token.bytes_read
            && newest.message_count == token.message_count
            && newest.waiting == blocker.filter(|_| token.any_due)
    })
}
