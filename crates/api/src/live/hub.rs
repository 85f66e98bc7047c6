//! Which exports are watched, and the task that keeps what is known of them up to date.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dce_core::db::{DatabaseUrl, PgPool};
use dce_core::notifications::ExportChange;
use dce_core::store::reading::blockers::ServiceState;
use dce_core::store::reading::change_token::{self, ChangeToken};
use dce_core::store::reading::export;
use dce_core::store::{self, ANSWER_LIMIT, StoreError};
use futures_util::{StreamExt, stream};
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};
use uuid::Uuid;

use super::event::EventId;
use super::listener::{Heard, listen};
use super::log::{Log, Next, Offered, Place};
use super::stream::Events;
use crate::problem::Problem;
use crate::representation::Representation;

/// Pause between two looks at what all watched exports have reached.
const LOOK: Duration = Duration::from_secs(1);
/// Exports that are read at once: the sessions are the requests' as well.
const READS: usize = 2;
/// Looks at what was read after which a client takes what there is.
const LOOKS_FOR_KNOWN: u32 = 3;
/// Notices that wait while exports are read; more of them wait in the session.
const NOTICES: usize = 1024;

/// One export that is watched.
#[derive(Debug)]
pub(super) struct Topic {
    job_id: Uuid,
    log: Mutex<Log>,
    changed: watch::Sender<()>,
    /// Whether it is to be read although nothing was heard.
    is_due: AtomicBool,
    /// Whether what is read then is sent even if it has not changed.
    is_renewed: AtomicBool,
}

impl Topic {
    fn new(job_id: Uuid) -> Self {
        Self {
            job_id,
            log: Mutex::default(),
            changed: watch::Sender::default(),
            is_due: AtomicBool::new(true),
            is_renewed: AtomicBool::new(false),
        }
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        // Whoever panicked in between has left a log that is whole.
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn changed(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    pub(super) fn is_gone(&self) -> bool {
        self.log().is_gone()
    }

    pub(super) fn next(&self, place: &mut Place) -> Option<Next> {
        self.log().next(place)
    }

    /// The first event of a client that knows the export to be as far as this; `None`: nobody has read it since.
    fn first(&self, known: Option<EventId>) -> Option<(Next, Place)> {
        let log = self.log();
        let newest = log.newest()?;
        let id = EventId { version: newest.version, bytes_read: newest.bytes_read };
        let mut place = Place::default();
        known
            .is_none_or(|known| id >= known)
            .then(|| log.next(&mut place))
            .flatten()
            .map(|next| (next, place))
    }

    fn offer(&self, snapshot: Representation, may_wait: bool) {
        let renewed = self.is_renewed.swap(false, Ordering::Relaxed);
        match self.log().offer(snapshot, may_wait, renewed) {
            Offered::Taken | Offered::Unchanged => {}
            // Not sent: what was to be renewed still is.
            Offered::Held => self.is_renewed.store(renewed, Ordering::Relaxed),
            Offered::Stale => {
                self.is_renewed.store(renewed, Ordering::Relaxed);
                self.is_due.store(true, Ordering::Relaxed);
            }
        }
        // Also those who wait for a first event that is as new as what they know.
        self.changed.send_replace(());
    }
}

#[derive(Debug)]
struct Shared {
    topics: Mutex<HashMap<Uuid, Arc<Topic>>>,
    /// An export is to be read.
    due: Notify,
    stopped: watch::Sender<bool>,
    ping: Duration,
}

impl Shared {
    fn topics(&self) -> MutexGuard<'_, HashMap<Uuid, Arc<Topic>>> {
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits until the hub is stopped.
pub(super) async fn raised(stopped: &mut watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stopped| *stopped).await; // dropped, the hub is no more, either
}

/// Where clients come to watch exports. Clones are the same hub.
#[derive(Debug, Clone)]
pub struct Hub(Arc<Shared>);

impl Hub {
    /// A hub, and the task that it needs. `ping`: silence after which a stream carries a comment.
    pub fn new(pool: PgPool, url: DatabaseUrl, ping: Duration) -> (Self, Watcher) {
        let shared = Arc::new(Shared {
            topics: Mutex::default(),
            due: Notify::new(),
            stopped: watch::Sender::new(false),
            ping,
        });
        (Self(Arc::clone(&shared)), Watcher { shared, pool, url, ear: Ear::Unopened })
    }

    /// The events of an export that the caller knows to be as far as `known`, from a snapshot that is no older.
    ///
    /// # Errors
    /// `database_unavailable` if the export cannot be read in time. `None`: it is not there any more.
    pub async fn subscribe(&self, job_id: Uuid, known: EventId) -> Result<Option<Events>, Problem> {
        let topic = Arc::clone(self.0.topics().entry(job_id).or_insert_with(|| Arc::new(Topic::new(job_id))));
        let mut changed = topic.changed();
        let mut stopped = self.0.stopped.subscribe();
        let first = async {
            for look in 0.. {
                changed.mark_unchanged();
                if topic.is_gone() || *stopped.borrow() {
                    return None;
                }
                // What was read since is new enough, even if it says something else.
                let known = Some(known).filter(|_| look < LOOKS_FOR_KNOWN);
                if let Some(first) = topic.first(known) {
                    return Some(first);
                }
                topic.is_due.store(true, Ordering::Relaxed);
                self.0.due.notify_one();
                tokio::select! {
                    _ = changed.changed() => {}
                    () = raised(&mut stopped) => {}
                }
            }
            None
        };
        let first = timeout(ANSWER_LIMIT, first).await.map_err(|_| StoreError::TimedOut(ANSWER_LIMIT))?;
        Ok(first.map(|first| Events::new(topic, self.0.stopped.subscribe(), self.0.ping, first)))
    }

    /// Ends all streams, and the task.
    pub fn stop(&self) {
        self.0.stopped.send_replace(true);
    }
}

/// Whether changes are heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ear {
    /// Nobody has watched anything yet.
    Unopened,
    /// The first session is being opened: what is read before would be missing what changes meanwhile.
    Opening,
    Open,
    /// The session is lost: changes are only seen by looking.
    Closed,
}

/// The task of a hub.
#[derive(Debug)]
pub struct Watcher {
    shared: Arc<Shared>,
    pool: PgPool,
    url: DatabaseUrl,
    ear: Ear,
}

impl Watcher {
    /// Works until the hub is stopped.
    pub async fn run(mut self) {
        let (sender, mut notices) = mpsc::channel(NOTICES);
        let mut listeners = JoinSet::new(); // ends with this task
        let mut heard = Vec::new();
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let shared = Arc::clone(&self.shared);
        let mut stopped = shared.stopped.subscribe();
        loop {
            tokio::select! {
                () = raised(&mut stopped) => return,
                () = shared.due.notified() => {
                    if self.ear == Ear::Unopened {
                        self.ear = Ear::Opening;
                        listeners.spawn(listen(self.url.clone(), sender.clone()));
                    }
                }
                _ = notices.recv_many(&mut heard, NOTICES) => {
                    for heard in heard.drain(..) {
                        self.take(&heard);
                    }
                }
                _ = look.tick() => self.look().await,
            }
            if self.ear != Ear::Opening {
                self.read().await;
            }
        }
    }

