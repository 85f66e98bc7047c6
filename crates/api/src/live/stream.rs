//! The event stream of one client.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use actix_web::web::Bytes;
use futures_util::stream::{Stream, unfold};
use tokio::sync::watch;
use tokio::time::sleep;

use super::event;
use super::history::{ClientPosition, NextEvent};
use super::topic::{Topic, wait_for_stop};

/// Sends the newest snapshot at once, then every change, up to the snapshot of the export's final state. Ends early when the
/// process stops.
#[derive(Debug)]
pub struct EventStream {
    topic: Arc<Topic>,
    changed: watch::Receiver<()>,
    stopped: watch::Receiver<bool>,
    position: ClientPosition,
    /// Silence after which a comment is sent.
    ping: Duration,
    /// Pending parts, the last one first.
    parts: Vec<Bytes>,
    is_over: bool,
}

impl EventStream {
    /// Starts with this event, after which the client is at this position.
    pub(super) fn new(
        topic: Arc<Topic>,
        stopped: watch::Receiver<bool>,
        ping: Duration,
        (first, position): (NextEvent, ClientPosition),
    ) -> Self {
        let changed = topic.subscribe();
        let mut this = Self { topic, changed, stopped, position, ping, parts: Vec::new(), is_over: false };
        this.push(first);
        this.parts.push(event::opening());
        this
    }

    /// The body of the response.
    pub fn into_body(self) -> impl Stream<Item = Result<Bytes, Infallible>> {
        unfold(self, async |mut events| events.next().await.map(|bytes| (Ok(bytes), events)))
    }

    fn push(&mut self, next: NextEvent) {
        self.parts.push(next.event);
        self.parts.extend(next.id.map(event::id));
        self.is_over = next.is_last;
    }

    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(part) = self.parts.pop() {
                return Some(part);
            }
            if self.is_over || *self.stopped.borrow() || self.topic.history().is_deleted() {
                return None;
            }
            self.changed.mark_unchanged(); // a later change wakes the select below
            if let Some(next) = self.topic.next(&mut self.position) {
                self.push(next);
                continue;
            }
            tokio::select! {
                () = wait_for_stop(&mut self.stopped) => return None,
                changed = self.changed.changed() => changed.ok()?,
                () = sleep(self.ping) => return Some(event::PING),
            }
        }
    }
}
