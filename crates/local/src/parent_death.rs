//! Child processes that end when their parent dies, however it dies.

use std::ffi::OsStr;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::sys::signal::Signal;

/// `parent_death SIGNAL DIRECTORY COMMAND [ARGUMENT...]` becomes COMMAND and leaves a watcher behind. The watcher reads a
/// pipe whose writing end the parent holds, and sends SIGNAL once that end is closed. `$$` is COMMAND because `exec` keeps
/// the pid; no other process can have the number, because it also names the group in which the watcher lives.
/// The wait for COMMAND's end is bounded: where nobody reaps orphans, a dead process can be signalled for ever.
const SCRIPT: &str = include_str!("parent_death.sh");

/// Returns a command that runs `program` tied to this process. Arguments, environment, output and user may still be set.
///
/// - Its standard input must not be changed: the parent keeps the other end (`Child::stdin`). Once that end closes, also
///   by SIGKILL of the parent, the program gets `signal`, and `remove` is deleted after the program's end.
/// - The child's pid is that of the program.
/// - The child leads a process group of its own, so a terminal's Ctrl-C reaches only the parent, which decides what to do.
pub(crate) fn command_tied_to_parent(
    program: impl AsRef<OsStr>,
    signal: Signal,
    remove: Option<&Path>,
) -> Command {
    let mut command = Command::new("sh");
    command
        .args(["-c", SCRIPT, "parent_death", signal.as_str().trim_start_matches("SIG")])
        .arg(remove.unwrap_or(Path::new("")))
        .arg(program)
        .stdin(Stdio::piped())
        .process_group(0);
    command
}
