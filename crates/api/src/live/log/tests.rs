use uuid::Uuid;

use super::*;
use dce_core::export::state::RunStatus::{Completed, Pending, Running};

fn change(version: i64, status: ExportStatus) -> ExportChange {
    ExportChange { job_id: Uuid::nil(), version, status }
}

fn read(version: i64, status: ExportStatus, bytes_read: i64) -> Representation {
    Representation {
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

/// What a client gets until there is no more: kind, status, id.
fn all(log: &Log, place: &mut Place) -> Vec<String> {
    std::iter::from_fn(|| log.next(place))
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
fn a_client_gets_the_newest_snapshot_then_each_change_once() {
    let mut log = Log::default();
    let mut place = Place::default();
    assert_eq!(log.offer(read(1, Pending, 0), true, false), Offered::Taken);
    assert_eq!(all(&log, &mut place), ["snapshot pending 1-0"]);
    assert!(!log.hear(&change(1, Pending)), "its own notice, late");
    assert!(log.hear(&change(2, Running)) && log.is_behind());
    assert_eq!(all(&log, &mut place), [""; 0], "its snapshot is on the way");
    assert_eq!(log.offer(read(2, Running, 0), true, false), Offered::Taken);
    assert_eq!(log.offer(read(2, Running, 0), true, false), Offered::Unchanged);
    assert_eq!(log.offer(read(2, Running, 70), true, false), Offered::Taken);
    assert_eq!(all(&log, &mut place), ["snapshot running 2-70"]);
    log.hear(&change(3, Completed));
    log.offer(read(3, Completed, 80), true, false);
    assert_eq!(all(&log, &mut place), ["snapshot completed 3-80 last"]);
    assert_eq!(all(&log, &mut Place::default()), ["snapshot completed 3-80 last"]);
}

#[test]
fn states_that_no_snapshot_shows_come_as_events_of_their_own() {
    let mut log = Log::default();
    let mut place = Place::default();
    log.offer(read(1, Pending, 0), true, false);
    all(&log, &mut place);
    for (version, status) in [(2, Running), (3, Pending), (4, Running), (5, Completed)] {
        log.hear(&change(version, status));
    }
    log.offer(read(5, Completed, 9), true, false);
    let expected =
        ["state running 2-0", "state pending 3-0", "state running 4-0", "snapshot completed 5-9 last"];
    assert_eq!(all(&log, &mut place), expected);
}

#[test]
fn a_client_that_lags_behind_misses_snapshots_but_no_state() {
    let mut log = Log::default();
    let mut slow = Place::default();
    log.offer(read(1, Pending, 0), true, false);
    all(&log, &mut slow);
    for (version, status) in [(2, Running), (3, Pending), (4, Running)] {
        log.hear(&change(version, status));
        log.offer(read(version, status, version * 10), true, false);
    }
    assert_eq!(all(&log, &mut slow), ["state running 2-0", "state pending 3-0", "snapshot running 4-40"]);
}

#[test]
fn a_snapshot_that_has_run_ahead_waits_for_the_states_in_between() {
    let mut log = Log::default();
    let mut place = Place::default();
    log.offer(read(1, Pending, 0), true, false);
    all(&log, &mut place);
    assert_eq!(log.offer(read(3, Pending, 5), true, false), Offered::Held);
    assert!(log.release(false).is_none() && !log.is_behind());
    log.hear(&change(2, Running));
    let held = log.release(false).unwrap();
    assert_eq!(log.offer(held, true, false), Offered::Taken);
    assert!(!log.hear(&change(3, Pending)), "shown already");
    assert_eq!(all(&log, &mut place), ["state running 2-0", "snapshot pending 3-5"]);

    // Where no notice comes any more it does not wait for ever.
    assert_eq!(log.offer(read(7, Running, 5), true, false), Offered::Held);
    let held = log.release(true).unwrap();
    assert_eq!(log.offer(held, false, false), Offered::Taken);
    assert_eq!(all(&log, &mut place), ["snapshot running 7-5"]);
}

#[test]
fn what_was_read_before_a_change_is_read_again() {
    let mut log = Log::default();
    log.hear(&change(4, Running));
    assert_eq!(log.offer(read(3, Pending, 0), true, false), Offered::Stale);
    assert!(log.is_behind() && log.next(&mut Place::default()).is_none());
    log.offer(read(4, Running, 0), true, false);
    assert_eq!(all(&log, &mut Place::default()), ["snapshot running 4-0"]);
}

#[test]
fn only_what_rises_has_an_id() {
    let mut log = Log::default();
    let mut place = Place::default();
    log.offer(read(1, Pending, 0), true, false);
    all(&log, &mut place);
    let waits = Representation { etag: "waits".into(), waiting: Some("no_worker"), ..read(1, Pending, 0) };
    assert_eq!(log.offer(waits.clone(), true, false), Offered::Taken);
    assert_eq!(all(&log, &mut place), ["snapshot pending none"]);
    assert_eq!(log.offer(waits, true, true), Offered::Taken, "asked for anew");
    assert_eq!(all(&log, &mut place), ["snapshot pending none"]);
    log.offer(read(1, Pending, 7), true, false);
    assert_eq!(all(&log, &mut place), ["snapshot pending 1-7"]);
}

#[test]
fn changes_of_status_without_a_new_version_are_changes() {
    let mut log = Log::default();
    let mut place = Place::default();
    log.offer(read(1, Pending, 0), true, false);
    all(&log, &mut place);
    log.hear(&change(1, Running));
    log.hear(&change(1, Completed));
    log.offer(read(1, Completed, 0), true, false);
    assert_eq!(all(&log, &mut place), ["state running none", "snapshot completed none last"]);
}

#[test]
fn no_more_than_a_bounded_number_of_states_is_kept() {
    let mut log = Log::default();
    let mut place = Place::default();
    log.offer(read(0, Pending, 0), true, false);
    all(&log, &mut place);
    for version in 1..=1000 {
        log.hear(&change(version, if version % 2 == 0 { Pending } else { Running }));
    }
    log.offer(read(1000, Pending, 0), true, false);
    assert_eq!(all(&log, &mut place).len(), STATES_KEPT);
}
