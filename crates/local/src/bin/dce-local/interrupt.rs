//! Ctrl-C, and SIGTERM, which asks the same.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// The user ended it before it was done.
#[derive(Debug, thiserror::Error)]
#[error("interrupted")]
pub(crate) struct Interrupted;

/// From `listen` on, neither signal ends the process by itself.
pub(crate) struct Interrupt {
    sigint: Signal,
    sigterm: Signal,
}

impl Interrupt {
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Self { sigint: signal(SignalKind::interrupt())?, sigterm: signal(SignalKind::terminate())? })
    }

    /// Returns once one of them has come.
    pub(crate) async fn received(&mut self) {
        tokio::select! {
            _ = self.sigint.recv() => {}
            _ = self.sigterm.recv() => {}
        }
    }

    /// The result of `work`, unless a signal comes first.
    pub(crate) async fn or<T>(&mut self, work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
        tokio::select! {
            result = work => result,
            () = self.received() => Err(Interrupted.into()),
        }
    }
}