    fn take(&mut self, heard: &Heard) {
        match heard {
            Heard::Change(change) => self.hear(change),
            Heard::Open => {
                // After a loss everybody gets a fresh snapshot, whatever was missed.
                let renew = self.ear == Ear::Closed;
                self.ear = Ear::Open;
                for topic in self.shared.topics().values() {
                    topic.is_renewed.fetch_or(renew, Ordering::Relaxed);
                    topic.is_due.store(true, Ordering::Relaxed);
                }
                tracing::debug!("events.listening");
            }
            Heard::Closed => self.ear = Ear::Closed,
        }
    }

    fn hear(&self, change: &ExportChange) {
        let Some(topic) = self.shared.topics().get(&change.job_id).cloned() else { return };
        let released = {
            let mut log = topic.log();
            log.hear(change);
            log.release(false)
        };
        if let Some(snapshot) = released {
            topic.offer(snapshot, true);
        }
    }

    /// Asks what all watched exports have reached, and has those read that have changed. Forgets those that nobody
    /// watches any more.
    async fn look(&self) {
        let topics: Vec<Arc<Topic>> = {
            let mut topics = self.shared.topics();
            topics.retain(|_, topic| Arc::strong_count(topic) > 1);
            topics.values().cloned().collect()
        };
        if topics.is_empty() {
            return;
        }
        for topic in &topics {
            let late = topic.log().release(true);
            if let Some(snapshot) = late {
                topic.offer(snapshot, false);
            }
        }
        let looked = store::in_time(async {
            let job_ids: Vec<Uuid> = topics.iter().map(|topic| topic.job_id).collect();
            let pulses = change_token::read(&self.pool, &job_ids).await?;
            let blocker = if pulses.iter().any(|pulse| pulse.any_due) {
                ServiceState::read(&self.pool).await?.blocker().map(|blocker| blocker.code)
            } else {
                None
            };
            Ok((pulses, blocker))
        });
        let (pulses, blocker) = match looked.await {
            Ok(looked) => looked,
            Err(error) => return tracing::debug!(error = %error, "events.look_failed"),
        };
        let pulses: HashMap<Uuid, ChangeToken> =
            pulses.into_iter().map(|pulse| (pulse.job_id, pulse)).collect();
        for topic in topics {
            let pulse = pulses.get(&topic.job_id);
            if !topic.log().newest().is_some_and(|newest| is_still(newest, pulse, blocker)) {
                topic.is_due.store(true, Ordering::Relaxed);
            }
        }
    }

    /// Reads what is to be read. What fails is tried again after the next look.
    async fn read(&self) {
        let due: Vec<Arc<Topic>> = {
            let topics = self.shared.topics();
            let is_due =
                |topic: &&Arc<Topic>| topic.is_due.swap(false, Ordering::Relaxed) || topic.log().is_behind();
            topics.values().filter(is_due).cloned().collect()
        };
        stream::iter(due).for_each_concurrent(READS, |topic| self.read_one(topic)).await;
    }

    async fn read_one(&self, topic: Arc<Topic>) {
        let export = Box::pin(export::find(&self.pool, topic.job_id)); // large
        match store::in_time(export).await {
            Ok(Some(export)) => match Representation::of(export) {
                Ok(snapshot) => topic.offer(snapshot, self.ear == Ear::Open),
                Err(error) => tracing::error!(error = %error, job_id = %topic.job_id, "events.unreadable"),
            },
            Ok(None) => {
                topic.log().end();
                self.shared.topics().remove(&topic.job_id);
                topic.changed.send_replace(());
            }
            Err(error) => tracing::debug!(error = %error, job_id = %topic.job_id, "events.read_failed"),
        }
    }
}

/// Whether the export is as the snapshot shows it; `blocker`: what due runs wait for.
fn is_still(newest: &Representation, pulse: Option<&ChangeToken>, blocker: Option<&'static str>) -> bool {
    pulse.is_some_and(|pulse| {
        newest.version == pulse.version
            && newest.status.as_str() == pulse.status
            && newest.bytes_read == pulse.bytes_read
            && newest.message_count == pulse.message_count
            && newest.waiting == blocker.filter(|_| pulse.any_due)
    })
}
