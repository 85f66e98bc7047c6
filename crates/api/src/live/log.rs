//! What is known of one export that is watched: its states in their order, and its newest snapshot. What a client that
//! has come so far gets next follows from this alone, however slow the client is.
//!
//! Every state has a number. A snapshot shows one of them. Between two snapshots a client gets the states that neither
//! shows, as events of their own; of snapshots it gets the newest only.

use std::collections::VecDeque;
use std::sync::Arc;

use actix_web::web::Bytes;
use dce_core::export::state::ExportStatus;
use dce_core::notifications::ExportChange;

use super::event::{self, EventId};
use crate::representation::Representation;

/// States that are kept for clients that lag behind.
const STATES_KEPT: usize = 256;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct State {
    number: u64,
    version: i64,
    status: ExportStatus,
}

#[derive(Debug)]
struct Snapshot {
    /// Of the state that it shows.
    number: u64,
    /// Counts snapshots.
    serial: u64,
    of: Representation,
    event: Bytes,
}

/// What became of a snapshot that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Offered {
    /// It is the newest one now.
    Taken,
    /// Clients have it already.
    Unchanged,
    /// It shows a state after one that nobody was told of yet; it waits for the notices that are on their way.
    Held,
    /// A later state is known: it is to be read again.
    Stale,
}

/// States and newest snapshot of one export.
#[derive(Debug, Default)]
pub(super) struct Log {
    states: VecDeque<State>,
    newest: Option<Arc<Snapshot>>,
    held: Option<Representation>,
    gone: bool,
}

/// How far a client has come; by default it has got nothing yet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Place {
    number: u64,
    serial: u64,
    id: Option<EventId>,
}

/// What a client gets next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Next {
    /// Its id; `None` where it would not be higher than the one before: what has changed is neither a version nor bytes.
    pub(super) id: Option<EventId>,
    /// The event without its id.
    pub(super) event: Bytes,
    /// Whether the export has ended with this, and the stream with it.
    pub(super) is_last: bool,
}

impl Log {
    /// Notes a change that was announced; those that are known already, and those before the first that is known, are
    /// nothing new. Whether it is new.
    pub(super) fn hear(&mut self, change: &ExportChange) -> bool {
        let is_new = self.states.back().is_none_or(|last| {
            change.version > last.version || (change.version == last.version && change.status != last.status)
        });
        if is_new {
            self.push(change.version, change.status);
        }
        is_new
    }

    fn push(&mut self, version: i64, status: ExportStatus) -> u64 {
        let number = self.states.back().map_or(0, |last| last.number) + 1;
        self.states.push_back(State { number, version, status });
        if self.states.len() > STATES_KEPT {
            self.states.pop_front();
        }
        number
    }

    /// Takes a snapshot that was read after everything that was heard so far. `may_wait`: notices arrive, so that one which
    /// has run ahead of them can wait for those in between. `anew`: it is sent even if nothing has changed.
    pub(super) fn offer(&mut self, snapshot: Representation, may_wait: bool, anew: bool) -> Offered {
        let shown = |state: &&State| state.version == snapshot.version && state.status == snapshot.status;
        let known = self.states.iter().rev().find(shown).map(|state| state.number);
        let number = match (known, self.states.back()) {
            (Some(number), _) => number,
            (None, Some(last)) if snapshot.version < last.version => return Offered::Stale,
            (None, Some(last)) if may_wait && snapshot.version > last.version + 1 => {
                self.held = Some(snapshot);
                return Offered::Held;
            }
            (None, _) => self.push(snapshot.version, snapshot.status),
        };
        self.held = None;
        let serial = match &self.newest {
            Some(newest) if number < newest.number => return Offered::Stale,
            Some(newest) if !anew && number == newest.number && snapshot.etag == newest.of.etag => {
                return Offered::Unchanged;
            }
            Some(newest) => newest.serial + 1,
            None => 1,
        };
        let event = event::snapshot(&snapshot);
        self.newest = Some(Arc::new(Snapshot { number, serial, of: snapshot, event }));
        Offered::Taken
    }

    /// The snapshot that waits, if all notices before it have come, or if they are `late`, to be offered again.
    pub(super) fn release(&mut self, late: bool) -> Option<Representation> {
        let last = self.states.back()?.version;
        self.held.take_if(|held| late || held.version <= last + 1)
    }

    /// Whether a state is known that no snapshot shows, and none is waiting to.
    pub(super) fn is_behind(&self) -> bool {
        let last = self.states.back().map_or(0, |state| state.number);
        self.held.is_none() && self.newest.as_ref().is_none_or(|newest| newest.number < last)
    }

    /// The newest snapshot.
    pub(super) fn newest(&self) -> Option<&Representation> {
        self.newest.as_ref().map(|newest| &newest.of)
    }

    /// The export was deleted.
    pub(super) fn end(&mut self) {
        self.gone = true;
    }

    /// Whether the export was deleted.
    pub(super) fn is_gone(&self) -> bool {
        self.gone
    }

    /// What a client at this place gets next, if there is anything; moves it there. First of all the newest snapshot.
    pub(super) fn next(&self, place: &mut Place) -> Option<Next> {
        let newest = self.newest.as_ref()?;
        let is_missed = |state: &&State| state.number > place.number && state.number < newest.number;
        if place.serial > 0
            && let Some(state) = self.states.iter().find(is_missed)
        {
            place.number = state.number;
            let bytes_read = place.id.map_or(0, |id| id.bytes_read);
            return Some(Next {
                id: place.rise(EventId { version: state.version, bytes_read }),
                event: event::state(newest.of.job_id, state.version, state.status),
                is_last: false,
            });
        }
        if newest.serial == place.serial {
            return None;
        }
        (place.number, place.serial) = (newest.number, newest.serial);
        Some(Next {
            id: place.rise(EventId { version: newest.of.version, bytes_read: newest.of.bytes_read }),
            event: newest.event.clone(),
            is_last: newest.of.status.is_final(),
        })
    }
}

impl Place {
    fn rise(&mut self, id: EventId) -> Option<EventId> {
        let rises = self.id.is_none_or(|last| id > last);
        rises.then(|| *self.id.insert(id))
    }
}

#[cfg(test)]
mod tests;
