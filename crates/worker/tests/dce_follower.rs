//! Following files that another thread writes as DCE does.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::fs::{self, File};
use std::io::Write;
use std::time::{Duration, Instant};

use dce_worker::dce::{ExitFlag, Follower, Parts};
use dce_worker::ingest::read::source::{Chunk, Source as _};

/// Every test ends within this or fails.
const BOUND: Duration = Duration::from_secs(60);

/// Reads until the end: the bytes of each part.
fn follow(parts: &Parts, exited: &ExitFlag, buffer: usize) -> Vec<Vec<u8>> {
    let mut follower = Follower::new(parts.clone(), exited.clone());
    let (mut done, mut current, mut buffer) = (Vec::new(), Vec::new(), vec![0; buffer]);
    let deadline = Instant::now() + BOUND;
    loop {
        assert!(Instant::now() < deadline, "the end was never reached");
        match follower.read(&mut buffer).unwrap() {
            Chunk::Data(read) => current.extend_from_slice(&buffer[..read]),
            Chunk::EndOfPart { part } => {
                assert_eq!(part as usize, done.len() + 1);
                done.push(std::mem::take(&mut current));
                parts.delete(part).unwrap();
            }
            // At once: the more looks, the more of them fall between two steps of the writer.
            Chunk::Idle => {}
            Chunk::End => break,
        }
    }
    assert!(current.is_empty(), "a part has no end");
    assert_eq!(follower.bytes_read(), done.iter().map(|part| part.len() as u64).sum::<u64>());
    done
}

/// Writes each part in pieces, closes it, goes on to the next.
fn write(parts: &Parts, content: &[Vec<u8>], piece: usize) {
    for (part, bytes) in (1..).zip(content) {
        let mut file = File::create(parts.path(part)).unwrap();
        for piece in bytes.chunks(piece) {
            file.write_all(piece).unwrap();
        }
    }
}

/// So many parts of about this length; no two neighbours are alike.
fn content(parts: usize, length: usize) -> Vec<Vec<u8>> {
    (0..parts).map(|part| (0..=250).cycle().skip(part % 251).take(length + part % 7).collect()).collect()
}

/// Writes and follows at once.
fn race(expected: &[Vec<u8>], piece: usize, buffer: usize) {
    let folder = tempfile::tempdir().unwrap();
    let (parts, exited) = (Parts::new(folder.path().to_owned()), ExitFlag::default());
    let found = std::thread::scope(|scope| {
        scope.spawn(|| {
            write(&parts, expected, piece);
            exited.set();
        });
        follow(&parts, &exited, buffer)
    });
    assert!(found == expected, "bytes are missing");
    assert_eq!(parts.bytes_on_disk().unwrap(), 0, "committed parts are deleted");
}

#[test]
fn no_byte_is_missed_when_a_part_is_closed_between_two_looks() {
    race(&content(2000, 40), 20, 64);
}

#[test]
fn no_byte_is_missed_when_the_process_ends_between_two_looks() {
    for round in 0..1500 {
        race(&content(round % 3, 40), 20, 64);
    }
}

#[test]
fn a_process_that_writes_nothing_has_no_parts() {
    let folder = tempfile::tempdir().unwrap();
    let (parts, exited) = (Parts::new(folder.path().to_owned()), ExitFlag::default());
    let mut follower = Follower::new(parts, exited.clone());
    let mut buffer = [0; 8];
    assert_eq!(follower.read(&mut buffer).unwrap(), Chunk::Idle);
    exited.set();
    assert_eq!(follower.read(&mut buffer).unwrap(), Chunk::End);
    assert_eq!(follower.read(&mut buffer).unwrap(), Chunk::End);
    assert_eq!(follower.bytes_read(), 0);
}

#[test]
fn a_part_ends_when_the_next_exists_or_the_process_has_ended() {
    let folder = tempfile::tempdir().unwrap();
    let (parts, exited) = (Parts::new(folder.path().to_owned()), ExitFlag::default());
    let mut follower = Follower::new(parts.clone(), exited.clone());
    let mut buffer = [0; 8];
    let mut first = File::create(parts.path(1)).unwrap();
    assert_eq!(follower.read(&mut buffer).unwrap(), Chunk::Idle);
    first.write_all(b"abc").unwrap();
    assert_eq!(follower.read(&mut buffer).unwrap(), Chunk::Data(3));
    assert_eq!(follower.read(&mut buffer).unwrap(), Chunk::Idle);

    // Written between two looks, then closed: read before the end is told.
    first.write_all(b"de").unwrap();
    fs::write(parts.path(2), b"").unwrap();
    assert_eq!(follower.read(&mut buffer).unwrap(), Chunk::Data(2));
    assert_eq!(follower.read(&mut buffer).unwrap(), Chunk::EndOfPart { part: 1 });
    assert_eq!(follower.read(&mut buffer).unwrap(), Chunk::Idle);

    fs::write(parts.path(2), b"f").unwrap();
    exited.set();
    assert_eq!(follower.read(&mut buffer).unwrap(), Chunk::Data(1));
    assert_eq!(follower.read(&mut buffer).unwrap(), Chunk::EndOfPart { part: 2 });
    assert_eq!(follower.read(&mut buffer).unwrap(), Chunk::End);
}

#[test]
fn an_empty_buffer_is_refused_instead_of_looking_like_an_end() {
    let folder = tempfile::tempdir().unwrap();
    let parts = Parts::new(folder.path().to_owned());
    fs::write(parts.path(1), b"abc").unwrap();
    let exited = ExitFlag::default();
    exited.set();
    assert!(Follower::new(parts, exited).read(&mut []).is_err());
}

#[test]
fn only_parts_count_as_output_and_deleting_twice_is_fine() {
    let folder = tempfile::tempdir().unwrap();
    let parts = Parts::new(folder.path().to_owned());
    fs::write(parts.path(1), b"12345").unwrap();
    fs::write(parts.path(3), b"123").unwrap();
    fs::write(folder.path().join("core"), b"something else").unwrap();
    assert_eq!(parts.bytes_on_disk().unwrap(), 8);
    parts.delete(1).unwrap();
    parts.delete(1).unwrap();
    assert_eq!(parts.bytes_on_disk().unwrap(), 3);
}

#[test]
fn a_folder_that_somebody_deletes_is_no_end() {
    let folder = tempfile::tempdir().unwrap();
    let (parts, exited) = (Parts::new(folder.path().to_owned()), ExitFlag::default());
    write(&parts, &content(3, 10), 10);
    exited.set();
    let mut follower = Follower::new(parts.clone(), exited);
    let mut buffer = [0; 64];
    assert!(matches!(follower.read(&mut buffer).unwrap(), Chunk::Data(_)));
    assert_eq!(follower.read(&mut buffer).unwrap(), Chunk::EndOfPart { part: 1 });
    // The next part was seen, the folder still stands.
    fs::remove_file(parts.path(2)).unwrap();
    assert_eq!(follower.read(&mut buffer).unwrap_err().kind(), std::io::ErrorKind::NotFound);

    let exited = ExitFlag::default();
    exited.set();
    let gone = Parts::new(folder.path().join("gone"));
    let nothing = Follower::new(gone, exited).read(&mut buffer);
    assert_eq!(nothing.unwrap_err().kind(), std::io::ErrorKind::NotFound);
}
