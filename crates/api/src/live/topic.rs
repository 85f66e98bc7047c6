//! The exports that clients watch, each with its history. Shared by the hub, the watcher and the clients' streams.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use uuid::Uuid;

use super::event::EventId;
use super::history::{ClientPosition, History, NextEvent, SnapshotOutcome};
use crate::rendered_export::RenderedExport;

/// One watched export.
#[derive(Debug)]
pub(super) struct Topic {
    pub(super) job_id: Uuid,
    history: Mutex<History>,
    changed: watch::Sender<()>,
    /// The export must be read even if no change was announced.
    needs_read: AtomicBool,
    /// The next snapshot is sent even if it has not changed.
    force_send: AtomicBool,
}

impl Topic {
    fn new(job_id: Uuid) -> Self {
        Self {
            job_id,
            history: Mutex::default(),
            changed: watch::Sender::default(),
            needs_read: AtomicBool::new(true),
            force_send: AtomicBool::new(false),
        }
    }

    pub(super) fn history(&self) -> MutexGuard<'_, History> {
        // No panic can leave the history half-changed.
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Wakes the clients.
    pub(super) fn notify(&self) {
        self.changed.send_replace(());
    }

    pub(super) fn next(&self, position: &mut ClientPosition) -> Option<NextEvent> {
        self.history().next(position)
    }

    /// The first event of a client that knows the export up to `known`; `None`: no snapshot is that recent yet.
    pub(super) fn first(&self, known: Option<EventId>) -> Option<(NextEvent, ClientPosition)> {
        let history = self.history();
        let newest = history.newest()?;
        let id = EventId { version: newest.version, bytes_read: newest.bytes_read };
        let mut position = ClientPosition::default();
        known
            .is_none_or(|known| id >= known)
            .then(|| history.next(&mut position))
            .flatten()
            .map(|next| (next, position))
    }

    pub(super) fn request_read(&self) {
        self.needs_read.store(true, Ordering::Relaxed);
    }

    /// Makes the next snapshot reach all clients, changed or not.
    pub(super) fn request_send(&self) {
        self.force_send.store(true, Ordering::Relaxed);
    }

    /// Returns whether the export must be read, and clears the request.
    pub(super) fn take_read_request(&self) -> bool {
        self.needs_read.swap(false, Ordering::Relaxed) || self.history().is_behind()
    }

    /// Adds a snapshot and wakes the clients. `may_wait`: notifications are arriving.
    pub(super) fn offer(&self, snapshot: RenderedExport, may_wait: bool) {
        let force = self.force_send.swap(false, Ordering::Relaxed);
        let outcome = self.history().offer(snapshot, may_wait, force);
        match outcome {
            SnapshotOutcome::Accepted | SnapshotOutcome::Unchanged => {}
            // Not sent yet: the request to send remains.
            SnapshotOutcome::Held => self.force_send.store(force, Ordering::Relaxed),
            SnapshotOutcome::Stale => {
                self.force_send.store(force, Ordering::Relaxed);
                self.request_read();
            }
        }
        // Also wakes clients that wait for a first event as recent as the one they know.
        self.notify();
    }
}

/// All watched exports.
#[derive(Debug)]
pub(super) struct Topics {
    by_id: Mutex<HashMap<Uuid, Arc<Topic>>>,
    /// Signals that an export must be read.
    pub(super) read_requested: Notify,
    pub(super) stopped: watch::Sender<bool>,
    /// Silence after which a stream sends a comment.
    pub(super) ping: Duration,
}

impl Topics {
    pub(super) fn new(ping: Duration) -> Self {
        Self {
            by_id: Mutex::default(),
            read_requested: Notify::new(),
            stopped: watch::Sender::new(false),
            ping,
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Uuid, Arc<Topic>>> {
        self.by_id.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn get(&self, job_id: Uuid) -> Option<Arc<Topic>> {
        self.lock().get(&job_id).cloned()
    }

    pub(super) fn get_or_create(&self, job_id: Uuid) -> Arc<Topic> {
        Arc::clone(self.lock().entry(job_id).or_insert_with(|| Arc::new(Topic::new(job_id))))
    }

    pub(super) fn all(&self) -> Vec<Arc<Topic>> {
        self.lock().values().cloned().collect()
    }

    pub(super) fn remove(&self, job_id: Uuid) {
        self.lock().remove(&job_id);
    }

    /// Removes the topics that no client watches any more.
    pub(super) fn remove_unwatched(&self) {
        self.lock().retain(|_, topic| Arc::strong_count(topic) > 1);
    }
}

/// Waits until the hub is stopped.
pub(super) async fn wait_for_stop(stopped: &mut watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stopped| *stopped).await; // an error means that the hub was dropped: stopped as well
}
