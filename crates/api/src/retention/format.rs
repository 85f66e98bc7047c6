//! Formats counts for people.

use dce_core::store::retention::batched_deletion::DeletedRows;
use dce_core::store::retention::prune::DeletedExports;

/// `1 message`, `12 messages`.
pub(super) fn count(count: u64, one: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {one}s") }
}

/// `2 messages and 1 earlier version`.
pub(super) fn rows(deleted: DeletedRows) -> String {
    let messages = count(deleted.messages, "message");
    if deleted.versions == 0 {
        return messages;
    }
    format!("{messages} and {}", count(deleted.versions, "earlier version"))
}

/// `1 export with 2 runs and 3 attempts`.
pub(super) fn exports(deleted: DeletedExports) -> String {
    let exports = count(deleted.exports, "export");
    let runs = count(deleted.runs, "run");
    let attempts = count(deleted.attempts, "attempt");
    format!("{exports} with {runs} and {attempts}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_have_their_unit() {
        assert_eq!(rows(DeletedRows::default()), "0 messages");
        assert_eq!(rows(DeletedRows { messages: 1, versions: 2 }), "1 message and 2 earlier versions");
        let deleted = DeletedExports { exports: 2, runs: 1, attempts: 3 };
        assert_eq!(exports(deleted), "2 exports with 1 run and 3 attempts");
    }
}
