//! How the process ends: exit code and stderr, cancelled by SIGINT, or killed by a signal.

use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{SigSet, Signal, raise};

use crate::console::print_error;
use crate::part_writer::OutputError;
use crate::recorded_texts::{self, RecordedTexts};

/// From SIGINT to its end the real DCE takes 0.11 to 0.17 s; a second SIGINT in that time kills it.
const SHUTDOWN_TIME: Duration = Duration::from_millis(110);

#[derive(Debug)]
pub(crate) enum ProcessExit {
    /// Exit code and stderr.
    Exit(u8, String),
    /// As after SIGINT, with the version's text.
    Cancelled(&'static RecordedTexts),
    Killed(Signal),
}

impl ProcessExit {
    /// An error that DCE did not handle.
    pub(crate) fn error(stderr: impl Into<String>) -> Self {
        Self::Exit(1, stderr.into())
    }

    /// Ends the process by its signal, or prints its stderr and returns its exit code.
    pub(crate) fn into_exit_code(self) -> ExitCode {
        match self {
            Self::Exit(code, stderr) => {
                print_error(&stderr);
                ExitCode::from(code)
            }
            Self::Cancelled(texts) => {
                let first_lines = recorded_texts::CANCELLED_FIRST_LINES.len();
                let (first, rest) = texts.cancelled.split_at(first_lines);
                print_error(first);
                thread::sleep(SHUTDOWN_TIME);
                print_error(rest);
                ExitCode::FAILURE
            }
            Self::Killed(signal) => {
                // Nobody wants a core file of this; if one is written nevertheless, no harm is done.
                let _ = setrlimit(Resource::RLIMIT_CORE, 0, 0);
                let _ = SigSet::all().thread_unblock();
                let _ = raise(signal);
                // Reached only if the signal was inherited as ignored.
                ExitCode::FAILURE
            }
        }
    }
}

/// The exit of a DCE that cannot write its output.
impl From<&OutputError> for ProcessExit {
    fn from(error: &OutputError) -> Self {
        let path = error.path.display().to_string();
        Self::error(match error.source.kind() {
            std::io::ErrorKind::StorageFull => recorded_texts::disk_full(&path),
            _ => recorded_texts::io_error(&path, &error.source),
        })
    }
}
