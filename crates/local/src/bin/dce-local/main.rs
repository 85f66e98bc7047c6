//! The whole service on one machine: private Postgres, API and workers.

mod api;
mod demo;
mod interrupt;
mod postgres;
mod stack;
mod up;

use std::env;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand};

use crate::interrupt::{Interrupt, Interrupted};

/// Runs the whole service on this machine, with a Postgres of its own.
#[derive(Parser)]
#[command(version, after_help = "A .env file in the working directory is read unless DOTENV=false.")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Shows the service at work: starts everything, exports one channel, prints the archived messages.
    ///
    /// With `DISCORD_TOKEN`, `DCE_BIN` and `DEFAULT_CHANNEL_ID` it exports that channel from Discord, without them a sample.
    /// It leaves nothing on the machine.
    Demo(demo::Options),
    /// Runs Postgres, API and workers until Ctrl-C. The settings of API and workers apply.
    Up(up::Options),
    /// Runs Postgres alone until Ctrl-C and prints its address. For development.
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

/// Reads the working directory's `.env`, as API and workers do, unless `DOTENV=false`. Variables that are set win.
fn load_dotenv() -> anyhow::Result<()> {
    let is_off = env::var("DOTENV")
        .is_ok_and(|value| ["false", "0", "no"].contains(&value.trim().to_ascii_lowercase().as_str()));
    if is_off {
        return Ok(());
    }
    match dotenvy::from_path(".env") {
        Err(dotenvy::Error::LineParse(..)) => anyhow::bail!(".env holds a line that is no NAME=value"), // its text may be a secret
        Err(error) if !error.not_found() => Err(error).context("cannot read .env"),
        _ => Ok(()),
    }
}
