//! Why a private Postgres cannot run, and the remedy.

use std::io;
use std::path::{Path, PathBuf};

/// Each message contains the remedy.
#[derive(Debug, thiserror::Error)]
pub enum PostgresError {
    /// Neither `PATH`, `pg_config` nor the known folders have `initdb` and `postgres`.
    #[error(
        "PostgreSQL is not installed on this machine: install it (Debian, Ubuntu: apt-get install postgresql; \
         Fedora: dnf install postgresql-server; macOS: brew install postgresql), or set PG_BINDIR to the \
         directory of initdb and postgres"
    )]
    NotInstalled,
    /// `PG_BINDIR` is wrong.
    #[error("PG_BINDIR is {0}, but that directory does not contain both initdb and postgres")]
    IncompleteBinDir(PathBuf),
    /// Postgres refuses to run as root, and there is no other user to run it.
    #[error(
        "PostgreSQL does not run as root, and this machine has neither a user postgres nor nobody: add one"
    )]
    NoAccount,
    /// The user that runs the server for root may not enter or write the directory.
    #[error(
        "the user {user}, who runs PostgreSQL because root must not, cannot write in {directory}: \
         choose a directory below one that every user may enter, such as /var/lib"
    )]
    Unreachable { user: &'static str, directory: PathBuf },
    /// The directory of a persistent server contains other files.
    #[error(
        "{0} contains files that do not belong to a private PostgreSQL: choose a new or an empty directory"
    )]
    Foreign(PathBuf),
    /// No directory is usable for a temporary server and its socket.
    #[error(
        "no directory for a temporary PostgreSQL: set TMPDIR to a short path that every user may write to, such as /tmp"
    )]
    NoTemporaryDirectory,
    /// `initdb` failed; its own message.
    #[error("initdb failed: {0}")]
    Init(String),
    /// The server ended or was not ready in time; the end of its log.
    #[error("PostgreSQL did not start: {0}")]
    Start(String),
    /// A file or process operation failed.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// The attempted operation, e.g. `create`.
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },
}

/// Adds the attempted operation and its path to an error.
pub(super) fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> PostgresError {
    move |source| PostgresError::Io { action, path: path.to_owned(), source }
}
