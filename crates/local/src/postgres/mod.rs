//! A private Postgres server from the machine's own Postgres programs, also for root. It listens on a socket in a
//! directory of its own or on loopback, touches no other server and no file of the user, and ends with the process that
//! started it, even by SIGKILL.

mod account;
mod binaries;
mod error;
mod home;
mod url;

use std::fs::{self, File};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use self::account::Account;
pub use self::error::PostgresError;
use self::error::io_error;
use self::home::Home;
use self::url::Address;
use crate::parent_death::command_tied_to_parent;

/// Time allowed until a server accepts connections, including crash recovery.
const START_LIMIT: Duration = Duration::from_mins(1);
/// Only names the socket: each server has a directory of its own.
const SOCKET_PORT: u16 = 5432;
/// Lines of the server's log that an error shows.
const LOG_TAIL: usize = 15;

/// Settings for speed of a server whose directory is deleted: it may lose data if the machine crashes.
const NOT_DURABLE: [&str; 5] =
    ["fsync=off", "synchronous_commit=off", "full_page_writes=off", "autovacuum=off", "shared_buffers=64MB"];

/// How a server stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shutdown {
    /// Ends all sessions, rolls back open transactions and writes a checkpoint.
    Fast,
    /// As if it had crashed: ends at once, and recovers from its log at the next start.
    Immediate,
}

impl Shutdown {
    const fn signal(self) -> Signal {
        match self {
            Self::Fast => Signal::SIGINT,
            Self::Immediate => Signal::SIGQUIT,
        }
    }
}

/// A running private server; stopped on drop, which blocks until it has ended.
///
/// All methods block: call them before or outside of asynchronous work.
#[derive(Debug)]
pub struct PrivatePostgres {
    home: Home, // before `child`: its directory goes before the watcher is released, so that only one of them deletes it
    child: Child,
    /// Of servers that were stopped before this one: closed, their watchers would delete the directory as well.
    former_stdins: Vec<ChildStdin>,
    account: Account,
    address: Address,
    programs: PathBuf,
    settings: Vec<String>,
    at_end: Shutdown,
}

impl PrivatePostgres {
    /// Starts a temporary server: on a socket only, not durable, its directory is deleted when it ends.
    pub fn temporary() -> Result<Self, PostgresError> {
        let programs = binaries::find()?;
        let account = Account::choose()?;
        let home = Home::temporary(account)?;
        home.initialise(&programs.join("initdb"), false)?;
        let address = Address::Socket(home.socket_directory.clone());
        // A checkpoint would save nothing: the directory is deleted.
        Self::start(programs, account, home, address, Shutdown::Immediate, &NOT_DURABLE)
    }

    /// Starts a durable server whose data stay in `directory`, which is created if it is missing and refused if it contains
    /// other files. With `port` it listens on that port of 127.0.0.1 and requires the password in `url`, which is kept in
    /// `directory/password`; without, on a socket that only its user and root can reach.
    pub fn persistent(directory: &Path, port: Option<u16>) -> Result<Self, PostgresError> {
        Self::persistent_with(directory, port, &[])
    }

    /// `persistent` with server settings, each `name=value`, which win over the default ones.
    pub fn persistent_with(
        directory: &Path,
        port: Option<u16>,
        settings: &[&str],
    ) -> Result<Self, PostgresError> {
        let programs = binaries::find()?;
        let account = Account::choose()?;
        let home = Home::persistent(directory, account)?;
        home.initialise(&programs.join("initdb"), true)?;
        let address = match port {
            Some(port) => Address::Tcp { port, password: home.password()? },
            None => Address::Socket(home.socket_directory.clone()),
        };
        Self::start(programs, account, home, address, Shutdown::Fast, settings)
    }

    fn start(
        programs: PathBuf,
        account: Account,
        home: Home,
        address: Address,
        at_end: Shutdown,
        settings: &[&str],
    ) -> Result<Self, PostgresError> {
        let log = home.log();
        File::create(&log).map_err(io_error("create", &log))?;
        let settings: Vec<String> = settings.iter().map(|setting| (*setting).to_owned()).collect();
        let child = launch(&programs, account, &home, &address, at_end, &settings)?;
        let former_stdins = Vec::new();
        let mut server = Self { home, child, former_stdins, account, address, programs, settings, at_end };
        server.wait_until_ready()?;
        Ok(server)
    }

    /// Stops the server and waits for its end; its data and its address stay. No effect on one that has ended.
    pub fn stop(&mut self, how: Shutdown) -> Result<(), PostgresError> {
        // The number is still its own: the watcher's group keeps it in use. A failure means that it has ended already.
        if let Ok(pid) = i32::try_from(self.child.id()) {
            let _ = kill(Pid::from_raw(pid), how.signal());
        }
        // `Child::wait` would close the pipe first and start the watcher.
        let stdin = self.child.stdin.take();
        let ended = self.child.wait();
        self.child.stdin = stdin;
        ended.map(drop).map_err(io_error("wait for", &self.home.directory))
    }

