//! One child process and its thread.
//!
//! Each child has its own thread, which forks it, waits for it, kills the rest of its group and reaps it. The
//! parent-death signal fires when the *thread* that forked ends. So this thread must fork, and no thread of the async
//! runtime: it ends after the child or with the whole worker.

use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{ChildStderr, ChildStdout, Command, ExitStatus};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nix::errno::Errno;
use nix::sys::prctl::set_pdeathsig;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{SigHandler, SigSet, Signal, kill, killpg, signal};
use nix::sys::stat::{Mode, umask};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::{Pid, getppid};
use tokio::sync::{oneshot, watch};

/// How a process ended; both are `None` if the system does not report it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct ExitState {
    pub(super) code: Option<i32>,
    pub(super) signal: Option<i32>,
}

#[derive(Debug)]
pub(super) struct Child {
    pub(super) pid: u32,
    group: Group,
    ended: watch::Receiver<Option<ExitState>>,
}

pub(super) struct Pipes {
    pub(super) stdout: Option<ChildStdout>,
    pub(super) stderr: Option<ChildStderr>,
}

impl Child {
    /// Starts `command` in its own process group, with default signals, no core dumps, files private to this user, and
    /// SIGKILL when the worker dies.
    pub(super) async fn start(mut command: Command) -> io::Result<(Self, Pipes)> {
        command.process_group(0);
        prepare(&mut command);
        let (reply, started) = oneshot::channel();
        std::thread::Builder::new().name("dce-child".into()).spawn(move || supervise(command, reply))?;
        started.await.map_err(|_| io::Error::other("the thread of the child ended"))?
    }

    /// Returns how it ended, once its whole group is gone. Cancel-safe.
    pub(super) async fn ended(&mut self) -> ExitState {
        match self.ended.wait_for(Option::is_some).await {
            Ok(ended) => ended.unwrap_or_default(),
            Err(_) => ExitState::default(),
        }
    }

    /// Sends SIGINT, as Ctrl-C does.
    pub(super) fn interrupt(&self) {
        if let Some(pid) = *self.group.leader() {
            // It fails if the process has just ended, as intended.
            let _ = kill(pid, Signal::SIGINT);
        }
    }

    /// Kills it and every process in its group.
    pub(super) fn kill(&self) {
        self.group.kill();
    }
}

/// Kills a child that nobody waits for.
impl Drop for Child {
    fn drop(&mut self) {
        self.group.kill();
    }
}

/// The process group of a child: the leader's id until the leader is reaped. Afterwards the system may reuse the id, so
/// signals are sent and the leader is reaped under one lock.
#[derive(Debug, Clone)]
struct Group(Arc<Mutex<Option<Pid>>>);

impl Group {
    fn leader(&self) -> MutexGuard<'_, Option<Pid>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn kill(&self) {
        if let Some(pid) = *self.leader() {
            let _ = killpg(pid, Signal::SIGKILL);
        }
    }

    /// Kills the rest of the ended leader's group and reaps the leader.
    fn reap(&self, leader: &mut std::process::Child) -> io::Result<ExitStatus> {
        let mut pid = self.leader();
        if let Some(pid) = pid.take() {
            let _ = killpg(pid, Signal::SIGKILL);
        }
        leader.wait()
    }
}

/// Starts the child and supervises it to its end, on its own thread.
fn supervise(mut command: Command, reply: oneshot::Sender<io::Result<(Child, Pipes)>>) {
    let spawned = command.spawn();
    // It contains the environment and so the token.
    drop(command);
    let mut process = match spawned {
        Ok(process) => process,
        Err(error) => {
            let _ = reply.send(Err(error));
            return;
        }
    };
    let pid = Pid::from_raw(process.id().cast_signed());
    let group = Group(Arc::new(Mutex::new(Some(pid))));
    let pipes = Pipes { stdout: process.stdout.take(), stderr: process.stderr.take() };
    let (report, ended) = watch::channel(None);
    let child = Child { pid: process.id(), group: group.clone(), ended };
    // If the receiver is gone, dropping the child kills it.
    drop(reply.send(Ok((child, pipes))));

    // Waits without reaping, so that the id remains the child's until the group is killed.
    while waitid(Id::Pid(pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT) == Err(Errno::EINTR) {}
    let status = group.reap(&mut process);
    report.send_replace(Some(match status {
        Ok(status) => ExitState { code: status.code(), signal: status.signal() },
        Err(_) => ExitState::default(),
    }));
}

/// Sets up what the child does between fork and exec.
#[expect(unsafe_code, reason = "there is no safe interface to what a child does between fork and exec")]
fn prepare(command: &mut Command) {
    let worker = Pid::this();
    let child = move || {
        umask(Mode::S_IRWXG | Mode::S_IRWXO);
        setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
        // A signal that is ignored at exec stays ignored: DCE would never stop at SIGINT.
        for inherited in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGPIPE, Signal::SIGHUP] {
            // SAFETY: installs no handler, only restores the default.
            unsafe { signal(inherited, SigHandler::SigDfl) }?;
        }
        SigSet::empty().thread_set_mask()?;
        set_pdeathsig(Signal::SIGKILL)?;
        // If the worker died before the line above, no signal will come.
        if getppid() == worker { Ok(()) } else { Err(Errno::ESRCH.into()) }
    };
    // SAFETY: between fork and exec of a process with threads only async-signal-safe calls are
    // allowed. These are plain system calls; nothing allocates or takes a lock, and errors are
    // numbers.
    unsafe { command.pre_exec(child) };
}
