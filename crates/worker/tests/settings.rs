//! The settings of the program, as a hosting platform passes them.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::process::Command;

/// Runs the worker, without the `.env` of the developer, until it refuses these settings.
fn refused(environment: &[(&str, &str)]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dce-worker"));
    command.env_clear().env("DOTENV", "false").envs(environment.iter().copied());
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

/// The names of the settings with a mistake, in the order in which they are read.
fn mistakes(said: &str) -> Vec<&str> {
    said.lines().filter_map(|line| line.strip_prefix("  ")?.split(' ').next()).collect()
}

#[test]
fn a_blank_variable_counts_as_unset() {
    let names = [
        "DATABASE_URL",
        "DISCORD_TOKEN",
        "DCE_BIN",
        "WORK_DIR",
        "MIN_FREE_DISK",
        "ATTEMPT_DISK_LIMIT",
        "WORKER_CONCURRENCY",
        "INGEST_CONNECTIONS",
        "EXPORT_TIMEOUT",
        "STALL_TIMEOUT",
        "SHUTDOWN_GRACE",
        "MAX_PARALLEL_RUNS",
        "MIGRATE_ON_START",
        "LOG_FORMAT",
        "RUST_LOG",
    ];
    for blank in ["", " "] {
        let mut settings = names.map(|name| (name, blank));
        let said = refused(&settings);
        let required = mistakes(&said);
        assert_eq!(required[..2], ["DATABASE_URL", "DISCORD_TOKEN"], "{said}");
        // The default program may exist on the machine that runs the test, or not.
        assert!(required[2..].iter().all(|name| *name == "DCE_BIN"), "{said}");
        assert!(!said.contains("()"), "the default path is checked: {said}");

        for (name, value) in &mut settings {
            match *name {
                "DATABASE_URL" => *value = "postgres://u@h/d",
                "DCE_BIN" => *value = "/bin/sh",
                _ => {}
            }
        }
        assert_eq!(mistakes(&refused(&settings)), ["DISCORD_TOKEN"]);
    }
}
