//! The directories of a server: its data, its log, its socket.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::account::Account;
use super::error::io_error;
use super::{PostgresError, SOCKET_PORT};

/// Longest path of a Unix socket: Linux takes 107 bytes, macOS 103.
const SOCKET_PATH_LIMIT: usize = 103;

/// Names that a persistent directory may contain before it is initialised, left by an interrupted start.
const OUR_NAMES: [&str; 3] = ["data.new", "log", "password"];

#[derive(Debug)]
pub(super) struct Home {
    /// Contains `data` and `log`, and the password of a persistent server.
    pub(super) directory: PathBuf,
    pub(super) socket_directory: PathBuf,
    /// Deleted with the server: the whole directory of a temporary one, or the socket's directory of a persistent one whose
    /// path is too long.
    pub(super) temporary: Option<TempDir>,
    account: Account,
}

impl Home {
    /// Creates a directory that is deleted with the server.
    pub(super) fn temporary(account: Account) -> Result<Self, PostgresError> {
        let temporary = temporary_directory(account)?;
        let directory = temporary.path().to_owned();
        Ok(Self { socket_directory: directory.clone(), directory, temporary: Some(temporary), account })
    }

    /// Uses `directory`, which is created if it is missing and must be empty or that of an earlier server.
    pub(super) fn persistent(directory: &Path, account: Account) -> Result<Self, PostgresError> {
        make(directory).map_err(io_error("create", directory))?;
        let directory = directory.canonicalize().map_err(io_error("find", directory))?;
        if !directory.join("data/PG_VERSION").exists() && !contains_only(&directory, &OUR_NAMES)? {
            return Err(PostgresError::Foreign(directory));
        }
        account.own(&directory).map_err(io_error("change the owner of", &directory))?;
        account.must_write(&directory)?;
        let temporary = if fits_socket(&directory) { None } else { Some(temporary_directory(account)?) };
        let socket_directory = temporary.as_ref().map_or(&*directory, TempDir::path).to_owned();
        Ok(Self { directory, socket_directory, temporary, account })
    }

    pub(super) fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    pub(super) fn log(&self) -> PathBuf {
        self.directory.join("log")
    }

    /// The password of a persistent server's only user.
    pub(super) fn password(&self) -> Result<String, PostgresError> {
        let path = self.directory.join("password");
        fs::read_to_string(&path).map_err(io_error("read", &path))
    }

    /// Creates the data directory unless it exists. Over TCP every local user could connect, so a password is required there
    /// (temporary servers have no TCP); the socket is in a directory that is closed to other users.
    pub(super) fn initialise(&self, initdb: &Path, durable: bool) -> Result<(), PostgresError> {
        if self.data().join("PG_VERSION").exists() {
            return Ok(());
        }
        // initdb writes PG_VERSION first. The rename when it is complete keeps an interrupted one from passing for complete.
        let unfinished = self.directory.join("data.new");
        match fs::remove_dir_all(&unfinished) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(io_error("remove", &unfinished)(error));
            }
            _ => {}
        }
        let mut command = Command::new(initdb);
        command.args([
            "--username=postgres",
            "--encoding=UTF8",
            "--no-locale",
            "--auth-local=trust",
            "--pgdata",
        ]);
        command.arg(&unfinished);
        if durable {
            let password = self.directory.join("password");
            self.write_password(&password).map_err(io_error("write", &password))?;
            command.args(["--auth-host=scram-sha-256", "--pwfile"]).arg(password);
        } else {
            command.args(["--auth-host=reject", "--no-sync"]);
        }
        self.account.apply(&mut command);
        let output = command.output().map_err(io_error("run", initdb))?;
        if !output.status.success() {
            return Err(PostgresError::Init(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
        }
        fs::rename(&unfinished, self.data()).map_err(io_error("rename", &unfinished))
    }

    fn write_password(&self, path: &Path) -> io::Result<()> {
        let mut random = [0; 16];
        File::open("/dev/urandom")?.read_exact(&mut random)?;
        let mut file = File::options().write(true).create(true).truncate(true).mode(0o600).open(path)?;
        write!(file, "{:032x}", u128::from_be_bytes(random))?;
        self.account.own(path)
    }
}

/// Creates `directory` for its owner alone; its parents as usual, since its owner may be another user.
fn make(directory: &Path) -> io::Result<()> {
    if let Some(parent) = directory.parent() {
        fs::create_dir_all(parent)?;
    }
    match DirBuilder::new().mode(0o700).create(directory) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && directory.is_dir() => Ok(()),
        made => made,
    }
}

/// A new directory (mode 700) that `account` owns and can delete, short enough for a socket.
fn temporary_directory(account: Account) -> Result<TempDir, PostgresError> {
    let mut builder = tempfile::Builder::new();
    builder.prefix("dce-pg-").permissions(Permissions::from_mode(0o700));
    [std::env::temp_dir(), "/tmp".into(), "/var/tmp".into()]
        .iter()
        .filter_map(|parent| parent.canonicalize().ok())
        .filter(|parent| account.can_write(parent))
        .find_map(|parent| {
            let made = builder.tempdir_in(parent).ok()?;
            (fits_socket(made.path()) && account.own(made.path()).is_ok()).then_some(made)
        })
        .ok_or(PostgresError::NoTemporaryDirectory)
}

fn fits_socket(directory: &Path) -> bool {
    directory.join(format!(".s.PGSQL.{SOCKET_PORT}")).as_os_str().len() <= SOCKET_PATH_LIMIT
}

fn contains_only(directory: &Path, names: &[&str]) -> Result<bool, PostgresError> {
    let entries = fs::read_dir(directory).map_err(io_error("list", directory))?;
    for entry in entries {
        let name = entry.map_err(io_error("list", directory))?.file_name();
        if !names.iter().any(|known| *known == name) {
            return Ok(false);
        }
    }
    Ok(true)
}
