//! The product's programs as processes under test, and waiting for what they do.

use std::env;
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use dce_local::tethered;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::error::Elapsed;
use tokio::time::{sleep, timeout};

/// How often `eventually` looks.
const LOOK: Duration = Duration::from_millis(10);
/// How long output may still come after a process has ended.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// A program of this workspace, built for the same profile as the test that asks.
///
/// # Panics
/// If it has not been built: cargo builds another package's programs only if told to.
pub fn binary(name: &str) -> PathBuf {
    // A test runs as target/<profile>/deps/<test>-<hash>, programs are two levels up.
    let test = env::current_exe().unwrap_or_else(|error| panic!("this test's own path: {error}"));
    test.ancestors()
        .skip(1)
        .take(2)
        .map(|directory| directory.join(name))
        .find(|program| program.is_file())
        .unwrap_or_else(|| {
            panic!("{name} is not built beside {}: run `cargo build --workspace`", test.display())
        })
}

/// A port of 127.0.0.1 that nobody listens on at the moment.
///
/// # Panics
/// If the system has none.
pub fn free_port() -> u16 {
    dce_local::free_port().unwrap_or_else(|error| panic!("no free port: {error}"))
}

/// Waits until `condition` gives a value, looking again and again, and returns it.
///
/// # Panics
/// If it gives none within `bound`; the message says that `what` did not happen.
pub async fn eventually<T>(bound: Duration, what: &str, mut condition: impl AsyncFnMut() -> Option<T>) -> T {
    let look = async {
        loop {
            if let Some(value) = condition().await {
                return value;
            }
            sleep(LOOK).await;
        }
    };
    match timeout(bound, look).await {
        Ok(value) => value,
        Err(Elapsed { .. }) => panic!("not within {bound:?}: {what}"),
    }
}

/// A process under test. Killed on drop, and ended if the test process dies. Its output is kept, line by line.
#[derive(Debug)]
pub struct Running {
    name: String,
    pid: Pid,
    child: Child,
    _tether: Option<ChildStdin>,
    lines: watch::Receiver<Vec<String>>,
    readers: [JoinHandle<()>; 2],
}

impl Running {
    /// Starts a program (see `binary`) with just these variables and `PATH`.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn start<K: AsRef<OsStr>, V: AsRef<OsStr>>(
        program: &Path,
        arguments: &[&str],
        environment: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        let name = program.file_name().unwrap_or_default().to_string_lossy();
        let mut command = tethered(program, Signal::SIGTERM, None);
        command
            .env_clear()
            .env("PATH", env::var_os("PATH").unwrap_or_default())
            .envs(environment)
            .args(arguments);
        Self::spawn(&name, command).unwrap_or_else(|error| panic!("{name} cannot be started: {error}"))
    }

    fn spawn(name: &str, command: std::process::Command) -> io::Result<Self> {
        let mut command = Command::from(command);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true).spawn()?;
        let pid = child.id().and_then(|id| i32::try_from(id).ok()).ok_or(io::ErrorKind::NotFound)?;
        let (sender, lines) = watch::channel(Vec::new());
        let readers = [
            tokio::spawn(collect(child.stdout.take(), sender.clone())),
            tokio::spawn(collect(child.stderr.take(), sender)),
        ];
        let tether = child.stdin.take(); // `Child::wait` would close it, and the tether would end the process
        Ok(Self { name: name.to_owned(), pid: Pid::from_raw(pid), child, _tether: tether, lines, readers })
    }

    /// The process id, which is the program's own.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// All lines so far of both standard output and standard error.
    pub fn lines(&self) -> Vec<String> {
        self.lines.borrow().clone()
    }

    /// The first line with `text` in it, once it is there.
    ///
    /// # Panics
    /// If it does not come within `bound`, or the process ends without it; the message shows all lines.
    pub async fn line(&self, bound: Duration, text: &str) -> String {
        let mut lines = self.lines.clone();
        let has = |line: &&String| line.contains(text);
        let found = timeout(bound, lines.wait_for(|lines| lines.iter().any(|line| has(&line)))).await;
        match found {
            Ok(Ok(lines)) => lines.iter().find(has).cloned().unwrap_or_default(),
            Ok(Err(_)) => panic!("{} ended without a line with {text:?}{}", self.name, self.transcript()),
            Err(Elapsed { .. }) => {
                panic!("{}: no line with {text:?} within {bound:?}{}", self.name, self.transcript())
            }
        }
    }

    /// Sends a signal to the process, not to its children.
    ///
    /// # Panics
    /// If that fails.
    pub fn signal(&self, signal: Signal) {
        // The tether keeps the number in use, so no other process can be hit.
        kill(self.pid, signal).unwrap_or_else(|error| panic!("{signal} to {}: {error}", self.name));
    }

    /// Whether it has not ended yet.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Its end; all of its output is there then.
    ///
    /// # Panics
    /// If it does not end within `bound`; the message shows all lines.
    pub async fn wait(&mut self, bound: Duration) -> ExitStatus {
        match self.ended(bound).await {
            Some(status) => status,
            None => panic!("{} does not end within {bound:?}{}", self.name, self.transcript()),
        }
    }

    /// Its end if that comes within `bound`; all of its output is there then.
    ///
    /// # Panics
    /// If the system cannot tell.
    pub async fn ended(&mut self, bound: Duration) -> Option<ExitStatus> {
        let status = match timeout(bound, self.child.wait()).await {
            Ok(Ok(status)) => status,
            Ok(Err(error)) => panic!("{} cannot be waited for: {error}", self.name),
            Err(Elapsed { .. }) => return None,
        };
        for reader in &mut self.readers {
            let _ = timeout(LAST_WORDS, async { reader.is_finished() || reader.await.is_ok() }).await;
        }
        Some(status)
    }

    fn transcript(&self) -> String {
        format!("; its lines:\n{}", self.lines.borrow().join("\n"))
    }
}

async fn collect(output: Option<impl AsyncRead + Unpin>, to: watch::Sender<Vec<String>>) {
    let Some(output) = output else { return };
    let mut lines = BufReader::new(output).split(b'\n');
    while let Ok(Some(line)) = lines.next_segment().await {
        to.send_modify(|lines| lines.push(String::from_utf8_lossy(&line).into_owned()));
    }
}
