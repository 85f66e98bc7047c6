//! One child process and the thread it hangs on.
//!
//! Each child has a thread of its own that forks it, waits for it, ends what it left behind and
//! reaps it. The parent-death signal fires when the *thread* that forked ends, so this thread and no
//! thread of the async runtime must fork: it ends after the child, or with the whole worker.

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

/// How a process ended; both `None` if the system does not tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Ended {
    pub(super) code: Option<i32>,
    pub(super) signal: Option<i32>,
}

/// A child that runs, or ran.
#[derive(Debug)]
pub(super) struct Child {
    pub(super) pid: u32,
    group: Group,
    ended: watch::Receiver<Option<Ended>>,
}

/// The piped outputs of a child.
pub(super) struct Pipes {
    pub(super) stdout: Option<ChildStdout>,
    pub(super) stderr: Option<ChildStderr>,
}

impl Child {
    /// Starts `command` in a process group of its own, with default signals, no core dumps, files
    /// for this user only, and SIGKILL when the worker dies.
    pub(super) async fn start(mut command: Command) -> io::Result<(Self, Pipes)> {
        command.process_group(0);
        prepare(&mut command);
        let (reply, started) = oneshot::channel();
        std::thread::Builder::new().name("dce-child".into()).spawn(move || live(command, reply))?;
        started.await.map_err(|_| io::Error::other("the thread of the child ended"))?
    }

    /// How it ended, once its whole group is gone. May be dropped and asked again.
    pub(super) async fn ended(&mut self) -> Ended {
        match self.ended.wait_for(Option::is_some).await {
            Ok(ended) => ended.unwrap_or_default(),
            Err(_) => Ended::default(),
        }
    }

    /// Asks it to end as Ctrl-C would.
    pub(super) fn interrupt(&self) {
        if let Some(pid) = *self.group.leader() {
            // It fails for a process that has just ended, which is what was asked for.
            let _ = kill(pid, Signal::SIGINT);
        }
    }

    /// Kills it and every process it started that is still in its group.
    pub(super) fn kill(&self) {
        self.group.kill();
    }
}

/// Nothing is left of a child that nobody waits for.
impl Drop for Child {
    fn drop(&mut self) {
        self.group.kill();
    }
}

/// The process group of a child: its leader's id until the leader is reaped. Afterwards the system
/// may give the number to others, so signals are sent and the leader is reaped under one lock.
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

    /// Kills what the ended leader left behind and reaps it.
    fn reap(&self, leader: &mut std::process::Child) -> io::Result<ExitStatus> {
        let mut pid = self.leader();
        if let Some(pid) = pid.take() {
            let _ = killpg(pid, Signal::SIGKILL);
        }
        leader.wait()
    }
}

/// The life of a child, on its thread.
fn live(mut command: Command, reply: oneshot::Sender<io::Result<(Child, Pipes)>>) {
    let spawned = command.spawn();
    // It holds the environment, and with it the token.
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
    // Nobody there to take it: dropped, it is killed.
    drop(reply.send(Ok((child, pipes))));

    // Waits without reaping, so that the number stays the child's until the group is killed.
    while waitid(Id::Pid(pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT) == Err(Errno::EINTR) {}
    let status = group.reap(&mut process);
    report.send_replace(Some(match status {
        Ok(status) => Ended { code: status.code(), signal: status.signal() },
        Err(_) => Ended::default(),
    }));
}

/// What the child does between fork and exec.
#[expect(unsafe_code, reason = "there is no safe interface to what a child does between fork and exec")]
fn prepare(command: &mut Command) {
    let worker = Pid::this();
    let child = move || {
        umask(Mode::S_IRWXG | Mode::S_IRWXO);
        setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
        // A signal that is inherited as ignored stays ignored: DCE would never stop at SIGINT.
        for inherited in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGPIPE, Signal::SIGHUP] {
            // SAFETY: no handler is installed, only the default restored.
            unsafe { signal(inherited, SigHandler::SigDfl) }?;
        }
        SigSet::empty().thread_set_mask()?;
        set_pdeathsig(Signal::SIGKILL)?;
        // The worker may have died before the line above; then no signal comes.
        if getppid() == worker { Ok(()) } else { Err(Errno::ESRCH.into()) }
    };
    // SAFETY: between fork and exec of a process with threads only async-signal-safe calls are
    // allowed. These are plain system calls; nothing allocates or takes a lock, and errors are
    // numbers.
    unsafe { command.pre_exec(child) };
}
