//! What can keep a private Postgres from running, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};

/// Why there is no server; each message says what the user can do.
#[derive(Debug, thiserror::Error)]
pub enum PostgresError {
    /// Neither `PATH`, `pg_config` nor the usual places have `initdb` and `postgres`.
    #[error(
        "PostgreSQL is not installed on this machine: install it (Debian, Ubuntu: apt-get install postgresql; \
         Fedora: dnf install postgresql-server; macOS: brew install postgresql), or set PG_BINDIR to the \
         directory of initdb and postgres"
    )]
    NotInstalled,
    /// `PG_BINDIR` was given and is wrong.
    #[error("PG_BINDIR is {0}, but that directory does not hold both initdb and postgres")]
    IncompleteBinDir(PathBuf),
    /// Postgres refuses to run as root, and there is nobody to run it instead.
    #[error(
        "PostgreSQL does not run as root, and this machine has neither a user postgres nor nobody: add one"
    )]
    NoAccount,
    /// The user that runs the server for root may not enter or write the directory.
    #[error(
        "the user {user}, who runs PostgreSQL because root must not, cannot write in {directory}: \
         choose a directory below one that everybody may enter, such as /var/lib"
    )]
    Unreachable {
        /// Who would have run the server.
        user: &'static str,
        /// Where.
        directory: PathBuf,
    },
    /// A persistent server was to be made in a directory with other things in it.
    #[error("{0} holds files that belong to no private PostgreSQL: choose a new or an empty directory")]
    Foreign(PathBuf),
    /// No directory takes a temporary server and its socket.
    #[error(
        "no directory for a temporary PostgreSQL: set TMPDIR to a short path that everybody may write, such as /tmp"
    )]
    NoTemporaryDirectory,
    /// `initdb` failed; its own words.
    #[error("initdb failed: {0}")]
    Init(String),
    /// The server ended or was not ready in time; the end of its log.
    #[error("PostgreSQL did not start: {0}")]
    Start(String),
    /// A file or process operation failed.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried, e.g. `create`.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
}

/// Names what was tried on which path.
pub(super) fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> PostgresError {
    move |source| PostgresError::Io { action, path: path.to_owned(), source }
}
