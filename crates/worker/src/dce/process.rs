//! Starts, watches and stops DCE.

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
use super::exit::Exit;
use super::progress::{DceProgress, Lines};
use super::stderr::{Stderr, StderrBuffer};

/// Time allowed for the end of stderr after the process and its group are gone. Only a process that left the group can
/// hold it open longer.
const STDERR_LIMIT: Duration = Duration::from_secs(1);

#[derive(Debug, Clone)]
pub struct Spawner {
    program: PathBuf,
}

/// The parameters of one start. It contains the token, so it is not `Debug`.
pub struct Launch<'a> {
    /// See [`super::arguments::ExportArguments::to_args`].
    pub arguments: Vec<OsString>,
    /// The whole environment, see [`super::environment()`].
    pub environment: Vec<(OsString, OsString)>,
    /// The attempt's directory, which becomes the working directory.
    pub directory: &'a Path,
    /// Redacted in the captured stderr.
    pub token: &'a SecretString,
}

#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// The program does not exist or cannot be executed.
    #[error("{} cannot be executed: {source}", .program.display())]
    Missing { program: PathBuf, source: io::Error },
    /// Any other reason: processes, memory, descriptors, the attempt's directory.
    #[error("cannot start a process: {0}")]
    Other(#[from] io::Error),
}

impl From<&SpawnError> for Failure {
    fn from(error: &SpawnError) -> Self {
        match error {
            SpawnError::Missing { program, source } => {
                let name = program.file_name().unwrap_or_default().display();
                Self::new(FailureKind::DceMissing).with_detail(format!("{name}: {source}"))
            }
            SpawnError::Other(source) => {
                Self::new(FailureKind::WorkerError).with_detail(format!("cannot start a process: {source}"))
            }
        }
    }
}

impl Spawner {
    pub const fn new(program: PathBuf) -> Self {
        Self { program }
    }

    /// Starts the program with null stdin, parsing progress from stdout and capturing stderr. Must be called within a
    /// tokio runtime.
    pub async fn spawn(&self, launch: Launch<'_>) -> Result<DceProcess, SpawnError> {
        let (mut dce, stdout) = self.start(launch).await?;
        dce.parse_progress(stdout);
        Ok(dce)
    }

    /// Starts the program without reading its stdout.
    pub(super) async fn start(
        &self,
        launch: Launch<'_>,
    ) -> Result<(DceProcess, Option<ChildStdout>), SpawnError> {
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
        let stderr_reader = StderrReader::start(stderr, launch.token.clone());
        let (progress, stdout_reader) = (DceProgress::default(), None);
        Ok((DceProcess { child, stderr_reader, progress, stdout_reader, exit: None }, stdout))
    }

    fn spawn_error(&self, source: io::Error, directory: &Path) -> SpawnError {
        let of_program = matches!(
            source.raw_os_error().map(Errno::from_raw),
            Some(Errno::ENOENT | Errno::ENOTDIR | Errno::EACCES | Errno::ENOEXEC)
        );
        // Changing into a missing directory gives the same error codes.
        if of_program && directory.is_dir() {
            SpawnError::Missing { program: self.program.clone(), source }
        } else {
            SpawnError::Other(source)
        }
    }
}

/// A started process. Dropping it kills its whole group.
#[derive(Debug)]
pub struct DceProcess {
    child: Child,
    stderr_reader: StderrReader,
    progress: DceProgress,
    stdout_reader: Option<AbortOnDropHandle<()>>,
    exit: Option<Exit>,
}

impl DceProcess {
    /// The process id, which is also the id of the group.
    pub const fn pid(&self) -> u32 {
        self.child.pid
    }

    pub fn progress(&self) -> DceProgress {
        self.progress.clone()
    }

    fn parse_progress(&mut self, stdout: Option<ChildStdout>) {
        let reader = tokio::spawn(read_progress(stdout, self.progress()));
        self.stdout_reader = Some(AbortOnDropHandle::new(reader));
    }

    /// Waits until it has ended. By then its whole group is dead too, so nobody writes to its output any more.
    /// Cancel-safe.
    pub async fn wait(&mut self) -> Exit {
        if let Some(exit) = &self.exit {
            return exit.clone();
        }
        let ended = self.child.ended().await;
        let stderr = self.stderr_reader.finish().await;
        let exit = Exit { code: ended.code, signal: ended.signal, stderr };
        self.exit.insert(exit).clone()
    }

    /// Sends SIGINT, after which DCE closes its output within 0.2 s (docs/dce.md), and SIGKILL to the whole
    /// group if it has not ended after `patience`.
    pub async fn stop(&mut self, patience: Duration) -> Exit {
        self.child.interrupt();
        if timeout(patience, self.child.ended()).await.is_err() {
            self.child.kill();
        }
        self.wait().await
    }
}

/// Reads stderr while the process runs, so that the process never blocks on a full pipe.
#[derive(Debug)]
struct StderrReader {
    buffer: Arc<Mutex<StderrBuffer>>,
    reader: JoinHandle<()>,
    token: SecretString,
}

impl StderrReader {
    fn start(stderr: Option<ChildStderr>, token: SecretString) -> Self {
        let buffer = Arc::new(Mutex::new(StderrBuffer::default()));
        let reader = tokio::spawn(read_stderr(stderr, Arc::clone(&buffer)));
        Self { buffer, reader, token }
    }

    async fn finish(&mut self) -> Stderr {
        if !self.reader.is_finished() && timeout(STDERR_LIMIT, &mut self.reader).await.is_err() {
            self.reader.abort();
        }
        let buffer = self.buffer.lock().unwrap_or_else(PoisonError::into_inner);
        buffer.text(self.token.expose_secret())
    }
}

impl Drop for StderrReader {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

async fn read_stderr(stderr: Option<impl AsyncRead + Unpin>, buffer: Arc<Mutex<StderrBuffer>>) {
    let Some(mut stderr) = stderr else { return };
    let mut bytes = vec![0; 8192];
    while let Ok(read @ 1..) = stderr.read(&mut bytes).await {
        buffer.lock().unwrap_or_else(PoisonError::into_inner).push(&bytes[..read]);
    }
}

/// Reads stdout to its end, so that the process never blocks on a full pipe.
async fn read_progress(stdout: Option<impl AsyncRead + Unpin>, progress: DceProgress) {
    let Some(mut stdout) = stdout else { return };
    let (mut lines, mut buffer) = (Lines::default(), vec![0; 1024]);
    while let Ok(read @ 1..) = stdout.read(&mut buffer).await {
        if let Some(percent) = lines.push(&buffer[..read]) {
            progress.report(percent);
        }
    }
}