    /// Starts a stopped server again with the same address and data.
    pub fn start_again(&mut self) -> Result<(), PostgresError> {
        self.stop(self.at_end)?;
        let child =
            launch(&self.programs, self.account, &self.home, &self.address, self.at_end, &self.settings)?;
        self.former_stdins.extend(std::mem::replace(&mut self.child, child).stdin.take());
        self.wait_until_ready()
    }

    /// The lock file has the server's pid in line 1 and `ready` in line 8 once it takes connections;
    /// the pid distinguishes it from the file of a killed server or of another server.
    fn wait_until_ready(&mut self) -> Result<(), PostgresError> {
        let lock_file = self.home.data().join("postmaster.pid");
        let pid = self.child.id().to_string();
        let deadline = Instant::now() + START_LIMIT;
        loop {
            let content = fs::read_to_string(&lock_file).unwrap_or_default();
            let mut lines = content.lines().map(str::trim);
            if lines.next() == Some(&*pid) && lines.nth(6) == Some("ready") {
                return Ok(());
            }
            let ended = self.child.try_wait().map_err(io_error("wait for", &lock_file))?;
            if ended.is_some() || Instant::now() > deadline {
                return Err(PostgresError::Start(self.log_tail()));
            }
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// The URL of `database` for sqlx, psql and others. It contains the password, if there is one.
    pub fn url(&self, database: &str) -> String {
        self.address.url(database)
    }

    /// `psql` connected to `database`, without the user's psqlrc; the password is not in its arguments.
    pub fn psql(&self, database: &str) -> Command {
        let beside_server = self.programs.join("psql");
        let mut command = Command::new(if beside_server.is_file() { beside_server } else { "psql".into() });
        Account::Own.apply(&mut command);
        command.arg("--no-psqlrc").env("PGUSER", "postgres").env("PGDATABASE", database);
        match &self.address {
            Address::Socket(directory) => {
                command.env("PGHOST", directory).env("PGPORT", SOCKET_PORT.to_string());
            }
            Address::Tcp { port, password } => {
                command
                    .env("PGHOST", "127.0.0.1")
                    .env("PGPORT", port.to_string())
                    .env("PGPASSWORD", password);
            }
        }
        command
    }

    /// The socket; none if the server listens on a port.
    pub fn socket(&self) -> Option<PathBuf> {
        match &self.address {
            Address::Socket(directory) => Some(directory.join(format!(".s.PGSQL.{SOCKET_PORT}"))),
            Address::Tcp { .. } => None,
        }
    }

    /// The directory of its files.
    pub fn directory(&self) -> &Path {
        &self.home.directory
    }

    fn log_tail(&self) -> String {
        let log = fs::read_to_string(self.home.log()).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(LOG_TAIL)..].join("\n")
    }
}

impl Drop for PrivatePostgres {
    fn drop(&mut self) {
        let _ = self.stop(self.at_end);
    }
}

/// Starts the server process, tied to this process.
fn launch(
    programs: &Path,
    account: Account,
    home: &Home,
    address: &Address,
    at_end: Shutdown,
    settings: &[String],
) -> Result<Child, PostgresError> {
    let log_path = home.log();
    let log = File::options().append(true).open(&log_path).map_err(io_error("open", &log_path))?;
    let errors = log.try_clone().map_err(io_error("open", &log_path))?;
    let program = programs.join("postgres");
    let (port, listen, sockets) = match address {
        Address::Tcp { port, .. } => (*port, Ipv4Addr::LOCALHOST.to_string(), String::new()),
        Address::Socket(directory) => (SOCKET_PORT, String::new(), quoted(directory)),
    };
    let remove = home.temporary.as_ref().map(tempfile::TempDir::path);
    let mut command = command_tied_to_parent(&program, at_end.signal(), remove);
    command.arg("-D").arg(home.data()).args(["-p", &port.to_string()]);
    command
        .args(["-c", &format!("listen_addresses={listen}")])
        .args(["-c", &format!("unix_socket_directories={sockets}")])
        .args(["-c", "unix_socket_permissions=0700"]) // no password is required there
        .args(["-c", "max_connections=200"]);
    for setting in settings {
        command.args(["-c", setting]);
    }
    command.stdout(log).stderr(errors);
    account.apply(&mut command);
    command.spawn().map_err(io_error("run", &program))
}

/// A path as an element of a list setting, where commas and spaces would separate.
fn quoted(path: &Path) -> String {
    format!("\"{}\"", path.to_string_lossy().replace('"', "\"\""))
}
