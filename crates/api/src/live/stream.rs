//! The events of one client.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use actix_web::web::Bytes;
use futures_util::stream::{Stream, unfold};
use tokio::sync::watch;
use tokio::time::sleep;

use super::event;
use super::hub::{Topic, raised};
use super::log::{Next, Place};

/// What one client gets: the newest snapshot at once, then whatever changes, up to the snapshot of the export's end. Ends
/// early when the process stops.
#[derive(Debug)]
pub struct Events {
    topic: Arc<Topic>,
    changed: watch::Receiver<()>,
    stopped: watch::Receiver<bool>,
    place: Place,
    /// Silence after which a comment is sent.
    ping: Duration,
    /// What is to be sent next, the last one first.
    parts: Vec<Bytes>,
    is_over: bool,
}

impl Events {
    /// From this first event on, which has brought the client to this place.
    pub(super) fn new(
        topic: Arc<Topic>,
        stopped: watch::Receiver<bool>,
        ping: Duration,
        (first, place): (Next, Place),
    ) -> Self {
        let changed = topic.changed();
        let mut this = Self { topic, changed, stopped, place, ping, parts: Vec::new(), is_over: false };
        this.take(first);
        this.parts.push(event::opening());
        this
    }

    /// As the body of an answer.
    pub fn into_stream(self) -> impl Stream<Item = Result<Bytes, Infallible>> {
        unfold(self, async |mut events| events.next().await.map(|bytes| (Ok(bytes), events)))
    }

    fn take(&mut self, next: Next) {
        self.parts.push(next.event);
        self.parts.extend(next.id.map(event::id));
        self.is_over = next.is_last;
    }

    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(part) = self.parts.pop() {
                return Some(part);
            }
            if self.is_over || *self.stopped.borrow() || self.topic.is_gone() {
                return None;
            }
            self.changed.mark_unchanged(); // what comes from here on is looked for
            if let Some(next) = self.topic.next(&mut self.place) {
                self.take(next);
                continue;
            }
            tokio::select! {
                () = raised(&mut self.stopped) => return None,
                changed = self.changed.changed() => changed.ok()?,
                () = sleep(self.ping) => return Some(event::PING),
            }
        }
    }
}
