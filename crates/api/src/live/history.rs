//! The states of one watched export in order, and its newest snapshot. Decides each client's next event, however slow the
//! client is. No IO.
//!
//! Every state has a number, and a snapshot shows one state. Between two snapshots a client receives the states that neither
//! of them shows, each as an event of its own. Of several snapshots it receives only the newest.

use std::collections::VecDeque;
use std::sync::Arc;

use actix_web::web::Bytes;
use dce_core::export::state::ExportStatus;
use dce_core::notifications::ExportChange;

use super::event::{self, EventId};
use crate::rendered_export::RenderedExport;

/// Number of states kept for clients that lag behind.
const STATES_KEPT: usize = 256;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct State {
    number: u64,
    version: i64,
    status: ExportStatus,
}

#[derive(Debug)]
struct Snapshot {
    /// Number of the state that the snapshot shows.
    number: u64,
    /// Counts snapshots.
    serial: u64,
    export: RenderedExport,
    event: Bytes,
}

/// What the history did with a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SnapshotOutcome {
    /// It is now the newest one.
    Accepted,
    /// Clients have it already.
    Unchanged,
    /// It shows a state after ones that have not been announced yet, and waits for their notifications.
    Held,
    /// A later state is known: the export must be read again.
    Stale,
}

#[derive(Debug, Default)]
pub(super) struct History {
    states: VecDeque<State>,
    newest: Option<Arc<Snapshot>>,
    held: Option<RenderedExport>,
    is_deleted: bool,
}

/// How far a client has read; by default it has received nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct ClientPosition {
    number: u64,
    serial: u64,
    id: Option<EventId>,
}

/// The next event of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NextEvent {
    /// `None` if the id would not be higher than the previous one: neither version nor bytes have changed.
    pub(super) id: Option<EventId>,
    /// The event without its id.
    pub(super) event: Bytes,
    /// The export has ended with this event, and so does the stream.
    pub(super) is_last: bool,
}

impl History {
    /// Records an announced change. Returns whether it is new: changes that are known already, or precede the first known
    /// one, are not.
    pub(super) fn record(&mut self, change: &ExportChange) -> bool {
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

    /// Adds a snapshot that was read after all changes recorded so far. `may_wait`: notifications are arriving, so a snapshot
    /// that is ahead of them can wait for the ones in between. `force`: send the snapshot even if nothing has changed.
    pub(super) fn offer(&mut self, snapshot: RenderedExport, may_wait: bool, force: bool) -> SnapshotOutcome {
        let is_shown = |state: &&State| state.version == snapshot.version && state.status == snapshot.status;
        let known = self.states.iter().rev().find(is_shown).map(|state| state.number);
        let number = match (known, self.states.back()) {
            (Some(number), _) => number,
            (None, Some(last)) if snapshot.version < last.version => return SnapshotOutcome::Stale,
            (None, Some(last)) if may_wait && snapshot.version > last.version + 1 => {
                self.held = Some(snapshot);
                return SnapshotOutcome::Held;
            }
            (None, _) => self.push(snapshot.version, snapshot.status),
        };
        self.held = None;
        let serial = match &self.newest {
            Some(newest) if number < newest.number => return SnapshotOutcome::Stale,
            Some(newest) if !force && number == newest.number && snapshot.etag == newest.export.etag => {
                return SnapshotOutcome::Unchanged;
            }
            Some(newest) => newest.serial + 1,
            None => 1,
        };
        let event = event::snapshot(&snapshot);
        self.newest = Some(Arc::new(Snapshot { number, serial, export: snapshot, event }));
        SnapshotOutcome::Accepted
    }

    /// Returns the held snapshot, to be offered again, once all notifications before it have arrived or are overdue.
    pub(super) fn release(&mut self, is_overdue: bool) -> Option<RenderedExport> {
        let last = self.states.back()?.version;
        self.held.take_if(|held| is_overdue || held.version <= last + 1)
    }

    /// Whether the latest state is not shown by any snapshot, accepted or held.
    pub(super) fn is_behind(&self) -> bool {
        let last = self.states.back().map_or(0, |state| state.number);
        self.held.is_none() && self.newest.as_ref().is_none_or(|newest| newest.number < last)
    }

    pub(super) fn newest(&self) -> Option<&RenderedExport> {
        self.newest.as_ref().map(|newest| &newest.export)
    }

    pub(super) fn mark_deleted(&mut self) {
        self.is_deleted = true;
    }

    pub(super) fn is_deleted(&self) -> bool {
        self.is_deleted
    }

    /// Returns the next event of a client at this position, if there is one, and advances the position. A new client starts
    /// with the newest snapshot.
    pub(super) fn next(&self, position: &mut ClientPosition) -> Option<NextEvent> {
        let newest = self.newest.as_ref()?;
        let is_missed = |state: &&State| state.number > position.number && state.number < newest.number;
        if position.serial > 0
            && let Some(state) = self.states.iter().find(is_missed)
        {
            position.number = state.number;
            let bytes_read = position.id.map_or(0, |id| id.bytes_read);
            return Some(NextEvent {
                id: position.raise_id(EventId { version: state.version, bytes_read }),
                event: event::state(newest.export.job_id, state.version, state.status),
                is_last: false,
            });
        }
        if newest.serial == position.serial {
            return None;
        }
        (position.number, position.serial) = (newest.number, newest.serial);
        Some(NextEvent {
            id: position
                .raise_id(EventId { version: newest.export.version, bytes_read: newest.export.bytes_read }),
            event: newest.event.clone(),
            is_last: newest.export.status.is_final(),
        })
    }
}

impl ClientPosition {
    /// Sets the id and returns it if it is higher than the previous one.
    fn raise_id(&mut self, id: EventId) -> Option<EventId> {
        let is_higher = self.id.is_none_or(|last| id > last);
        is_higher.then(|| *self.id.insert(id))
    }
}

#[cfg(test)]
mod tests;
