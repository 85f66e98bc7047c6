//! Ctrl-C, and SIGTERM, which means the same.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// The user ended the command before it was done.
#[derive(Debug, thiserror::Error)]
#[error("interrupted")]
pub(crate) struct Interrupted;

/// Receives both signals; from `listen` on, neither ends the process by itself.
pub(crate) struct Interrupt {
    sigint: Signal,
    sigterm: Signal,
}

impl Interrupt {
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Self { sigint: signal(SignalKind::interrupt())?, sigterm: signal(SignalKind::terminate())? })
    }

    /// Waits for one of the signals.
    pub(crate) async fn received(&mut self) {
        tokio::select! {
            _ = self.sigint.recv() => {}
            _ = self.sigterm.recv() => {}
        }
    }

    /// Returns the result of `work`, unless a signal comes first.
    pub(crate) async fn or<T>(&mut self, work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
        tokio::select! {
            result = work => result,
            () = self.received() => Err(Interrupted.into()),
        }
    }
}
