//! `dce-worker`: settings, logs, signals; the work itself is in the library.

use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use dce_core::settings::{Mistakes, load_dotenv, parse_command_line};
use dce_core::telemetry;
use dce_worker::allocator;
use dce_worker::config::{Command, CommandLine, Settings};
use dce_worker::dce::Spawner;
use dce_worker::import;
use dce_worker::import::settings::{ImportArguments, ImportSettings};
use dce_worker::runtime::work;
use dce_worker::shutdown::Shutdown;
use rand::Rng;
use tokio::signal::unix::{SignalKind, signal};

/// The settings are not usable.
const EXIT_SETTINGS: u8 = 2;
/// DCE needs about 0.3 s to say its version (DCE 2.47: docs/dce.md); a cold disk may take longer.
const VERSION_LIMIT: Duration = Duration::from_secs(20);

fn main() -> ExitCode {
    allocator::keep_little();
    if let Err(mistakes) = load_dotenv() {
        return unusable(&mistakes);
    }
    let CommandLine { command, raw } = parse_command_line();
    match command {
        None => match Settings::read(raw, std::io::stdout().is_terminal()) {
            Ok(settings) => be_worker(settings),
            Err(mistakes) => unusable(&mistakes),
        },
        Some(Command::Import(arguments)) => match arguments.settings(std::io::stderr().is_terminal()) {
            Ok(settings) => do_import(arguments, &settings),
            Err(mistakes) => unusable(&mistakes),
        },
    }
}

fn unusable(mistakes: &Mistakes) -> ExitCode {
    eprintln!("dce-worker: {mistakes}");
    ExitCode::from(EXIT_SETTINGS)
}

fn be_worker(settings: Settings) -> ExitCode {
    telemetry::init(settings.log_format);
    match run(settings) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "worker.failed");
            ExitCode::FAILURE
        }
    }
}

fn do_import(arguments: ImportArguments, settings: &ImportSettings) -> ExitCode {
    // What users have to know is told by the command itself, on a terminal with a line that log lines would tear.
    let filter = if std::io::stderr().is_terminal() { "off" } else { "warn,sqlx=error" };
    telemetry::init_on_stderr(settings.log_format, filter);
    match run_import(arguments, settings) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("dce-worker: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn run_import(arguments: ImportArguments, settings: &ImportSettings) -> anyhow::Result<bool> {
    import::command(arguments, settings, &asked_by_signals()?).await
}

#[tokio::main]
async fn run(settings: Settings) -> anyhow::Result<()> {
    let spawner = Spawner::new(settings.dce_bin.clone());
    std::fs::create_dir_all(&settings.work_dir)
        .with_context(|| format!("WORK_DIR {} cannot be created", settings.work_dir.display()))?;
    let dce_version = spawner
        .version(std::env::vars_os(), &settings.work_dir, VERSION_LIMIT)
        .await
        .with_context(|| format!("DCE_BIN {} is not usable", settings.dce_bin.display()))?;
    let shutdown = asked_by_signals()?;
    work(settings, spawner, dce_version, || rand::rng().random(), shutdown).await
}

/// A shutdown that SIGTERM and SIGINT ask for.
fn asked_by_signals() -> anyhow::Result<Shutdown> {
    let shutdown = Shutdown::default();
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let asked = shutdown.clone();
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            asked.ask();
        }
    });
    Ok(shutdown)
}
