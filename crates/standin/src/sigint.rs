//! SIGINT as DCE handles it: the first one requests an orderly stop, a second one kills the process.

use std::fs;
use std::io;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use nix::sys::signal::{SigSet, Signal};

pub(crate) struct Sigint {
    received: Arc<(Mutex<bool>, Condvar)>,
}

impl Sigint {
    /// Starts listening in a thread of its own; every other thread must be started after this.
    /// A SIGINT inherited as ignored stays ignored (DCE 2.47 then runs to its end).
    pub(crate) fn listen() -> io::Result<Self> {
        let received = Arc::new((Mutex::new(false), Condvar::new()));
        if !inherited_as_ignored(&fs::read_to_string("/proc/self/status")?) {
            let mut sigint = SigSet::empty();
            sigint.add(Signal::SIGINT);
            sigint.thread_block()?;
            let received = Arc::clone(&received);
            thread::Builder::new().name("sigint".into()).spawn(move || {
                // The only error is an invalid set; then SIGINT stays blocked, and only SIGKILL ends the process.
                if sigint.wait().is_ok() {
                    *received.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
                    received.1.notify_all();
                    // The disposition is still the default one: the next SIGINT, delivered to this thread,
                    // kills the process.
                    let _ = sigint.thread_unblock();
                    loop {
                        thread::park();
                    }
                }
            })?;
        }
        Ok(Self { received })
    }

    /// Whether the first SIGINT was received.
    pub(crate) fn is_received(&self) -> bool {
        *self.received.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for SIGINT until `deadline`; returns whether it was received.
    pub(crate) fn wait_until(&self, deadline: Instant) -> bool {
        let (received, changed) = &*self.received;
        let mut received = received.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if *received || left.is_zero() {
                return *received;
            }
            received = changed.wait_timeout(received, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// Reads the mask of ignored signals in `/proc/self/status`, bit n - 1 for signal n.
fn inherited_as_ignored(status: &str) -> bool {
    status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .is_some_and(|mask| mask & (1 << (Signal::SIGINT as u32 - 1)) != 0)
}
