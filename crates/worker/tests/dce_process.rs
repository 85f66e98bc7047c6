//! Starts and stops real processes: their environment, their exits, and that none survives.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use dce_core::export::failure::{Failure, FailureKind};
use dce_worker::dce::{
    DceProcess, Exit, IdentifyError, Launch, SpawnError, Spawner, VersionError, environment,
};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use secrecy::SecretString;
use tempfile::TempDir;

/// Time allowed for each step.
const BOUND: Duration = Duration::from_secs(20);
const TOKEN: &str = "MTA0.token-of-the-test.x";
/// Makes this program act as a worker when one of its own tests starts it.
const BE_A_WORKER: &str = "DCE_TEST_WORKER";

/// Runs a shell script as if it were DCE.
async fn script(directory: &Path, script: &str) -> DceProcess {
    let token = SecretString::from(TOKEN);
    Spawner::new("/bin/sh".into())
        .spawn(Launch {
            arguments: ["-c", script].map(OsString::from).into(),
            environment: environment(&token, directory, std::env::vars_os()),
            directory,
            token: &token,
        })
        .await
        .unwrap()
}

async fn run(text: &str) -> Exit {
    let directory = TempDir::new().unwrap();
    let mut running = script(directory.path(), text).await;
    tokio::time::timeout(BOUND, running.wait()).await.unwrap()
}

