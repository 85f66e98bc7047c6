//! The private Postgres: real servers, queried with psql.
#![expect(clippy::unwrap_used, reason = "what helpers cannot do fails the test")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use dce_local::{PostgresError, PrivatePostgres, Shutdown, free_port};
use nix::unistd::{User, geteuid};

/// The result of `sql`, or psql's error.
fn ask(mut psql: Command, sql: &str) -> Result<String, String> {
    let output = psql.args(["-Atqc", sql]).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

/// A directory that the server's user may enter.
fn open_directory() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    directory
}

fn eventually(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !condition() {
        assert!(Instant::now() < deadline, "not within 30 s: {what}");
        sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_temporary_server_works_and_leaves_nothing() {
    let one = PrivatePostgres::temporary().unwrap();
    let two = PrivatePostgres::temporary().unwrap();
    assert_eq!(ask(one.psql("postgres"), "SELECT 1"), Ok("1".into()));
    ask(one.psql("postgres"), "CREATE TABLE t ()").unwrap();
    assert!(ask(two.psql("postgres"), "SELECT * FROM t").is_err(), "servers share data");

    let url_works = Command::new("psql").args(["-c", "SELECT 1", &one.url("postgres")]).output().unwrap();
    assert!(url_works.status.success());
    let mode = fs::metadata(one.directory()).unwrap().mode();
    assert_eq!(mode & 0o077, 0, "others can reach the socket, which asks for no password");

    let directory = one.directory().to_owned();
    let psql = one.psql("postgres");
    drop(one);
    assert!(!directory.exists());
    assert!(ask(psql, "SELECT 1").is_err());
}

#[test]
fn a_persistent_server_keeps_its_data_and_requires_its_password() {
    let parent = open_directory();
    let directory = parent.path().join("new/postgres");
    let port = free_port().unwrap();
    let server = PrivatePostgres::persistent(&directory, Some(port)).unwrap();
    ask(server.psql("postgres"), "CREATE TABLE kept AS SELECT 42 AS answer").unwrap();

    let password = fs::metadata(directory.join("password")).unwrap();
    assert_eq!(password.mode() & 0o777, 0o600);
    for wrong in ["", "guess"] {
        let mut psql = server.psql("postgres");
        psql.arg("--no-password").env("PGPASSWORD", wrong);
        assert!(ask(psql, "SELECT 1").unwrap_err().contains("password"), "password {wrong:?}");
    }
    drop(server);

    let again = PrivatePostgres::persistent(&directory, None).unwrap();
    assert_eq!(ask(again.psql("postgres"), "SELECT answer FROM kept"), Ok("42".into()));
}

#[test]
fn a_second_server_on_a_directory_fails_and_the_first_keeps_running() {
    let directory = open_directory();
    let first = PrivatePostgres::persistent(directory.path(), None).unwrap();
    let error = PrivatePostgres::persistent(directory.path(), None).unwrap_err();
    assert!(matches!(&error, PostgresError::Start(log) if log.contains("postmaster.pid")), "{error}");
    assert_eq!(ask(first.psql("postgres"), "SELECT 1"), Ok("1".into()));
}

#[test]
fn a_server_starts_despite_the_lock_file_of_a_killed_one() {
    let directory = open_directory();
    drop(PrivatePostgres::persistent(directory.path(), None).unwrap());
    let mut dead = Command::new("true").spawn().unwrap();
    dead.wait().unwrap();
    let data = directory.path().join("data");
    let stale = format!("{}\n{}\n1600000000\n5432\n/tmp\n\n0 0\nready   \n", dead.id(), data.display());
    fs::write(data.join("postmaster.pid"), stale).unwrap();

    let _server = PrivatePostgres::persistent(directory.path(), None).unwrap();
    UnixStream::connect(directory.path().join(".s.PGSQL.5432"))
        .expect("the old file passed for a sign of readiness");
}

#[test]
fn an_interrupted_first_start_is_repeated() {
    let directory = open_directory();
    fs::create_dir(directory.path().join("data.new")).unwrap();
    fs::write(directory.path().join("data.new/PG_VERSION"), "15\n").unwrap();
    let server = PrivatePostgres::persistent(directory.path(), None).unwrap();
    assert_eq!(ask(server.psql("postgres"), "SELECT 1"), Ok("1".into()));
}

#[test]
fn a_directory_with_other_files_is_refused_and_not_changed() {
    let directory = open_directory();
    fs::write(directory.path().join("letter.txt"), "mine").unwrap();
    let before = fs::metadata(directory.path()).unwrap();
    let error = PrivatePostgres::persistent(directory.path(), None).unwrap_err();
    assert!(matches!(error, PostgresError::Foreign(_)), "{error}");
    let after = fs::metadata(directory.path()).unwrap();
    assert_eq!((before.uid(), before.mode()), (after.uid(), after.mode()));
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[test]
fn a_directory_whose_path_is_too_long_for_a_socket_works() {
    let parent = open_directory();
    let server = PrivatePostgres::persistent(&parent.path().join("d".repeat(150)), None).unwrap();
    assert_eq!(ask(server.psql("postgres"), "SELECT 1"), Ok("1".into()));
}

#[test]
fn an_error_tells_root_that_the_servers_user_cannot_enter() {
    if !geteuid().is_root() {
        return; // only root runs the server as another user
    }
    let closed = tempfile::tempdir().unwrap();
    fs::set_permissions(closed.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let error = PrivatePostgres::persistent(&closed.path().join("postgres"), None).unwrap_err();
    assert!(matches!(error, PostgresError::Unreachable { .. }), "{error}");
}

/// Starts `dce-local postgres`; returns the process and the printed URL.
fn start(mut command: Command) -> (Child, String) {
    let mut child = command.arg("postgres").stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut url = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut url).unwrap();
    (child, url.trim().to_owned())
}

fn answers(url: &str) -> bool {
    Command::new("psql").args(["-Atqc", "SELECT 1", url]).output().unwrap().status.success()
}

/// Whether the process still runs. A zombie has no command line.
fn is_running(pid: &str) -> bool {
    fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|arguments| !arguments.is_empty())
}

fn directory_of(url: &str) -> String {
    let host = url.split(['@', ':']).nth(2).unwrap();
    host.replace("%2F", "/")
}

#[test]
fn the_server_ends_with_a_parent_that_is_killed() {
    let (mut parent, url) = start(Command::new(env!("CARGO_BIN_EXE_dce-local")));
    assert!(answers(&url), "{url}");
    let directory = directory_of(&url);
    let lock_file = fs::read_to_string(Path::new(&directory).join("data/postmaster.pid")).unwrap();
    let pid = lock_file.lines().next().unwrap().to_owned();
    assert!(is_running(&pid));

    parent.kill().unwrap();
    parent.wait().unwrap();
    eventually("the server is gone", || !is_running(&pid));
    eventually("its directory is gone", || !Path::new(&directory).exists());
}

#[test]
fn a_user_other_than_root_can_start_a_server() {
    let Some(nobody) = User::from_name("nobody").unwrap().filter(|_| geteuid().is_root()) else {
        return; // then the other tests cover it
    };
    let place = open_directory();
    let program = place.path().join("dce-local");
    fs::copy(env!("CARGO_BIN_EXE_dce-local"), &program).unwrap();
    let mut command = Command::new(program);
    command.uid(nobody.uid.as_raw()).gid(nobody.gid.as_raw()).current_dir("/").env_remove("TMPDIR");
    let (mut parent, url) = start(command);
    assert!(answers(&url), "{url}");
    let directory = directory_of(&url);
    assert_eq!(fs::metadata(&directory).unwrap().uid(), nobody.uid.as_raw());

    parent.kill().unwrap();
    parent.wait().unwrap();
    eventually("its directory is gone", || !Path::new(&directory).exists());
}

#[test]
fn a_server_restarts_with_all_commits_after_a_stop_and_after_a_crash() {
    let parent = open_directory();
    let settings = ["max_connections=17"];
    let mut server =
        PrivatePostgres::persistent_with(&parent.path().join("postgres"), None, &settings).unwrap();
    ask(server.psql("postgres"), "CREATE TABLE kept (answer int)").unwrap();
    for (number, how) in [Shutdown::Fast, Shutdown::Immediate].into_iter().enumerate() {
        ask(server.psql("postgres"), "INSERT INTO kept VALUES (42)").unwrap();
        server.stop(how).unwrap();
        assert!(ask(server.psql("postgres"), "SELECT 1").is_err(), "{how:?}");
        server.start_again().unwrap();
        let rows = (number + 1).to_string();
        assert_eq!(ask(server.psql("postgres"), "SELECT count(*) FROM kept"), Ok(rows), "{how:?}");
        assert_eq!(ask(server.psql("postgres"), "SHOW max_connections"), Ok("17".into()));
        assert!(server.socket().unwrap().exists());
    }
    let log = fs::read_to_string(server.directory().join("log")).unwrap();
    assert!(log.contains("automatic recovery in progress"), "an immediate stop is a crash: {log}");
}
