//! DCE's command line, with DCE's own error messages.

mod bind;
mod split;

use crate::filter::Filter;
use crate::partition::PartitionLimit;
use dce_standin::snowflake::Snowflake;

pub(crate) use split::without_token;

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

/// The options of `export` that matter here.
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
    pub(crate) no_banner: bool,
    pub(crate) respect_rate_limits: bool,
}

/// The environment variables that DCE reads.
#[derive(Debug, Default)]
pub(crate) struct Environment {
    /// `DISCORD_TOKEN`
    pub(crate) token: Option<String>,
    /// `FUCK_RUSSIA`
    pub(crate) no_banner: Option<String>,
    /// `TZ`
    pub(crate) zone: Option<String>,
}

/// Why a command line is not accepted.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum UsageError {
    /// DCE refuses it: this error on stderr, its help on stdout.
    #[error("{0}")]
    Refused(String),
    /// DCE refuses the value of an option, each version with its own text.
    #[error(transparent)]
    BadValue(BadValue),
    /// DCE accepts it, but the stand-in does not support it.
    #[error("{0}")]
    NotSupported(String),
}

/// A value that its option does not accept.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("Option {option} cannot be set from the provided argument(s):\n{values}\nError: {reason}")]
pub(crate) struct BadValue {
    /// `-c|--channel`
    pub(crate) option: String,
    /// All values of the option: `<1> <x>`.
    pub(crate) values: String,
    /// The .NET type of the error.
    pub(crate) exception: &'static str,
    /// DCE's own words.
    pub(crate) reason: String,
}

/// Parses the arguments after the program's name.
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
        _ => Err(UsageError::NotSupported("only `export`, `guide` and `--version` are supported".into())),
    }
}
