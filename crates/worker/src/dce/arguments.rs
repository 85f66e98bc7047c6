//! Makes DCE's command-line arguments. Pure: starts nothing and touches no file.

use std::ffi::OsString;
use std::path::PathBuf;

use dce_core::ids::Snowflake;

use super::version::{DceVersion, Dialect};

/// What DCE is to export: one channel. Each channel has its own process, because DCE exits with 0 even if one of
/// several channels failed (docs/dce.md).
#[derive(Debug, Clone)]
pub struct ExportArguments {
    /// A channel or thread.
    pub channel_id: Snowflake,
    /// Only messages after this id. Exact.
    pub after: Option<Snowflake>,
    /// Only messages before this id; DCE may also write messages of the same millisecond.
    pub before: Option<Snowflake>,
    /// Whether DCE replaces mentions, emoji and timestamps in the text with names.
    pub markdown: bool,
    /// Messages per output file.
    pub partition: u32,
    /// The first output file: an absolute path ending in `.json`. [`super::output::Parts`] has the others.
    pub output: PathBuf,
}

/// The reason why no arguments can express the export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ArgumentsError {
    #[error("a part must hold at least one message")]
    EmptyPartition,
    /// DCE would treat another path as a directory or as relative to its working directory.
    #[error("the output must be an absolute path that ends in .json")]
    OutputNotAFile,
    /// DCE expands templates (`%`) in paths and decodes paths as UTF-8.
    #[error("the output path must be UTF-8 without `%`: choose another WORK_DIR")]
    OutputHasTemplate,
}

impl ExportArguments {
    /// Returns the arguments for this version of DCE. They exclude the token, because every user of the machine can
    /// read a process's arguments.
    pub fn to_args(&self, version: DceVersion) -> Result<Vec<OsString>, ArgumentsError> {
        self.check()?;
        Ok(match version.dialect() {
            Dialect::Options => self.options(),
        })
    }

    /// Returns every option that [`Self::to_args`] can pass to this version of DCE.
    pub(super) fn every_option(version: DceVersion) -> Vec<String> {
        let everything = Self {
            channel_id: Snowflake::new(1),
            after: Some(Snowflake::new(1)),
            before: Some(Snowflake::new(2)),
            markdown: true,
            partition: 1,
            output: PathBuf::from("/part.json"),
        };
        let arguments = match version.dialect() {
            Dialect::Options => everything.options(),
        };
        let arguments = arguments.into_iter().filter_map(|argument| argument.into_string().ok());
        arguments.filter(|argument| looks_like_option(argument)).collect()
    }

    fn check(&self) -> Result<(), ArgumentsError> {
        if self.partition == 0 {
            return Err(ArgumentsError::EmptyPartition);
        }
        if self.output.to_str().is_none_or(|path| path.contains('%')) {
            return Err(ArgumentsError::OutputHasTemplate);
        }
        if !self.output.is_absolute() || self.output.extension().is_none_or(|ext| ext != "json") {
            return Err(ArgumentsError::OutputNotAFile);
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
        args.extend(["-p".into(), self.partition.to_string().into()]);
        args.extend(["-o".into(), self.output.clone().into()]);
        args
    }
}

/// DCE's parser treats `-x` and `--x` as options, with a letter of any alphabet.
fn looks_like_option(argument: &str) -> bool {
    let name = argument.strip_prefix("--").or_else(|| argument.strip_prefix('-'));
    name.and_then(|name| name.chars().next()).is_some_and(char::is_alphabetic)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn export() -> ExportArguments {
        ExportArguments {
            channel_id: Snowflake::new(900_000_000_000_001_001),
            after: None,
            before: None,
            markdown: false,
            partition: 1000,
            output: PathBuf::from("/var/dce/7/part.json"),
        }
    }

    fn arguments(export: &ExportArguments) -> Result<String, ArgumentsError> {
        let args = export.to_args("v2.48.0".parse().unwrap())?;
        Ok(args.iter().map(|arg| arg.to_str().unwrap()).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn a_channel_without_bounds_has_neither_after_nor_before() {
        assert_eq!(
            arguments(&export()).unwrap(),
            "export -c 900000000000001001 -f Json --utc --markdown false -p 1000 -o /var/dce/7/part.json"
        );
    }

    #[test]
    fn bounds_and_markdown_become_options() {
        let export = ExportArguments {
            after: Some(Snowflake::new(7)),
            before: Some(Snowflake::new(9)),
            markdown: true,
            ..export()
        };
        assert_eq!(
            arguments(&export).unwrap(),
            "export -c 900000000000001001 -f Json --utc --markdown true --after 7 --before 9 \
             -p 1000 -o /var/dce/7/part.json"
        );
    }

    #[test]
    fn every_option_is_named_once() {
        let options = ExportArguments::every_option("v2.48.0".parse().unwrap());
        assert_eq!(options, ["-c", "-f", "--utc", "--markdown", "--after", "--before", "-p", "-o"]);
    }

    #[test]
    fn a_part_without_messages_is_refused() {
        let export = ExportArguments { partition: 0, ..export() };
        assert_eq!(arguments(&export), Err(ArgumentsError::EmptyPartition));
    }

    #[test]
    fn paths_that_dce_would_interpret_differently_are_refused() {
        for (path, error) in [
            ("", ArgumentsError::OutputNotAFile),
            ("part.json", ArgumentsError::OutputNotAFile),
            ("/var/dce/7", ArgumentsError::OutputNotAFile),
            ("/var/dce/7/part.html", ArgumentsError::OutputNotAFile),
            ("/var/dce/100%/part.json", ArgumentsError::OutputHasTemplate),
        ] {
            let export = ExportArguments { output: path.into(), ..export() };
            assert_eq!(arguments(&export), Err(error), "{path:?}");
        }
    }
}
