//! Starts DCE, watches it and stops it.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dce_core::export::failure::{Failure, FailureKind};
use nix::errno::Errno;
use secrecy::{ExposeSecret, SecretString};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{ChildStderr, ChildStdout};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use super::child::{Child, Pipes};
use super::environment::without_token;
use super::errors::classify;
use super::progress::{Lines, Progress};
use super::stderr::{Capture, Stderr};
use super::version::{DceVersion, VersionError};

/// How long the end of stderr is waited for after the process and its group are gone. Only a
/// process that left the group can hold it open longer.
const STDERR_LIMIT: Duration = Duration::from_secs(1);
/// More than any version is long.
const VERSION_BYTES: u64 = 4096;

/// Starts processes of one program.
#[derive(Debug, Clone)]
pub struct Spawner {
    program: PathBuf,
}

/// One start. It holds the token, so it cannot be printed.
pub struct Launch<'a> {
    /// See [`super::command::ExportCommand::arguments`].
    pub arguments: Vec<OsString>,
    /// The whole environment, see [`super::environment()`].
    pub environment: Vec<(OsString, OsString)>,
    /// The attempt's own directory, where the process runs.
    pub directory: &'a Path,
    /// What must not appear in the captured stderr.
    pub token: &'a SecretString,
}

/// Why a process was not started.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// The program is not there or cannot be executed.
    #[error("{} cannot be executed: {source}", .program.display())]
    Missing {
        /// What was to be executed.
        program: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// Anything else: processes, memory, descriptors, the attempt's directory.
    #[error("no process could be started: {0}")]
    Other(#[from] io::Error),
}

impl From<&SpawnError> for Failure {
    fn from(error: &SpawnError) -> Self {
        match error {
            SpawnError::Missing { program, source } => {
                let name = program.file_name().unwrap_or_default().display();
                Self::new(FailureKind::DceMissing).with_detail(format!("{name}: {source}"))
            }
            SpawnError::Other(source) => Self::new(FailureKind::WorkerError)
                .with_detail(format!("no process could be started: {source}")),
        }
    }
}

/// How a process ended, and what it said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exit {
    /// Its exit code, unless a signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// What it wrote to stderr.
    pub stderr: Stderr,
}

impl Spawner {
    /// For the executable at this path.
    pub const fn new(program: PathBuf) -> Self {
        Self { program }
    }

    /// Starts the program: stdin is nowhere, of stdout only the progress is kept, stderr is collected. Must be called
    /// within a tokio runtime.
    pub async fn spawn(&self, launch: Launch<'_>) -> Result<Running, SpawnError> {
        let (mut running, stdout) = self.start(launch).await?;
        running.follow(stdout);
        Ok(running)
    }

    /// Asks the program for its version, in `directory`, for at most `limit`.
    pub async fn version(
        &self,
        inherited: impl IntoIterator<Item = (OsString, OsString)>,
        directory: &Path,
        limit: Duration,
    ) -> Result<DceVersion, VersionError> {
        let launch = Launch {
            arguments: vec!["--version".into()],
            environment: without_token(directory, inherited),
            directory,
            token: &SecretString::default(),
        };
        let (mut running, stdout) = self.start(launch).await?;
        let answer = timeout(limit, async {
            let mut printed = Vec::new();
            if let Some(stdout) = stdout {
                // What cannot be read is no version.
                let _ = stdout.take(VERSION_BYTES).read_to_end(&mut printed).await;
            }
            (printed, running.wait().await)
        });
        let (printed, exit) = answer.await.map_err(|_| VersionError::TimedOut(limit))?;
        if let Some(failure) = classify(&exit) {
            let words = failure.detail.unwrap_or_else(|| failure.kind.message().to_owned());
            return Err(VersionError::Failed(words));
        }
        String::from_utf8_lossy(&printed).parse()
    }

    async fn start(&self, launch: Launch<'_>) -> Result<(Running, Option<ChildStdout>), SpawnError> {
        let mut command = Command::new(&self.program);
        command
            .args(&launch.arguments)
            .env_clear()
            .envs(launch.environment)
            .current_dir(launch.directory)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let started = Child::start(command).await;
        let (child, Pipes { stdout, stderr }) =
            started.map_err(|source| self.spawn_error(source, launch.directory))?;
        let stdout = stdout.map(ChildStdout::from_std).transpose()?;
        let stderr = stderr.map(ChildStderr::from_std).transpose()?;
        let collector = Collector::start(stderr, launch.token.clone());
        let (progress, follower) = (Progress::default(), None);
        Ok((Running { child, collector, progress, follower, exit: None }, stdout))
    }

