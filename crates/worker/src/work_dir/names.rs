//! Names of folders and locks under `WORK_DIR`.

use std::fs;
use std::io;
use std::path::Path;

use ulid::Ulid;
use uuid::Uuid;

/// The name of an attempt's folder.
pub fn attempt_name(run_id: Uuid, attempt: i32) -> String {
    format!("{}-{attempt}", run_id.simple())
}

/// Whether [`attempt_name`] makes such a name.
pub(super) fn is_attempt_name(name: &str) -> bool {
    name.split_once('-').is_some_and(|(run_id, attempt)| {
        run_id.len() == 32
            && run_id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
            && !attempt.is_empty()
            && attempt.bytes().all(|b| b.is_ascii_digit())
    })
}

/// Whether the name is `{host}-{ULID}`; the host may be empty.
pub(super) fn is_worker_id(name: &str) -> bool {
    name.rsplit_once('-').is_some_and(|(host, id)| {
        // The parser also accepts other spellings of a ULID.
        !host.contains('/') && Ulid::from_string(id).is_ok_and(|ulid| ulid.to_string() == id)
    })
}

/// The names of the entries of a folder. A name that is not UTF-8 is changed to one that no worker makes.
pub(super) fn entry_names(folder: &Path) -> io::Result<Vec<String>> {
    fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_workers_make_are_recognised() {
        for id in ["web-1-01KAXJ0Q7S8Z9V5T2M4N6P8R0A", "-01KAXJ0Q7S8Z9V5T2M4N6P8R0A"] {
            assert!(is_worker_id(id), "{id}");
        }
        for other in [
            "01KAXJ0Q7S8Z9V5T2M4N6P8R0A",
            "web-01kaxj0q7s8z9v5t2m4n6p8r0a",
            "web-01KAXJ0Q7S8Z9V5T2M4N6P8R0",
            "web-01KAXJ0Q7S8Z9V5T2M4N6P8R0A.bak",
            "../web-01KAXJ0Q7S8Z9V5T2M4N6P8R0A",
            "backup-2026",
            "",
        ] {
            assert!(!is_worker_id(other), "{other}");
        }
        assert!(is_attempt_name(&attempt_name(Uuid::from_u128(7), 12)));
        for other in
            ["part.json", "00000000000000000000000000000007", "00000000000000000000000000000007-x", "7-1"]
        {
            assert!(!is_attempt_name(other), "{other}");
        }
    }
}
