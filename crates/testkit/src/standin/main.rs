//! `dce-standin`: stands in for the `DiscordChatExporter` CLI 2.47 in tests, demo and benchmarks.
//!
//! It is called exactly like the real program and plays the `scenario.json` that lies beside the name it was
//! called by (format: `dce_testkit::scenario`). Its words and files are those of recordings of the real one.

mod command_line;
mod ending;
mod export;
mod filter;
mod header;
mod interrupt;
mod journal;
mod output_path;
mod partition;
mod parts;
mod performance;
mod progress;
mod replay;
mod snowflake;
mod source;
mod stage;
mod texts;

use std::env;
use std::process::ExitCode;

use anyhow::Context as _;
use chrono::{DateTime, Utc};

use command_line::{Command, Environment, UsageError};
use ending::End;
use export::Export;
use interrupt::Interrupt;
use performance::say;
use stage::Stage;

fn main() -> ExitCode {
    match run() {
        Ok(end) => end.leave(),
        Err(error) => End::error(format!("dce-standin: {error:#}\n")).leave(),
    }
}

fn run() -> anyhow::Result<End> {
    let interrupt = Interrupt::listen().context("cannot listen for SIGINT")?;
    let mut arguments = env::args_os();
    let stage = Stage::open(arguments.next().as_deref())?;
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
    let attempts = journal::note(&stage.dir, command_line::without_token(&arguments), &channels)
        .context("cannot write down this call")?;

    let current_dir = env::current_dir().context("no current directory")?;
    let help = || texts::help_export(&current_dir.to_string_lossy());
    match command {
        Ok(Command::Version) => say(texts::VERSION.trim_end()),
        Ok(Command::Guide) => say(texts::GUIDE.trim_end()),
        Ok(Command::HelpExport) => say(help().trim_end_matches('\n')),
        Ok(Command::Export(options)) => {
            let (stage, options, attempts) = (&stage, &*options, &attempts);
            return Export { stage, options, attempts, interrupt: &interrupt, clock, current_dir }.run();
        }
        Err(UsageError::Refused(words)) => {
            say(&format!("\n{}", help().trim_end_matches('\n')));
            return Ok(End::error(format!("{words}\n")));
        }
        Err(UsageError::NotPlayed(why)) => anyhow::bail!("{why}"),
    }
    Ok(End::Exit(0, String::new()))
}

/// The only place where the time of day is read: `exportedAt` and the date in file names.
#[expect(clippy::disallowed_methods, reason = "the clock that the rest of the program is given")]
fn clock() -> DateTime<Utc> {
    Utc::now()
}
