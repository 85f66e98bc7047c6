use uuid::Uuid;

use super::*;
use dce_core::export::state::RunStatus::{Completed, Pending, Running};

fn change(version: i64, status: ExportStatus) -> ExportChange {
    ExportChange { job_id: Uuid::nil(), version, status }
}

fn export(version: i64, status: ExportStatus, bytes_read: i64) -> RenderedExport {
    RenderedExport {
        json: format!("\"{version} {status} {bytes_read}\"").into(),
        etag: format!("{version}-{status}-{bytes_read}"),
        job_id: Uuid::nil(),
        status,
        version,
        bytes_read,
        message_count: 0,
        waiting: None,
        retry_after: None,
    }
}

/// All events that a client receives now: kind, status, id.
fn all(history: &History, position: &mut ClientPosition) -> Vec<String> {
    std::iter::from_fn(|| history.next(position))
        .map(|next| {
            let text = String::from_utf8(next.event.to_vec()).unwrap();
            let kind = text.strip_prefix("event: ").unwrap().split('\n').next().unwrap();
            let status =
                ["pending", "running", "completed"].into_iter().find(|word| text.contains(word)).unwrap();
            let last = if next.is_last { " last" } else { "" };
            format!(
                "{kind} {status} {}{last}",
                next.id.map_or_else(|| "none".to_owned(), |id| id.to_string())
            )
        })
        .collect()
}

#[test]
fn a_client_receives_the_newest_snapshot_then_each_change_once() {
    let mut history = History::default();
    let mut position = ClientPosition::default();
    assert_eq!(history.offer(export(1, Pending, 0), true, false), SnapshotOutcome::Accepted);
    assert_eq!(all(&history, &mut position), ["snapshot pending 1-0"]);
    assert!(!history.record(&change(1, Pending)), "its own notice, late");
    assert!(history.record(&change(2, Running)) && history.is_behind());
    assert_eq!(all(&history, &mut position), [""; 0], "its snapshot is on the way");
    assert_eq!(history.offer(export(2, Running, 0), true, false), SnapshotOutcome::Accepted);
    assert_eq!(history.offer(export(2, Running, 0), true, false), SnapshotOutcome::Unchanged);
    assert_eq!(history.offer(export(2, Running, 70), true, false), SnapshotOutcome::Accepted);
    assert_eq!(all(&history, &mut position), ["snapshot running 2-70"]);
    history.record(&change(3, Completed));
    history.offer(export(3, Completed, 80), true, false);
    assert_eq!(all(&history, &mut position), ["snapshot completed 3-80 last"]);
    assert_eq!(all(&history, &mut ClientPosition::default()), ["snapshot completed 3-80 last"]);
}

#[test]
fn states_without_a_snapshot_are_sent_as_events_of_their_own() {
    let mut history = History::default();
    let mut position = ClientPosition::default();
    history.offer(export(1, Pending, 0), true, false);
    all(&history, &mut position);
    for (version, status) in [(2, Running), (3, Pending), (4, Running), (5, Completed)] {
        history.record(&change(version, status));
    }
    history.offer(export(5, Completed, 9), true, false);
    let expected =
        ["state running 2-0", "state pending 3-0", "state running 4-0", "snapshot completed 5-9 last"];
    assert_eq!(all(&history, &mut position), expected);
}

#[test]
fn a_client_that_lags_behind_misses_snapshots_but_no_state() {
    let mut history = History::default();
    let mut slow = ClientPosition::default();
    history.offer(export(1, Pending, 0), true, false);
    all(&history, &mut slow);
    for (version, status) in [(2, Running), (3, Pending), (4, Running)] {
        history.record(&change(version, status));
        history.offer(export(version, status, version * 10), true, false);
    }
    assert_eq!(all(&history, &mut slow), ["state running 2-0", "state pending 3-0", "snapshot running 4-40"]);
}

#[test]
fn a_snapshot_ahead_of_the_notifications_waits_for_the_states_in_between() {
    let mut history = History::default();
    let mut position = ClientPosition::default();
    history.offer(export(1, Pending, 0), true, false);
    all(&history, &mut position);
    assert_eq!(history.offer(export(3, Pending, 5), true, false), SnapshotOutcome::Held);
    assert!(history.release(false).is_none() && !history.is_behind());
    history.record(&change(2, Running));
    let held = history.release(false).unwrap();
    assert_eq!(history.offer(held, true, false), SnapshotOutcome::Accepted);
    assert!(!history.record(&change(3, Pending)), "shown already");
    assert_eq!(all(&history, &mut position), ["state running 2-0", "snapshot pending 3-5"]);

    // Without further notifications it does not wait for ever.
    assert_eq!(history.offer(export(7, Running, 5), true, false), SnapshotOutcome::Held);
    let held = history.release(true).unwrap();
    assert_eq!(history.offer(held, false, false), SnapshotOutcome::Accepted);
    assert_eq!(all(&history, &mut position), ["snapshot running 7-5"]);
}

#[test]
fn a_snapshot_older_than_a_known_change_is_read_again() {
    let mut history = History::default();
    history.record(&change(4, Running));
    assert_eq!(history.offer(export(3, Pending, 0), true, false), SnapshotOutcome::Stale);
    assert!(history.is_behind() && history.next(&mut ClientPosition::default()).is_none());
    history.offer(export(4, Running, 0), true, false);
    assert_eq!(all(&history, &mut ClientPosition::default()), ["snapshot running 4-0"]);
}

#[test]
fn only_events_with_a_higher_id_have_one() {
    let mut history = History::default();
    let mut position = ClientPosition::default();
    history.offer(export(1, Pending, 0), true, false);
    all(&history, &mut position);
    let waits = RenderedExport { etag: "waits".into(), waiting: Some("no_worker"), ..export(1, Pending, 0) };
    assert_eq!(history.offer(waits.clone(), true, false), SnapshotOutcome::Accepted);
    assert_eq!(all(&history, &mut position), ["snapshot pending none"]);
    assert_eq!(history.offer(waits, true, true), SnapshotOutcome::Accepted, "asked for anew");
    assert_eq!(all(&history, &mut position), ["snapshot pending none"]);
    history.offer(export(1, Pending, 7), true, false);
    assert_eq!(all(&history, &mut position), ["snapshot pending 1-7"]);
}

#[test]
fn a_change_of_status_without_a_new_version_is_a_change() {
    let mut history = History::default();
    let mut position = ClientPosition::default();
    history.offer(export(1, Pending, 0), true, false);
    all(&history, &mut position);
    history.record(&change(1, Running));
    history.record(&change(1, Completed));
    history.offer(export(1, Completed, 0), true, false);
    assert_eq!(all(&history, &mut position), ["state running none", "snapshot completed none last"]);
}

#[test]
fn a_bounded_number_of_states_is_kept() {
    let mut history = History::default();
    let mut position = ClientPosition::default();
    history.offer(export(0, Pending, 0), true, false);
    all(&history, &mut position);
    for version in 1..=1000 {
        history.record(&change(version, if version % 2 == 0 { Pending } else { Running }));
    }
    history.offer(export(1000, Pending, 0), true, false);
    assert_eq!(all(&history, &mut position).len(), STATES_KEPT);
}
