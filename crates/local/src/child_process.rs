//! A child process that ends with this one, and its log.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::timeout;

use crate::parent_death::command_tied_to_parent;

/// How often a blocking wait checks for the end.
const POLL: Duration = Duration::from_millis(10);

/// The destination of a process's stdout and stderr.
#[derive(Debug, Clone)]
pub enum Output {
    /// Those of this process.
    Inherit,
    File(PathBuf),
    /// A file without a name.
    Capture,
}

/// A running process; killed on drop, and sent SIGTERM if this process dies.
#[derive(Debug)]
pub struct ChildProcess {
    pid: Pid,
    child: Child,
    /// Held open: its end tells the watcher that this process is dead.
    _stdin: Option<ChildStdin>,
    log: Option<File>,
}

impl ChildProcess {
    /// Starts `program`. `configure` sets its arguments, environment and directory; `remove` is deleted after its end if
    /// this process dies.
    pub fn spawn(
        program: impl AsRef<OsStr>,
        output: &Output,
        remove: Option<&Path>,
        configure: impl FnOnce(&mut std::process::Command),
    ) -> io::Result<Self> {
        let mut command = command_tied_to_parent(program, Signal::SIGTERM, remove);
        configure(&mut command);
        let log = match output {
            Output::Inherit => None,
            Output::File(path) => {
                Some(File::options().read(true).write(true).create(true).truncate(true).open(path)?)
            }
            Output::Capture => Some(tempfile::tempfile()?),
        };
        if let Some(log) = &log {
            command.stdout(log.try_clone()?).stderr(log.try_clone()?);
        }
        let mut child = Command::from(command).kill_on_drop(true).spawn()?;
        let pid = child.id().and_then(|id| i32::try_from(id).ok()).ok_or(io::ErrorKind::NotFound)?;
        let stdin = child.stdin.take(); // `Child::wait` would close it, and the watcher would end the process
        Ok(Self { pid: Pid::from_raw(pid), child, _stdin: stdin, log })
    }

    /// The pid of the program itself.
    pub const fn pid(&self) -> Pid {
        self.pid
    }

    pub const fn inherits_output(&self) -> bool {
        self.log.is_none()
    }

    /// All lines of stdout and stderr so far; none if the output is inherited.
    pub fn lines(&self) -> Vec<String> {
        String::from_utf8_lossy(&self.output()).lines().map(str::to_owned).collect()
    }

    /// The first complete line that contains `text`.
    pub fn find_line(&self, text: &str) -> Option<String> {
        let output = self.output();
        let complete =
            output.split_inclusive(|byte| *byte == b'\n').filter_map(|line| line.strip_suffix(b"\n"));
        complete.map(String::from_utf8_lossy).find(|line| line.contains(text)).map(Into::into)
    }

    fn output(&self) -> Vec<u8> {
        let Some(log) = &self.log else { return Vec::new() };
        let length = log.metadata().map_or(0, |metadata| metadata.len());
        let mut output = vec![0; usize::try_from(length).unwrap_or(0)];
        // At a position of its own: the child writes at the one that they share.
        match log.read_exact_at(&mut output, 0) {
            Ok(()) => output,
            Err(_) => Vec::new(),
        }
    }

    /// Sends a signal to the process, not to its children.
    pub fn signal(&self, signal: Signal) -> nix::Result<()> {
        // The watcher's process group keeps the number in use, so no other process can be hit.
        kill(self.pid, signal)
    }

    /// The exit status of a process that has ended.
    pub fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// Waits for the end; none if the process still runs after `limit`.
    pub async fn wait(&mut self, limit: Duration) -> io::Result<Option<ExitStatus>> {
        timeout(limit, self.child.wait()).await.map_or(Ok(None), |status| status.map(Some))
    }

    /// `wait`, blocking, for use on drop.
    pub fn wait_blocking(&mut self, limit: Duration) -> io::Result<Option<ExitStatus>> {
        let deadline = Instant::now() + limit;
        loop {
            let status = self.child.try_wait()?;
            if status.is_some() || Instant::now() > deadline {
                return Ok(status);
            }
            std::thread::sleep(POLL);
        }
    }
}
