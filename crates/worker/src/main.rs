//! The program `dce-worker`: settings, logs and signals. The library does the work.

use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use dce_core::settings::{Mistakes, load_dotenv, parse_command_line};
use dce_core::telemetry;
use dce_discord::ClientSettings;
use dce_worker::allocator;
use dce_worker::check;
use dce_worker::dce::Spawner;
use dce_worker::import;
use dce_worker::import::settings::{ImportArguments, ImportSettings};
use dce_worker::runtime::work;
use dce_worker::settings::{Command, CommandLine, Settings};
use dce_worker::shutdown::Shutdown;
use rand::Rng;
use tokio::signal::unix::{SignalKind, signal};

/// Exit code for invalid settings.
const EXIT_SETTINGS: u8 = 2;
/// Time allowed for each question to `DCE_BIN`. DCE needs about 0.3 s (docs/dce.md); a cold disk may take longer.
const ANSWER_LIMIT: Duration = Duration::from_secs(20);

fn main() -> ExitCode {
    allocator::limit_retained_memory();
    if let Err(mistakes) = load_dotenv() {
        return reject_settings(&mistakes);
    }
    let CommandLine { command, raw } = parse_command_line();
    match command {
        None => match Settings::parse(raw, std::io::stdout().is_terminal()) {
            Ok(settings) => start_worker(settings),
            Err(mistakes) => reject_settings(&mistakes),
        },
        Some(Command::Import(arguments)) => match arguments.settings(std::io::stderr().is_terminal()) {
            Ok(settings) => start_import(arguments, &settings),
            Err(mistakes) => reject_settings(&mistakes),
        },
        Some(Command::Check(arguments)) => match arguments.settings() {
            Ok(settings) => start_check(settings),
            Err(mistakes) => reject_settings(&mistakes),
        },
    }
}

fn reject_settings(mistakes: &Mistakes) -> ExitCode {
    eprintln!("dce-worker: {mistakes}");
    ExitCode::from(EXIT_SETTINGS)
}

fn start_worker(settings: Settings) -> ExitCode {
    telemetry::init(settings.log_format);
    match run(settings) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "worker.failed");
            ExitCode::FAILURE
        }
    }
}

fn start_import(arguments: ImportArguments, settings: &ImportSettings) -> ExitCode {
    // The command itself reports what users must know. On a terminal, log lines would break its progress line.
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
async fn start_check(settings: ClientSettings) -> ExitCode {
    match check::command(settings).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("dce-worker: {error}");
            ExitCode::from(EXIT_SETTINGS)
        }
    }
}

#[tokio::main]
async fn run_import(arguments: ImportArguments, settings: &ImportSettings) -> anyhow::Result<bool> {
    import::command(arguments, settings, &shutdown_on_signals()?).await
}

#[tokio::main]
async fn run(settings: Settings) -> anyhow::Result<()> {
    let spawner = Spawner::new(settings.dce_bin.clone());
    std::fs::create_dir_all(&settings.work_dir)
        .with_context(|| format!("cannot create WORK_DIR {}", settings.work_dir.display()))?;
    let dce = spawner
        .identify(std::env::vars_os(), &settings.work_dir, ANSWER_LIMIT)
        .await
        .with_context(|| format!("DCE_BIN {} cannot be used", settings.dce_bin.display()))?;
    if dce.version.is_untested() {
        tracing::warn!(
            dce_version = %dce.version,
            consequence = "DCE has every option that exports need, but its output may have changed",
            remedy = "install DCE 2.48, or a version of dce-service that is tested with this DCE",
            "dce.untested"
        );
    }
    let shutdown = shutdown_on_signals()?;
    work(settings, spawner, dce, || rand::rng().random(), shutdown).await
}

/// Returns a shutdown that each SIGTERM and SIGINT requests.
fn shutdown_on_signals() -> anyhow::Result<Shutdown> {
    let shutdown = Shutdown::default();
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let requested = shutdown.clone();
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            requested.request();
        }
    });
    Ok(shutdown)
}
