//! SIGINT as DCE takes it: the first asks it to stop in order, a second one kills it.

use std::fs;
use std::io;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use nix::sys::signal::{SigSet, Signal};

/// Whether SIGINT has come.
pub(crate) struct Interrupt {
    asked: Arc<(Mutex<bool>, Condvar)>,
}

impl Interrupt {
    /// Listens from now on, in a thread of its own; every thread started later must be started after this.
    /// A SIGINT inherited as ignored stays ignored (DCE 2.47 then runs to its end).
    pub(crate) fn listen() -> io::Result<Self> {
        let asked = Arc::new((Mutex::new(false), Condvar::new()));
        if !inherited_as_ignored(&fs::read_to_string("/proc/self/status")?) {
            let mut sigint = SigSet::empty();
            sigint.add(Signal::SIGINT);
            sigint.thread_block()?;
            let asked = Arc::clone(&asked);
            thread::Builder::new().name("sigint".into()).spawn(move || {
                // The only error is an invalid set; then SIGINT stays blocked and SIGKILL is left.
                if sigint.wait().is_ok() {
                    *asked.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
                    asked.1.notify_all();
                    // The disposition is still the default one: the next SIGINT, delivered to this thread,
                    // kills the process.
                    let _ = sigint.thread_unblock();
                    loop {
                        thread::park();
                    }
                }
            })?;
        }
        Ok(Self { asked })
    }

    /// Whether the first SIGINT has come.
    pub(crate) fn asked(&self) -> bool {
        *self.asked.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for SIGINT until `deadline`; returns whether it has come.
    pub(crate) fn wait_until(&self, deadline: Instant) -> bool {
        let (asked, changed) = &*self.asked;
        let mut asked = asked.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if *asked || left.is_zero() {
                return *asked;
            }
            asked = changed.wait_timeout(asked, left).unwrap_or_else(PoisonError::into_inner).0;
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
