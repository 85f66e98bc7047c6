//! `dce-worker`: settings, logs, signals; the work itself is in the library.

use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::Parser;
use dce_core::settings::load_dotenv;
use dce_core::telemetry;
use dce_worker::config::{CommandLine, Settings};
use dce_worker::dce::Spawner;
use dce_worker::runtime::work;
use dce_worker::shutdown::Shutdown;
use rand::Rng;
use tokio::signal::unix::{SignalKind, signal};

/// The settings are not usable.
const EXIT_SETTINGS: u8 = 2;
/// DCE needs about 0.3 s to say its version (DCE 2.47: docs/dce.md); a cold disk may take longer.
const VERSION_LIMIT: Duration = Duration::from_secs(20);

fn main() -> ExitCode {
    let terminal = std::io::stdout().is_terminal();
    let settings = load_dotenv().and_then(|()| Settings::read(CommandLine::parse().raw, terminal));
    let settings = match settings {
        Ok(settings) => settings,
        Err(mistakes) => {
            eprintln!("dce-worker: {mistakes}");
            return ExitCode::from(EXIT_SETTINGS);
        }
    };
    telemetry::init(settings.log_format);
    match run(settings) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "worker.failed");
            ExitCode::FAILURE
        }
    }
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
    work(settings, spawner, dce_version, || rand::rng().random(), shutdown).await
}
