//! `dce-standin`: replaces the `DiscordChatExporter` CLI 2.47 or 2.48 in tests, demo and benchmarks.
//!
//! It is called exactly like the real program and plays the `scenario.json` beside the name it was called by (format:
//! `dce_standin::scenario`). Its output and files follow recordings of the real one.

mod asked_export;
mod channel_export;
mod command_line;
mod console;
mod discord;
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
mod thread_starter;

use std::env;
use std::process::ExitCode;

use anyhow::Context as _;
use chrono::{DateTime, Utc};
use dce_standin::scenario::DceVersion;

use command_line::{BadValue, Command, Environment, UsageError};
use console::print_line;
use export_context::ExportContext;
use loaded_scenario::LoadedScenario;
use process_exit::ProcessExit;
use recorded_texts::RecordedTexts;
use sigint::Sigint;

/// Second line of `--version`, by which the worker knows that this is not DCE.
const NOT_THE_REAL_ONE: &str = "dce-standin, a program that imitates DiscordChatExporter";

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
    let texts = RecordedTexts::for_version(loaded.scenario.version);
    let help = || texts.help_export(&current_dir.to_string_lossy());
    let refused = |error: &dyn std::fmt::Display| {
        print_line(&format!("\n{}", help().trim_end_matches('\n')));
        Ok(ProcessExit::error(format!("{error}\n")))
    };
    match command {
        Ok(Command::Version) => print_line(&format!("{}\n{NOT_THE_REAL_ONE}", texts.version.trim_end())),
        Ok(Command::Guide) => print_line(recorded_texts::GUIDE.trim_end()),
        Ok(Command::HelpExport) => print_line(help().trim_end_matches('\n')),
        Ok(Command::Export(options)) => {
            let (loaded, options, attempts) = (&loaded, &*options, &attempts);
            let discord = variable("DISCORD_API_URL");
            return ExportContext { loaded, options, attempts, sigint: &sigint, clock, current_dir, discord }
                .run();
        }
        Err(UsageError::BadValue(value)) if loaded.scenario.version == DceVersion::V2_48 => {
            let BadValue { option, exception, reason, .. } = &value;
            return Ok(ProcessExit::error(recorded_texts::bad_value(option, exception, reason)));
        }
        Err(UsageError::BadValue(value)) => return refused(&value),
        Err(UsageError::Refused(error)) => return refused(&error),
        Err(UsageError::NotSupported(reason)) => anyhow::bail!("{reason}"),
    }
    Ok(ProcessExit::Exit(0, String::new()))
}

/// The only reader of the time of day: `exportedAt` and the date in file names.
#[expect(clippy::disallowed_methods, reason = "the clock that is passed to the rest of the program")]
fn clock() -> DateTime<Utc> {
    Utc::now()
}
