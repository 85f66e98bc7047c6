//! Keeps one process of the deployment running, one instance after the other, as an operator's platform would.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dce_local::{Launch, Program, ServiceProcess};
use nix::sys::signal::Signal;
use nix::unistd::Pid;

/// Time allowed for SIGKILL on a busy machine.
const KILL_LIMIT: Duration = Duration::from_secs(20);

#[derive(Debug)]
pub(crate) struct SupervisedProcess {
    launch: Launch,
    /// Locked while a fault is injected, until the process runs again.
    instance: tokio::sync::Mutex<Instance>,
    /// Readable meanwhile.
    status: Mutex<Status>,
}

/// The running process, if any, and the logs of its predecessors.
#[derive(Debug)]
pub(crate) struct Instance {
    pub(crate) running: Option<ServiceProcess>,
    former_logs: Vec<Vec<String>>,
}

#[derive(Debug, Clone, Default)]
struct Status {
    announced: Option<String>,
    is_up: bool,
}

impl SupervisedProcess {
    /// Starts the first instance.
    pub(crate) fn start(launch: Launch) -> anyhow::Result<Self> {
        let instance = Instance { running: Some(launch.start()?), former_logs: Vec::new() };
        Ok(Self { launch, instance: tokio::sync::Mutex::new(instance), status: Mutex::default() })
    }

    pub(crate) const fn program(&self) -> Program {
        self.launch.program
    }

    /// Locks the instance to inject a fault.
    pub(crate) async fn lock(&self) -> tokio::sync::MutexGuard<'_, Instance> {
        self.instance.lock().await
    }

    /// Locks the instance unless a fault is being injected.
    pub(crate) fn try_lock(&self) -> Option<tokio::sync::MutexGuard<'_, Instance>> {
        self.instance.try_lock().ok()
    }

    /// Starts another instance after the end of the last one.
    pub(crate) fn restart(&self, instance: &mut Instance) -> anyhow::Result<()> {
        instance.running = Some(self.launch.start()?);
        Ok(())
    }

    /// The address of a ready API, the id of a ready worker; none while a fault is injected.
    pub(crate) fn announced(&self) -> Option<String> {
        let mut status = self.status();
        status.announced.clone().filter(|_| status.is_up).or_else(|| {
            let announced = self.try_lock()?.running.as_ref()?.announced()?;
            *status = Status { announced: Some(announced.clone()), is_up: true };
            Some(announced)
        })
    }

    pub(crate) async fn pid(&self) -> Option<Pid> {
        self.instance.lock().await.running.as_ref().map(|process| process.child.pid())
    }

    /// Counts the process as not ready until `announced` finds that it is.
    pub(crate) fn mark_down(&self) {
        *self.status() = Status::default();
    }

    fn status(&self) -> MutexGuard<'_, Status> {
        self.status.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Instance {
    pub(crate) fn is_running(&mut self) -> bool {
        self.running.as_mut().is_some_and(|process| process.check().is_ok())
    }

    pub(crate) fn signal(&self, signal: Signal) {
        if let Some(process) = &self.running {
            let _ = process.child.signal(signal); // an error means that it has ended
        }
    }

    /// Kills the process, if it runs, and keeps its log.
    pub(crate) async fn kill(&mut self) -> anyhow::Result<()> {
        self.signal(Signal::SIGKILL);
        if let Some(process) = &mut self.running {
            let status = process.child.wait(KILL_LIMIT).await?;
            anyhow::ensure!(status.is_some(), "a process does not end within {KILL_LIMIT:?} of SIGKILL");
        }
        self.keep_log();
        Ok(())
    }

    /// Keeps the log of a process that has ended.
    pub(crate) fn keep_log(&mut self) {
        self.former_logs.extend(self.running.take().map(|process| process.child.lines()));
    }

    /// The logs of all instances so far.
    pub(crate) fn logs(&self) -> Vec<Vec<String>> {
        let current = self.running.as_ref().map(|process| process.child.lines());
        self.former_logs.iter().cloned().chain(current).collect()
    }
}
