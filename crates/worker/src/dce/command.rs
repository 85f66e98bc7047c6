//! What a user asked for as DCE's arguments. Pure: nothing is started and no file is touched.

use std::ffi::OsString;
use std::path::PathBuf;

use dce_core::ids::Snowflake;

use super::version::{DceVersion, Dialect};

/// One channel to export: one process of DCE, since it exits with 0 although one of several
/// channels failed (DCE 2.47: docs/dce.md).
#[derive(Debug, Clone)]
pub struct ExportCommand {
    /// The channel or thread.
    pub channel_id: Snowflake,
    /// Only messages after this one, exclusive and exact.
    pub after: Option<Snowflake>,
    /// Only messages before this one; messages of the bound's own millisecond may slip through.
    pub before: Option<Snowflake>,
    /// DCE's message filter, as the user wrote it.
    pub filter: Option<String>,
    /// Whether DCE replaces mentions, emoji and timestamps in the text by names.
    pub markdown: bool,
    /// Messages per output file.
    pub partition: u32,
    /// The first output file, absolute and ending in `.json`; see [`super::output::Parts`] for the others.
    pub output: PathBuf,
}

/// Why an export cannot be put into arguments that mean what the user meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// DCE would take an empty value for a missing one.
    #[error("the filter must not be empty")]
    EmptyFilter,
    /// DCE takes a value like `--media` for an option of its own.
    #[error("the filter must not begin with `-` and a letter, which reads as an option; negate with `~`")]
    FilterLooksLikeOption,
    /// No argument of a process can hold it.
    #[error("the filter must not contain a NUL character")]
    FilterHasNul,
    /// DCE would write no message into any part.
    #[error("a part must hold at least one message")]
    EmptyPartition,
    /// DCE takes any other path for a directory or reads it from its own working directory.
    #[error("the output must be an absolute path that ends in .json")]
    OutputNotAFile,
    /// DCE expands `%` in paths (its templates), and decodes them as UTF-8.
    #[error("the output path must be UTF-8 without `%`; choose another WORK_DIR")]
    OutputHasTemplate,
}

impl ExportCommand {
    /// The arguments for this version of DCE. The token is not among them: every user of the
    /// machine can read arguments.
    pub fn arguments(&self, version: DceVersion) -> Result<Vec<OsString>, CommandError> {
        self.check()?;
        Ok(match version.dialect() {
            Dialect::Options => self.options(),
        })
    }

    fn check(&self) -> Result<(), CommandError> {
        if let Some(filter) = &self.filter {
            check_filter(filter)?;
        }
        if self.partition == 0 {
            return Err(CommandError::EmptyPartition);
        }
        if self.output.to_str().is_none_or(|path| path.contains('%')) {
            return Err(CommandError::OutputHasTemplate);
        }
        if !self.output.is_absolute() || self.output.extension().is_none_or(|ext| ext != "json") {
            return Err(CommandError::OutputNotAFile);
        }
        Ok(())
    }

    fn options(&self) -> Vec<OsString> {
        let mut args: Vec<OsString> = ["export", "-c"].map(OsString::from).into();
        args.push(self.channel_id.to_string().into());
        args.extend(["-f", "Json", "--utc", "--markdown"].map(OsString::from));
        args.push(self.markdown.to_string().into());
        for (option, id) in [("--after", self.after), ("--before", self.before)] {
            if let Some(id) = id {
                args.extend([option.into(), id.to_string().into()]);
            }
        }
        if let Some(filter) = &self.filter {
            args.extend(["--filter".into(), filter.into()]);
        }
        args.extend(["-p".into(), self.partition.to_string().into()]);
        args.extend(["-o".into(), self.output.clone().into()]);
        args
    }
}

fn check_filter(filter: &str) -> Result<(), CommandError> {
    if filter.trim().is_empty() {
        return Err(CommandError::EmptyFilter);
    }
    if filter.contains('\0') {
        return Err(CommandError::FilterHasNul);
    }
    // DCE's parser takes `-x` and `--x` for options, with a letter of any alphabet.
    let name = filter.strip_prefix("--").or_else(|| filter.strip_prefix('-'));
    if name.and_then(|name| name.chars().next()).is_some_and(char::is_alphabetic) {
        return Err(CommandError::FilterLooksLikeOption);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command() -> ExportCommand {
        ExportCommand {
            channel_id: Snowflake::new(900_000_000_000_001_001),
            after: None,
            before: None,
            filter: None,
            markdown: false,
            partition: 1000,
            output: PathBuf::from("/var/dce/7/part.json"),
        }
    }

    fn arguments(command: &ExportCommand) -> Result<String, CommandError> {
        let args = command.arguments("v2.47.0".parse().unwrap())?;
        Ok(args.iter().map(|arg| arg.to_str().unwrap()).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn a_whole_channel() {
        assert_eq!(
            arguments(&command()).unwrap(),
            "export -c 900000000000001001 -f Json --utc --markdown false -p 1000 -o /var/dce/7/part.json"
        );
    }

    #[test]
    fn a_window_with_a_filter() {
        let command = ExportCommand {
            after: Some(Snowflake::new(7)),
            before: Some(Snowflake::new(9)),
            filter: Some("from:someone ~has:image".into()),
            markdown: true,
            ..command()
        };
        assert_eq!(
            arguments(&command).unwrap(),
            "export -c 900000000000001001 -f Json --utc --markdown true --after 7 --before 9 \
             --filter from:someone ~has:image -p 1000 -o /var/dce/7/part.json"
        );
        // Text with blanks stays one argument: no shell is in between.
        let args = command.arguments("v2.46.1".parse().unwrap()).unwrap();
        assert!(args.contains(&OsString::from("from:someone ~has:image")));
    }

    #[test]
    fn a_filter_cannot_become_an_option() {
        for filter in ["--media", "-from:someone", "--Output", "-я", "-é"] {
            let command = ExportCommand { filter: Some(filter.into()), ..command() };
            assert_eq!(arguments(&command), Err(CommandError::FilterLooksLikeOption), "{filter}");
        }
        for filter in ["~from:someone", " -from:someone", "-1", "--", "-", "hello -from:x", "---x"] {
            let command = ExportCommand { filter: Some(filter.into()), ..command() };
            assert!(arguments(&command).is_ok(), "{filter}");
        }
    }

    #[test]
    fn empty_and_impossible_values_are_refused() {
        for (filter, error) in [
            ("", CommandError::EmptyFilter),
            (" ", CommandError::EmptyFilter),
            ("a\0b", CommandError::FilterHasNul),
        ] {
            let command = ExportCommand { filter: Some(filter.into()), ..command() };
            assert_eq!(arguments(&command), Err(error), "{filter:?}");
        }
        let command = ExportCommand { partition: 0, ..command() };
        assert_eq!(arguments(&command), Err(CommandError::EmptyPartition));
    }

    #[test]
    fn paths_that_dce_would_read_differently_are_refused() {
        for (path, error) in [
            ("", CommandError::OutputNotAFile),
            ("part.json", CommandError::OutputNotAFile),
            ("/var/dce/7", CommandError::OutputNotAFile),
            ("/var/dce/7/part.html", CommandError::OutputNotAFile),
            ("/var/dce/100%/part.json", CommandError::OutputHasTemplate),
        ] {
            let command = ExportCommand { output: path.into(), ..command() };
            assert_eq!(arguments(&command), Err(error), "{path:?}");
        }
    }
}
