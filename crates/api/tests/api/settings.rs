use std::fs;
use std::process::{Command, Output};

use crate::support::PROGRAM;

const NAMES: [&str; 15] = [
    "DATABASE_URL",
    "DEFAULT_CHANNEL_ID",
    "ALLOWED_CHANNEL_IDS",
    "API_KEYS",
    "ALLOW_UNAUTHENTICATED",
    "HOST",
    "PORT",
    "LOG_FORMAT",
    "DB_POOL_SIZE",
    "MIGRATE_ON_START",
    "MAX_ATTEMPTS",
    "MAX_PARALLEL_RUNS",
    "RATE_LIMIT_PER_MINUTE",
    "REQUEST_TIMEOUT",
    "CORS_ALLOWED_ORIGINS",
];

/// Runs the program to its end with only these variables.
fn run(arguments: &[&str], environment: &[(&str, &str)]) -> (Option<i32>, String) {
    let mut command = Command::new(PROGRAM);
    command.args(arguments).env_clear().env("DOTENV", "false").envs(environment.iter().copied());
    finish(command.output().unwrap())
}

fn finish(output: Output) -> (Option<i32>, String) {
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(text).unwrap())
}

#[test]
fn all_mistakes_are_reported_at_once_without_any_value() {
    let (code, text) = run(
        &[],
        &[
            ("DATABASE_URL", "postgres://user:hunter2@db.example.com:6543/postgres"),
            ("DEFAULT_CHANNEL_ID", "hunter2-general"),
            ("ALLOWED_CHANNEL_IDS", "1,hunter2"),
            ("API_KEYS", "name:write:hunter2"),
            ("ALLOW_UNAUTHENTICATED", "hunter2"),
            ("HOST", "hunter2.example.com"),
            ("PORT", "65536"),
            ("LOG_FORMAT", "hunter2"),
            ("DB_POOL_SIZE", "0"),
            ("MIGRATE_ON_START", "hunter2"),
            ("MAX_ATTEMPTS", "-1"),
            ("MAX_PARALLEL_RUNS", "many"),
            ("RATE_LIMIT_PER_MINUTE", "few"),
            ("REQUEST_TIMEOUT", "soon"),
            ("CORS_ALLOWED_ORIGINS", "hunter2"),
        ],
    );
    assert_eq!(code, Some(2), "{text}");
    for name in NAMES {
        let lines = text.lines().filter(|line| line.trim_start().starts_with(&format!("{name} "))).count();
        assert_eq!(lines, 1, "one line for {name}: {text}");
    }
    assert!(!text.contains("hunter2"), "{text}");
}

#[test]
fn a_missing_database_url_is_reported_and_blank_counts_as_missing() {
    let all = |value| NAMES.map(|name| (name, value)).to_vec();
    for environment in [vec![], all(""), all(" ")] {
        let (code, text) = run(&[], &environment);
        assert_eq!(code, Some(2));
        assert!(text.contains("DATABASE_URL is not set"), "{text}");
        assert_eq!(text.lines().filter(|line| line.starts_with("  ")).count(), 1, "{text}");
    }
}

#[test]
fn without_keys_only_loopback_is_allowed_unless_a_setting_permits_more() {
    let database = ("DATABASE_URL", "not a url, so that it ends here");
    for host in ["0.0.0.0", "::", "192.168.1.1"] {
        let (code, text) = run(&[], &[database, ("HOST", host)]);
        assert_eq!(code, Some(2));
        assert!(text.contains("HOST is not a loopback address"), "{host}: {text}");
        assert!(text.contains("ALLOW_UNAUTHENTICATED=true"), "{text}");
        let (_, text) = run(&[], &[database, ("HOST", host), ("ALLOW_UNAUTHENTICATED", "true")]);
        assert!(!text.contains("HOST"), "{host}: {text}");
    }
    for host in ["127.0.0.1", "127.1.2.3", "::1", "localhost"] {
        let (_, text) = run(&[], &[database, ("HOST", host)]);
        assert!(!text.contains("HOST"), "{host}: {text}");
    }
}

#[test]
fn the_help_documents_every_variable_and_shows_no_value() {
    let (code, text) =
        run(&["--help"], &[("DATABASE_URL", "postgres://u:hunter2@h/d"), ("API_KEYS", "hunter2")]);
    assert_eq!(code, Some(0));
    for name in NAMES.into_iter().chain(["RUST_LOG", "migrate", "healthcheck", "prune", "purge"]) {
        assert!(text.contains(name), "{name} is not in the help: {text}");
    }
    assert!(!text.contains("hunter2"), "{text}");
}

#[test]
fn a_dotenv_is_read_unless_disabled_and_a_broken_one_is_reported() {
    let directory = tempfile::tempdir().unwrap();
    let run = |content: &str, environment: &[(&str, &str)]| {
        fs::write(directory.path().join(".env"), content).unwrap();
        let mut command = Command::new(PROGRAM);
        command.current_dir(directory.path()).env_clear().envs(environment.iter().copied());
        finish(command.output().unwrap())
    };
    let broken_port = "PORT=hunter2\n";
    let (code, text) = run(broken_port, &[]);
    assert!(code == Some(2) && text.contains("PORT must"), "{text}");
    let (_, text) = run(broken_port, &[("PORT", "8000")]);
    assert!(!text.contains("PORT"), "the environment wins: {text}");
    for (value, is_read) in [("false", false), ("0", false), ("true", true), (" ", true)] {
        let (_, text) = run(broken_port, &[("DOTENV", value)]);
        assert_eq!(text.contains("PORT must"), is_read, "DOTENV={value:?}: {text}");
    }
    let (_, text) = run(broken_port, &[("RENDER", "true")]);
    assert!(text.contains("PORT must"), "RENDER has no meaning: {text}");
    let (code, text) = run(broken_port, &[("DOTENV", "hunter2")]);
    assert!(code == Some(2) && text.contains("DOTENV must be true or false"), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
    let (code, text) = run("DATABASE_URL=postgres://x\nhunter2 is no assignment\n", &[]);
    assert!(code == Some(2) && text.contains(".env") && !text.contains("hunter2"), "{text}");
}
