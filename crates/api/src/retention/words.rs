//! Counts as people read them.

use dce_core::store::retention::batched_deletion::DeletedRows;
use dce_core::store::retention::prune::DeletedExports;

/// `1 message`, `12 messages`.
pub(super) fn number(count: u64, one: &str) -> String {
    if count == 1 { format!("1 {one}") } else { format!("{count} {one}s") }
}

/// Messages and their versions.
pub(super) fn rows(of: DeletedRows) -> String {
    let messages = number(of.messages, "message");
    if of.versions == 0 {
        return messages;
    }
    format!("{messages} and {}", number(of.versions, "earlier version"))
}

/// Exports, runs and attempts.
pub(super) fn exports(of: DeletedExports) -> String {
    let [exports, runs, attempts] =
        [(of.exports, "export"), (of.runs, "run"), (of.attempts, "attempt")].map(|(n, one)| number(n, one));
    format!("{exports} with {runs} and {attempts}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_words() {
        assert_eq!(rows(DeletedRows::default()), "0 messages");
        assert_eq!(rows(DeletedRows { messages: 1, versions: 2 }), "1 message and 2 earlier versions");
        let removed = DeletedExports { exports: 2, runs: 1, attempts: 3 };
        assert_eq!(exports(removed), "2 exports with 1 run and 3 attempts");
    }
}