/// Polls until there is a value.
async fn until<T>(what: &str, mut poll: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + BOUND;
    loop {
        if let Some(found) = poll() {
            return found;
        }
        assert!(Instant::now() < deadline, "{what} did not happen");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Returns the process id that a script writes into a file.
async fn pid_in(file: &Path) -> u32 {
    until("the script's start", || fs::read_to_string(file).ok()?.strip_suffix('\n')?.parse().ok()).await
}

/// Whether a process runs; a zombie does not.
fn runs(pid: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status.lines().any(|line| line.starts_with("State:") && !line.contains(['Z', 'X']))
}

async fn until_gone(pid: u32) {
    until("the end of the process", || (!runs(pid)).then_some(())).await;
}

#[tokio::test]
async fn exit_code_signal_and_stderr_are_reported() {
    let exit = run("echo ERROR >&2; echo out; exit 3").await;
    assert_eq!((exit.code, exit.signal, exit.stderr.as_str()), (Some(3), None, "ERROR\n"));
    let exit = run("kill -TERM $$").await;
    assert_eq!((exit.code, exit.signal), (None, Some(15)));
}

#[tokio::test]
async fn wait_is_cancel_safe_and_repeatable() {
    let directory = TempDir::new().unwrap();
    let mut running = script(directory.path(), "until [ -e go ]; do sleep 0.01; done; exit 4").await;
    assert!(tokio::time::timeout(Duration::from_millis(20), running.wait()).await.is_err());
    fs::write(directory.path().join("go"), "").unwrap();
    let exit = running.wait().await;
    assert_eq!(exit.code, Some(4));
    assert_eq!(running.wait().await, exit);
    assert_eq!(running.stop(BOUND).await, exit);
}

#[tokio::test]
async fn the_token_is_in_the_environment_and_nowhere_else() {
    let directory = TempDir::new().unwrap();
    let mut running =
        script(directory.path(), "echo \"Bot $DISCORD_TOKEN\" >&2; echo > ready; exec sleep 600").await;
    until("the script's start", || directory.path().join("ready").exists().then_some(())).await;
    let proc = |file: &str| fs::read(format!("/proc/{}/{file}", running.pid())).unwrap();
    let holds = |bytes: Vec<u8>| bytes.windows(TOKEN.len()).any(|window| window == TOKEN.as_bytes());
    // During exec the environment is not visible.
    until("the token in its environment", || holds(proc("environ")).then_some(())).await;
    assert!(!holds(proc("cmdline")));
    assert!(!format!("{running:?}").contains(TOKEN));
    assert_eq!(running.stop(BOUND).await.stderr.as_str(), "Bot [redacted]\n");
}

#[tokio::test]
async fn a_child_gets_no_stdin_private_files_no_core_dumps_and_its_own_group() {
    let directory = TempDir::new().unwrap();
    let report = "exec >report; read line; echo read=$?; umask; ulimit -c; pwd; echo $HOME $TZ; cut -d' ' -f5 /proc/$$/stat; echo $$";
    let mut running = script(directory.path(), report).await;
    assert_eq!(running.wait().await.code, Some(0));
    let at = directory.path().canonicalize().unwrap();
    let (at, home, pid) = (at.display(), directory.path().display(), running.pid());
    let expected = format!("read=1\n0077\n0\n{at}\n{home} UTC\n{pid}\n{pid}\n");
    assert_eq!(fs::read_to_string(directory.path().join("report")).unwrap(), expected);
}

#[tokio::test]
async fn a_flood_on_stderr_never_blocks_the_child_and_is_truncated() {
    let exit = run("echo FIRST >&2; head -c 5000000 /dev/zero | tr '\\0' x >&2; echo LAST >&2; exit 1").await;
    let text = exit.stderr.as_str();
    assert_eq!(exit.code, Some(1));
    assert!(text.starts_with("FIRST\nxxx") && text.ends_with("xxxLAST\n"));
    assert!(text.len() < 70_000, "{}", text.len());
}

#[tokio::test]
async fn a_flood_on_stdout_never_blocks_the_child() {
    let flood = "head -c 5000000 /dev/zero | tr '\\0'";
    let exit = run(&format!("{flood} x; echo ': 3%'; {flood} '\\n'; echo done >&2; exit 5")).await;
    assert_eq!((exit.code, exit.stderr.as_str()), (Some(5), "done\n"));
}

#[tokio::test]
async fn progress_is_reported_while_the_child_runs_and_other_stdout_is_discarded() {
    let directory = TempDir::new().unwrap();
    let text = "echo 'private / talk: 7%'; printf 'private / talk: 4'; until [ -e go ]; do sleep 0.01; done; \
                echo 2%; exec sleep 600";
    let mut running = script(directory.path(), text).await;
    let progress = running.progress();
    until("the first percentage", || (progress.percent() == 7).then_some(())).await;
    fs::write(directory.path().join("go"), "").unwrap();
    until("the rest of the line", || (progress.percent() == 42).then_some(())).await;
    assert!(!format!("{running:?}").contains("private"));
    running.stop(BOUND).await;
    assert_eq!(progress.percent(), 42);
}

#[tokio::test]
async fn stop_sends_sigint_and_lets_the_child_finish_its_output() {
    let directory = TempDir::new().unwrap();
    let text = "trap 'echo closed > out; exit 1' INT; echo > ready; while :; do sleep 0.01; done";
    let mut running = script(directory.path(), text).await;
    until("the script's start", || directory.path().join("ready").exists().then_some(())).await;
    let exit = running.stop(BOUND).await;
    assert_eq!((exit.code, exit.signal), (Some(1), None));
    assert!(directory.path().join("out").exists());
    assert!(!runs(running.pid()));
}

#[tokio::test]
async fn stop_kills_a_child_that_ignores_sigint_and_its_children() {
    let directory = TempDir::new().unwrap();
    let mut running =
        script(directory.path(), "trap '' INT; sleep 600 & echo $! > pid; while :; do wait; done").await;
    let grandchild = pid_in(&directory.path().join("pid")).await;
    let stopped = tokio::time::timeout(BOUND, running.stop(Duration::from_millis(100))).await;
    assert_eq!(stopped.expect("it is not killed").signal, Some(9));
    until_gone(grandchild).await;
}

#[tokio::test]
async fn a_normal_exit_kills_grandchildren() {
    let directory = TempDir::new().unwrap();
    let mut running = script(directory.path(), "sleep 600 & echo $! > pid; exit 0").await;
    assert_eq!(running.wait().await.code, Some(0));
    until_gone(pid_in(&directory.path().join("pid")).await).await;
}

#[tokio::test]
async fn a_grandchild_outside_the_group_does_not_delay_the_end() {
    let directory = TempDir::new().unwrap();
    let mut running = script(
        directory.path(),
        "echo text >&2; setsid sleep 600 & echo $! > pid; \
         until [ \"$(cut -d' ' -f5 /proc/$!/stat)\" = $! ]; do sleep 0.01; done; exit 0",
    )
    .await;
    let exit = tokio::time::timeout(BOUND, running.wait()).await.expect("it waits for the grandchild");
    assert_eq!((exit.code, exit.stderr.as_str()), (Some(0), "text\n"));
    let escaped = pid_in(&directory.path().join("pid")).await;
    assert!(runs(escaped), "the precondition of the test does not hold");
    kill(Pid::from_raw(escaped.cast_signed()), Signal::SIGKILL).unwrap();
}

#[tokio::test]
async fn a_dropped_child_is_killed_with_its_group() {
    let directory = TempDir::new().unwrap();
    let running =
        script(directory.path(), "trap '' INT TERM; sleep 600 & echo $! > pid; while :; do wait; done").await;
    let (child, grandchild) = (running.pid(), pid_in(&directory.path().join("pid")).await);
    drop(running);
    until_gone(child).await;
    until_gone(grandchild).await;
    // Reaped, not left as a zombie.
    until("the reaping", || (!Path::new(&format!("/proc/{child}")).exists()).then_some(())).await;
}

#[tokio::test]
async fn a_missing_program_is_reported_without_its_directory() {
    let directory = TempDir::new().unwrap();
    fs::write(directory.path().join("not-executable"), "#!/bin/sh\n").unwrap();
    let spawn = async |program: &str, directory: &Path| {
        let token = SecretString::from(TOKEN);
        let launch = Launch { arguments: Vec::new(), environment: Vec::new(), directory, token: &token };
        let error = Spawner::new(program.into()).spawn(launch).await.unwrap_err();
        Failure::from(&error)
    };
    let missing = spawn("/opt/none/DiscordChatExporter.Cli", directory.path()).await;
    assert_eq!(missing.kind, FailureKind::DceMissing);
    assert_eq!(missing.detail.unwrap(), "DiscordChatExporter.Cli: No such file or directory (os error 2)");
    let program = directory.path().join("not-executable");
    assert_eq!(spawn(program.to_str().unwrap(), directory.path()).await.kind, FailureKind::DceMissing);
    // The program is there, the attempt's directory is not.
    assert_eq!(spawn("/bin/sh", &directory.path().join("gone")).await.kind, FailureKind::WorkerError);
}

/// A program with this body, for `--version`.
fn program(directory: &Path, body: &str) -> Spawner {
    let path = directory.join("program");
    // Another process writes it: a child that another test forks at this moment could inherit a descriptor that is open for
    // writing here, and the program would be "busy".
    let written = Command::new("/bin/sh")
        .args(["-c", "printf '#!/bin/sh\\n%s\\n' \"$1\" > \"$0\" && chmod +x \"$0\""])
        .args([path.as_os_str(), body.as_ref()])
        .status()
        .unwrap();
    assert!(written.success());
    Spawner::new(path)
}

#[tokio::test]
async fn identify_accepts_supported_versions_and_reports_every_other_result() {
    let directory = TempDir::new().unwrap();
    let at = directory.path();
    let ask =
        async |body: &str, limit: Duration| program(at, body).identify(std::env::vars_os(), at, limit).await;
    let supported = r#"[ "$*" = --version ] && [ -z "$DISCORD_TOKEN" ] && echo v2.48.0"#;
    let dce = ask(supported, BOUND).await.unwrap();
    assert_eq!((dce.version.to_string().as_str(), dce.is_standin), ("2.48.0", false));
    let standin = ask("echo v2.48.0; echo dce-standin", BOUND).await.unwrap();
    assert!(standin.is_standin);
    let refused = |result| match result {
        Err(IdentifyError::Version(error)) => error,
        other => panic!("{other:?}"),
    };
    assert!(matches!(refused(ask("echo v3.0.0", BOUND).await), VersionError::NewMajor(_)));
    assert!(matches!(refused(ask("echo v2.45.0", BOUND).await), VersionError::TooOld(_)));
    assert!(matches!(refused(ask("echo hello", BOUND).await), VersionError::Unreadable(_)));
    let pid = at.join("pid");
    let hangs = ask("echo $$ > pid; exec sleep 600", Duration::from_millis(300)).await;
    assert!(matches!(hangs, Err(IdentifyError::TimedOut { .. })));
    if pid.exists() {
        until_gone(pid_in(&pid).await).await;
    }
    let broken = ask("echo 'error while loading shared libraries: libx.so' >&2; exit 127", BOUND).await;
    assert!(
        matches!(&broken, Err(IdentifyError::Failed { reason, .. }) if reason.contains("libx.so")),
        "{broken:?}"
    );
    let missing = Spawner::new(at.join("none")).identify(std::env::vars_os(), at, BOUND).await;
    assert!(matches!(missing, Err(IdentifyError::Spawn(SpawnError::Missing { .. }))));
}

#[tokio::test]
async fn an_untested_version_is_accepted_if_its_help_lists_every_option() {
    let directory = TempDir::new().unwrap();
    let at = directory.path();
    let help = concat!(env!("CARGO_MANIFEST_DIR"), "/../standin/recordings-2.48/help-export/stdout");
    let body = |print: &str| {
        format!(
            r#"[ -z "$DISCORD_TOKEN" ] || exit 9; case "$*" in --version) echo v2.49.0 ;; "export --help") {print} '{help}' ;; *) exit 9 ;; esac"#
        )
    };
    let ask = async |body: &str| program(at, body).identify(std::env::vars_os(), at, BOUND).await;
    let dce = ask(&body("cat")).await.unwrap();
    assert!(dce.version.is_untested());
    let error = ask(&body("grep -v -e --partition -e --utc")).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "DiscordChatExporter 2.49.0 is not supported: its command `export` has no --utc, -p. Install 2.48"
    );
    let silent = ask(&body("true")).await;
    assert!(matches!(silent, Err(IdentifyError::MissingOptions { .. })), "{silent:?}");
}

/// Starts this program again as a worker that ignores SIGINT, like a worker started with `&` or nohup.
fn worker(role: &str, directory: &Path) -> std::process::Child {
    Command::new("/bin/sh")
        .args(["-c", "trap '' INT HUP TERM; exec \"$0\" --exact as_a_worker --nocapture --test-threads 1"])
        .arg(std::env::current_exe().unwrap())
        .env(BE_A_WORKER, role)
        .current_dir(directory)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Returns the worker's answer on the line that begins with its role, and the rest of its output: a worker whose output is
/// closed fails.
fn answer(worker: &mut std::process::Child, role: &str) -> (String, impl BufRead + use<>) {
    let mut output = BufReader::new(worker.stdout.take().unwrap());
    let mut line = String::new();
    while output.read_line(&mut line).unwrap() > 0 {
        if let Some(found) = line.trim_end().strip_prefix(&format!("{role}=")) {
            return (found.to_owned(), output);
        }
        line.clear();
    }
    panic!("the worker ended without an answer");
}

/// Returns a set of signals of a process, as a bit each.
fn signals(pid: u32, set: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(set)?.strip_prefix(":\t")).unwrap();
    u64::from_str_radix(line, 16).unwrap()
}

/// Not a test: the worker that the two tests below start.
#[tokio::test]
async fn as_a_worker() {
    let Ok(role) = std::env::var(BE_A_WORKER) else { return };
    let directory = std::env::current_dir().unwrap();
    let mut running = script(&directory, "exec sleep 600").await;
    if role == "interrupted" {
        let bits = [Signal::SIGINT, Signal::SIGHUP, Signal::SIGTERM].map(|signal| 1 << (signal as u64 - 1));
        let inherited: u64 = bits.iter().sum();
        assert_eq!(
            signals(std::process::id(), "SigIgn") & inherited,
            inherited,
            "the precondition of the test does not hold"
        );
        let still_ignored = signals(running.pid(), "SigIgn") & inherited;
        let blocked = signals(running.pid(), "SigBlk");
        let exit = running.stop(BOUND).await;
        println!("\n{role}={:?} {still_ignored} {blocked}", exit.signal);
    } else {
        println!("\n{role}={}", running.pid());
        running.wait().await;
    }
}

#[tokio::test]
async fn sigint_stops_the_child_although_the_worker_ignores_it() {
    let directory = TempDir::new().unwrap();
    let mut worker = worker("interrupted", directory.path());
    let (end, _output) = answer(&mut worker, "interrupted");
    assert_eq!(end, "Some(2) 0 0");
    assert!(worker.wait().unwrap().success());
}

#[tokio::test]
async fn a_child_dies_with_its_worker() {
    let directory = TempDir::new().unwrap();
    let mut worker = worker("killed", directory.path());
    let (pid, _output) = answer(&mut worker, "killed");
    let child = pid.parse().unwrap();
    assert!(runs(child));
    worker.kill().unwrap();
    worker.wait().unwrap();
    until_gone(child).await;
}
