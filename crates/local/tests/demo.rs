//! The whole demo with the real API, worker and stand-in (run `cargo build --workspace` first).
#![expect(clippy::unwrap_used, reason = "what helpers cannot do fails the test")]

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

/// A temporary directory for the demo's files; every user may write to it, as to /tmp.
fn workspace() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(directory.path(), Permissions::from_mode(0o1777)).unwrap();
    directory
}

fn demo(temporary: &TempDir) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dce-local"));
    command.args(["demo", "--once"]).current_dir(temporary.path()).env("TMPDIR", temporary.path());
    for name in ["DCE_BIN", "DISCORD_TOKEN", "DEFAULT_CHANNEL_ID"] {
        command.env_remove(name);
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn entries(directory: &TempDir) -> usize {
    fs::read_dir(directory.path()).unwrap().count()
}

/// Processes whose environment names a path below `directory`.
fn processes_of(directory: &Path) -> Vec<PathBuf> {
    let wanted = directory.to_str().unwrap().as_bytes();
    fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter(|process| {
            let environment = fs::read(process.path().join("environ")).unwrap_or_default();
            environment.windows(wanted.len()).any(|part| part == wanted)
        })
        .map(|process| process.path())
        .collect()
}

/// Reads lines until one contains `part`.
fn read_until(child: &mut Child, part: &str) -> BufReader<ChildStdout> {
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while !line.contains(part) {
        line.clear();
        assert_ne!(output.read_line(&mut line).unwrap(), 0, "the demo ended without {part:?}");
    }
    output
}

fn eventually(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_mins(1);
    while !condition() {
        assert!(Instant::now() < deadline, "not within 60 s: {what}");
        sleep(Duration::from_millis(20));
    }
}

#[test]
fn the_demo_shows_an_export_and_leaves_nothing() {
    let temporary = workspace();
    // Settings of another installation have no effect.
    fs::write(temporary.path().join(".env"), "DATABASE_URL=postgres://nowhere\nALLOWED_CHANNEL_IDS=1\n")
        .unwrap();
    let output = demo(&temporary).output().unwrap();
    let text = text(&output);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("stand-in"), "does not say that it is a sample: {text}");
    assert!(text.contains("completed: 2000 messages read, 2000 new"), "{text}");
    assert!(text.contains("holds 2000 messages of the channel"), "{text}");
    assert_eq!(entries(&temporary), 1, "files stay behind");
    eventually("all processes are gone", || processes_of(temporary.path()).is_empty()); // watchers end just after the demo
}

#[test]
fn a_failure_is_reported_with_the_last_log_lines_and_without_the_token() {
    let temporary = workspace();
    let output = demo(&temporary)
        .env("DCE_BIN", "/nowhere/DiscordChatExporter.Cli")
        .env("DISCORD_TOKEN", "token-of-this-test")
        .env("DEFAULT_CHANNEL_ID", "910000000000000000")
        .output()
        .unwrap();
    let text = text(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("dce-worker ended") && text.contains("DCE_BIN"), "{text}");
    assert!(!text.contains("token-of-this-test"), "{text}");
    assert_eq!(entries(&temporary), 0, "files stay behind");
}

#[test]
fn without_a_channel_the_demo_names_the_missing_variable() {
    let temporary = workspace();
    let output = demo(&temporary).env("DCE_BIN", "/bin/true").env("DISCORD_TOKEN", "x").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains("DEFAULT_CHANNEL_ID is not set"), "{}", text(&output));
}

#[test]
fn an_interrupt_ends_all_processes_in_order() {
    let temporary = workspace();
    let mut child = demo(&temporary).spawn().unwrap();
    let _output = read_until(&mut child, "202, job");
    kill(Pid::from_raw(child.id().try_into().unwrap()), Signal::SIGINT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(entries(&temporary), 0, "files stay behind");
    eventually("all processes are gone", || processes_of(temporary.path()).is_empty()); // watchers end just after the demo
}

#[test]
fn no_process_outlives_a_demo_that_is_killed() {
    let temporary = workspace();
    let mut child = demo(&temporary).spawn().unwrap();
    let _output = read_until(&mut child, "running");
    child.kill().unwrap();
    child.wait().unwrap();
    eventually("all processes are gone", || processes_of(temporary.path()).is_empty());
    eventually("all files are gone", || entries(&temporary) == 0);
}
