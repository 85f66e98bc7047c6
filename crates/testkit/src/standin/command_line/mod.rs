//! DCE's command line: what was asked for, or its words on why not.

mod bind;
mod split;

use crate::filter::Filter;
use crate::partition::PartitionLimit;
use crate::snowflake::Snowflake;

pub(crate) use split::without_token;

/// What was asked for.
#[derive(Debug)]
pub(crate) enum Command {
    /// `--version`
    Version,
    /// `guide`
    Guide,
    /// `export --help`
    HelpExport,
    /// `export`
    Export(Box<ExportOptions>),
}

/// Options of `export` that make a difference here.
#[derive(Debug)]
pub(crate) struct ExportOptions {
    pub(crate) channels: Vec<Snowflake>,
    pub(crate) token: String,
    /// File or folder, may hold template tokens; absent = the current folder.
    pub(crate) output: Option<String>,
    pub(crate) after: Option<Snowflake>,
    pub(crate) before: Option<Snowflake>,
    pub(crate) partition: PartitionLimit,
    pub(crate) with_threads: bool,
    pub(crate) filter: Option<Filter>,
    /// Not to print the banner.
    pub(crate) no_banner: bool,
}

/// The variables of the environment that DCE reads.
#[derive(Debug, Default)]
pub(crate) struct Environment {
    /// `DISCORD_TOKEN`
    pub(crate) token: Option<String>,
    /// `FUCK_RUSSIA`
    pub(crate) no_banner: Option<String>,
    /// `TZ`
    pub(crate) zone: Option<String>,
}

/// Why a command line was not accepted.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum UsageError {
    /// DCE refuses it: these words on stderr, its help on stdout.
    #[error("{0}")]
    Refused(String),
    /// DCE would take it, but it is not played here.
    #[error("{0}")]
    NotPlayed(String),
}

/// Reads the arguments after the program's name.
pub(crate) fn parse(arguments: &[String], environment: &Environment) -> Result<Command, UsageError> {
    match arguments.split_first().map(|(command, rest)| (command.as_str(), rest)) {
        Some(("--version", _)) => Ok(Command::Version),
        Some(("guide", _)) => Ok(Command::Guide),
        Some(("export", rest)) => {
            let inputs = split::split(rest);
            if inputs.asks_for_help() {
                return Ok(Command::HelpExport);
            }
            bind::bind(inputs, environment).map(|options| Command::Export(Box::new(options)))
        }
        _ => Err(UsageError::NotPlayed("only `export`, `guide` and `--version` are played".into())),
    }
}
