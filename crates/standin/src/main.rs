//! `dce-standin`: replaces the `DiscordChatExporter` CLI 2.47 in tests, demo and benchmarks.
//!
//! It is called exactly like the real program and plays the `scenario.json` beside the name it was called by (format:
//! `dce_standin::scenario`). Its output and files follow recordings of the real one.

mod channel_export;
mod command_line;
mod console;
mod ending;
mod export_command;
mod export_context;
mod filter;
mod invocation_log;
mod loaded_scenario;
mod output_path;
mod part_writer;
mod partition;
mod process_exit;
mod progress_printer;
mod recorded_texts;
mod replay;
mod sigint;

use std::env;
use std::process::ExitCode;

use anyhow::Context as _;
use chrono::{DateTime, Utc};

use command_line::{Command, Environment, UsageError};
use console::print_line;
use export_context::ExportContext;
use loaded_scenario::LoadedScenario;
use process_exit::ProcessExit;
use sigint::Sigint;

fn main() -> ExitCode {
    match run() {
        Ok(exit) => exit.into_exit_code(),
        Err(error) => ProcessExit::error(format!("dce-standin: {error:#}\n")).into_exit_code(),
    }
}

fn run() -> anyhow::Result<ProcessExit> {
    let sigint = Sigint::listen().context("cannot listen for SIGINT")?;
    let mut arguments = env::args_os();
    let loaded = LoadedScenario::load(arguments.next().as_deref())?;
    let arguments: Vec<_> = arguments.map(|argument| argument.to_string_lossy().into_owned()).collect();
    let variable = |name| env::var(name).ok();
    let environment = Environment {
        token: variable("DISCORD_TOKEN"),
        no_banner: variable("FUCK_RUSSIA"),
        zone: variable("TZ"),
    };
    let command = command_line::parse(&arguments, &environment);

    let channels: Vec<_> = match &command {
        Ok(Command::Export(options)) => options.channels.iter().map(|id| id.0.to_string()).collect(),
        _ => Vec::new(),
    };
    let attempts = invocation_log::record(&loaded.dir, command_line::without_token(&arguments), &channels)
        .context("cannot record this call")?;

    let current_dir = env::current_dir().context("no current directory")?;
    let help = || recorded_texts::help_export(&current_dir.to_string_lossy());
    match command {
        Ok(Command::Version) => print_line(recorded_texts::VERSION.trim_end()),
        Ok(Command::Guide) => print_line(recorded_texts::GUIDE.trim_end()),
        Ok(Command::HelpExport) => print_line(help().trim_end_matches('\n')),
        Ok(Command::Export(options)) => {
            let (loaded, options, attempts) = (&loaded, &*options, &attempts);
            return ExportContext { loaded, options, attempts, sigint: &sigint, clock, current_dir }.run();
        }
        Err(UsageError::Refused(error)) => {
            print_line(&format!("\n{}", help().trim_end_matches('\n')));
            return Ok(ProcessExit::error(format!("{error}\n")));
        }
        Err(UsageError::NotSupported(reason)) => anyhow::bail!("{reason}"),
    }
    Ok(ProcessExit::Exit(0, String::new()))
}

/// The only reader of the time of day: `exportedAt` and the date in file names.
#[expect(clippy::disallowed_methods, reason = "the clock that is passed to the rest of the program")]
fn clock() -> DateTime<Utc> {
    Utc::now()
}
