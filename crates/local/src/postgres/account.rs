//! The user that runs the server, because Postgres refuses to run as root.

use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::{env, io};

use nix::unistd::{User, geteuid};

use super::PostgresError;

/// The user of Postgres's programs.
#[derive(Debug, Clone, Copy)]
pub(super) enum Account {
    /// This process is not root: its own user.
    Own,
    /// This process is root: a user without privileges.
    Other { name: &'static str, uid: u32, gid: u32 },
}

impl Account {
    /// This process's own user; for root `postgres`, which the packages create, else `nobody`.
    pub(super) fn choose() -> Result<Self, PostgresError> {
        if !geteuid().is_root() {
            return Ok(Self::Own);
        }
        ["postgres", "nobody"]
            .into_iter()
            .find_map(|name| {
                let user = User::from_name(name).ok()??;
                Some(Self::Other { name, uid: user.uid.as_raw(), gid: user.gid.as_raw() })
            })
            .ok_or(PostgresError::NoAccount)
    }

    /// Makes `command` run as this user, in `/` (the current directory may be closed to it), and without the caller's locale
    /// and `PG…` variables.
    pub(super) fn apply(self, command: &mut Command) {
        if let Self::Other { uid, gid, .. } = self {
            command.uid(uid).gid(gid);
        }
        for (name, _) in env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"PG")) {
            command.env_remove(name);
        }
        command.current_dir("/").env("LC_ALL", "C");
    }

    /// Makes this user the owner of `path`.
    pub(super) fn own(self, path: &Path) -> io::Result<()> {
        match self {
            Self::Own => Ok(()),
            Self::Other { uid, gid, .. } => chown(path, Some(uid), Some(gid)),
        }
    }

    /// Whether this user can write in `directory`, including access to its parents.
    pub(super) fn can_write(self, directory: &Path) -> bool {
        let mut command = Command::new("sh");
        command.args(["-c", r#"cd "$1" && test -w ."#, "sh"]).arg(directory).stderr(Stdio::null());
        self.apply(&mut command);
        command.status().is_ok_and(|status| status.success())
    }

    /// `can_write`, or an error that names user and directory.
    pub(super) fn must_write(self, directory: &Path) -> Result<(), PostgresError> {
        match self {
            Self::Other { name: user, .. } if !self.can_write(directory) => {
                Err(PostgresError::Unreachable { user, directory: directory.to_owned() })
            }
            _ => Ok(()),
        }
    }
}
