//! The whole service on one machine: private Postgres, API and workers.

mod api;
mod demo;
mod interrupt;
mod postgres;
mod service;
mod stack;
mod up;

use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand};

use crate::interrupt::{Interrupt, Interrupted};

/// Runs the whole service on this machine, with a Postgres of its own.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Shows the service at work: starts everything, exports one channel, prints what arrived.
    ///
    /// With `DISCORD_TOKEN`, `DCE_BIN` and `DEFAULT_CHANNEL_ID` it exports that channel from Discord,
    /// without them a sample. Nothing of it stays on the machine.
    Demo(demo::Options),
    /// Starts Postgres, API and workers, and keeps them until Ctrl-C. Settings are those of API and workers.
    Up(up::Options),
    /// Starts Postgres alone, prints its address, and keeps it until Ctrl-C. For development.
    Postgres(postgres::Options),
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is::<Interrupted>() => ExitCode::from(130), // 128 + SIGINT, as shells count
        Err(error) => {
            eprintln!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> anyhow::Result<()> {
    load_dotenv()?;
    let command = Cli::parse().command;
    let mut interrupt = Interrupt::listen()?;
    match command {
        Command::Demo(options) => demo::run(options, &mut interrupt).await,
        Command::Up(options) => up::run(options, &mut interrupt).await,
        Command::Postgres(options) => postgres::run(options, &mut interrupt).await,
    }
}

/// Reads the working directory's `.env` that API and workers read, too; what is set already wins.
fn load_dotenv() -> anyhow::Result<()> {
    match dotenvy::from_path(".env") {
        Err(dotenvy::Error::LineParse(..)) => anyhow::bail!(".env holds a line that is no NAME=value"), // its text may be a secret
        Err(error) if !error.not_found() => Err(error).context("cannot read .env"),
        _ => Ok(()),
    }
}
