//! Child processes that end with their parent, however the parent ends.

use std::ffi::OsStr;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::sys::signal::Signal;

/// `tether SIGNAL DIRECTORY COMMAND [ARGUMENT...]` becomes COMMAND and leaves a watcher behind, which reads a pipe whose
/// writing end the parent holds, and sends SIGNAL once that is closed. `$$` is COMMAND, for `exec` keeps the pid; the
/// number cannot have gone to another process, because it also names the group in which the watcher lives.
/// The wait for its end is bounded: where nobody reaps orphans, a dead process can be signalled for ever.
const SCRIPT: &str = include_str!("tether.sh");

/// A command that runs `program` tied to this process: arguments, environment, output and user may still be set.
///
/// - Its standard input must stay as it is: the parent keeps the other end (`Child::stdin`), and once that closes,
///   also by SIGKILL of the parent, the program gets `signal`, and `remove` is deleted after its end.
/// - The child's pid is that of the program.
/// - It leads a process group of its own, so a terminal's Ctrl-C reaches only the parent, which decides what to do.
pub fn tethered(program: impl AsRef<OsStr>, signal: Signal, remove: Option<&Path>) -> Command {
    let mut command = Command::new("sh");
    command
        .args(["-c", SCRIPT, "tether", signal.as_str().trim_start_matches("SIG")])
        .arg(remove.unwrap_or(Path::new("")))
        .arg(program)
        .stdin(Stdio::piped())
        .process_group(0);
    command
}