    fn spawn_error(&self, source: io::Error, directory: &Path) -> SpawnError {
        let of_program = matches!(
            source.raw_os_error().map(Errno::from_raw),
            Some(Errno::ENOENT | Errno::ENOTDIR | Errno::EACCES | Errno::ENOEXEC)
        );
        // The same numbers come from changing into a directory that is not there.
        if of_program && directory.is_dir() {
            SpawnError::Missing { program: self.program.clone(), source }
        } else {
            SpawnError::Other(source)
        }
    }
}

/// A process that was started. Dropping it kills it with its group.
#[derive(Debug)]
pub struct Running {
    child: Child,
    collector: Collector,
    progress: Progress,
    follower: Option<AbortOnDropHandle<()>>,
    exit: Option<Exit>,
}

impl Running {
    /// Its process id, which is also the id of its group.
    pub const fn pid(&self) -> u32 {
        self.child.pid
    }

    /// How far it is, from now on and as it tells it.
    pub fn progress(&self) -> Progress {
        self.progress.clone()
    }

    fn follow(&mut self, stdout: Option<ChildStdout>) {
        let follower = tokio::spawn(follow(stdout, self.progress()));
        self.follower = Some(AbortOnDropHandle::new(follower));
    }

    /// Waits until it has ended. By then its whole group is dead too, so that nobody writes to its
    /// output any more. May be cancelled and called again.
    pub async fn wait(&mut self) -> Exit {
        if let Some(exit) = &self.exit {
            return exit.clone();
        }
        let ended = self.child.ended().await;
        let stderr = self.collector.finish().await;
        let exit = Exit { code: ended.code, signal: ended.signal, stderr };
        self.exit.insert(exit).clone()
    }

    /// Stops it: SIGINT, at which DCE closes its output within 0.2 s (DCE 2.47: docs/dce.md), and SIGKILL
    /// of the whole group if it has not ended after `patience`.
    pub async fn stop(&mut self, patience: Duration) -> Exit {
        self.child.interrupt();
        if timeout(patience, self.child.ended()).await.is_err() {
            self.child.kill();
        }
        self.wait().await
    }
}

/// Reads stderr while the process runs, so that the process never waits for a reader.
#[derive(Debug)]
struct Collector {
    captured: Arc<Mutex<Capture>>,
    reader: JoinHandle<()>,
    token: SecretString,
}

impl Collector {
    fn start(stderr: Option<ChildStderr>, token: SecretString) -> Self {
        let captured = Arc::new(Mutex::new(Capture::default()));
        let reader = tokio::spawn(collect(stderr, Arc::clone(&captured)));
        Self { captured, reader, token }
    }

    async fn finish(&mut self) -> Stderr {
        if !self.reader.is_finished() && timeout(STDERR_LIMIT, &mut self.reader).await.is_err() {
            self.reader.abort();
        }
        let captured = self.captured.lock().unwrap_or_else(PoisonError::into_inner);
        captured.text(self.token.expose_secret())
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

async fn collect(stderr: Option<impl AsyncRead + Unpin>, captured: Arc<Mutex<Capture>>) {
    let Some(mut stderr) = stderr else { return };
    let mut buffer = vec![0; 8192];
    while let Ok(read @ 1..) = stderr.read(&mut buffer).await {
        captured.lock().unwrap_or_else(PoisonError::into_inner).push(&buffer[..read]);
    }
}

/// Reads stdout to its end, so that the process never waits for a reader.
async fn follow(stdout: Option<impl AsyncRead + Unpin>, progress: Progress) {
    let Some(mut stdout) = stdout else { return };
    let (mut lines, mut buffer) = (Lines::default(), vec![0; 1024]);
    while let Ok(read @ 1..) = stdout.read(&mut buffer).await {
        if let Some(percent) = lines.push(&buffer[..read]) {
            progress.tell(percent);
        }
    }
}
