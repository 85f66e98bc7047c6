//! Command line of `dce-api prune` and `dce-api purge`.

use std::ops::RangeInclusive;
use std::time::Duration;

use clap::Args;
use dce_core::ids::Snowflake;
use dce_core::settings::{Mistakes, SettingsParser};
use dce_core::store::retention::erasures::Subject;

/// Allowed ages; 0 selects everything.
const AGES: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// Arguments of `prune` as text.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(
    after_help = "Needs DATABASE_URL, and --older-than, --exports-older-than or both. Without --yes, the command \
                        counts what it would delete and deletes nothing. Pruned messages can come back: an export or \
                        import that reads that far back archives them again. To erase permanently, use `dce-api purge`."
)]
pub struct PruneArguments {
    /// Delete messages sent longer ago than this, such as 90d. 0s: all messages
    #[arg(long, value_name = "AGE")]
    older_than: Option<String>,
    /// Restrict --older-than to the messages of this channel or thread
    #[arg(long, value_name = "ID")]
    channel: Option<String>,
    /// Delete exports that ended longer ago than this, such as 180d, with their runs and attempts but not their messages
    #[arg(long, value_name = "AGE")]
    exports_older_than: Option<String>,
    /// Delete. Without this flag, the command only counts
    #[arg(long)]
    yes: bool,
}

/// An age, parsed and as the user wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Age {
    pub span: Duration,
    pub text: String,
}

/// Arguments of `prune`, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PruneSettings {
    /// Delete messages sent longer ago than this.
    pub messages: Option<Age>,
    /// Only messages of this channel.
    pub channel: Option<Snowflake>,
    /// Delete exports that ended longer ago than this.
    pub exports: Option<Age>,
    /// Delete if true, count if false.
    pub yes: bool,
}

impl PruneArguments {
    /// Checks the arguments and reports every mistake.
    pub fn settings(&self) -> Result<PruneSettings, Mistakes> {
        let mut reader = SettingsParser::default();
        let mut age = |name: &str, value: &Option<String>| {
            let text = value.clone()?;
            Some(Age { span: reader.duration(name, &text, AGES)?, text })
        };
        let messages = age("--older-than", &self.older_than);
        let exports = age("--exports-older-than", &self.exports_older_than);
        let channel = self.channel.as_ref().and_then(|text| reader.parsed("--channel", text));
        if self.older_than.is_none() && self.exports_older_than.is_none() {
            reader.mistake("--older-than", "or --exports-older-than is required, such as --older-than 90d");
        } else if self.channel.is_some() && self.older_than.is_none() {
            reader.mistake("--channel", "requires --older-than: exports are deleted with all their channels");
        }
        reader.finish(Some(PruneSettings { messages, channel, exports, yes: self.yes }))
    }
}

/// Arguments of `purge` as text.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(
    after_help = "Needs DATABASE_URL, and exactly one of --author, --channel and --message. Without --yes, the command \
                        counts what it would erase and erases nothing. Messages by others stay, even if they mention, \
                        quote or answer the author, and so does the author's name in their mentions, quotes and \
                        reactions: see docs/retention.md."
)]
pub struct PurgeArguments {
    /// Erase all messages of this user, bot or webhook, in all channels
    #[arg(long, value_name = "ID")]
    author: Option<String>,
    /// Erase all messages of this channel or thread
    #[arg(long, value_name = "ID")]
    channel: Option<String>,
    /// Erase this message
    #[arg(long, value_name = "ID")]
    message: Option<String>,
    /// Erase. Without this flag, the command only counts
    #[arg(long)]
    yes: bool,
}

/// Arguments of `purge`, checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PurgeSettings {
    pub subject: Subject,
    /// Erase if true, count if false.
    pub yes: bool,
}

impl PurgeArguments {
    /// Checks the arguments and reports every mistake.
    pub fn settings(&self) -> Result<PurgeSettings, Mistakes> {
        let mut reader = SettingsParser::default();
        let mut id =
            |name: &str, value: &Option<String>| value.as_ref().and_then(|text| reader.parsed(name, text));
        let given = [
            self.author.as_ref().map(|_| id("--author", &self.author).map(Subject::Author)),
            self.channel.as_ref().map(|_| id("--channel", &self.channel).map(Subject::Channel)),
            self.message.as_ref().map(|_| id("--message", &self.message).map(Subject::Message)),
        ];
        let mut given = given.into_iter().flatten();
        let (subject, another) = (given.next(), given.next());
        if subject.is_none() || another.is_some() {
            reader.mistake("--author", "or --channel or --message is required: exactly one of them");
        }
        reader.finish(subject.flatten().map(|subject| PurgeSettings { subject, yes: self.yes }))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line<A: Args> {
        #[command(flatten)]
        arguments: A,
    }

    fn parse<A: Args>(line: &str) -> Result<A, String> {
        let parsed = Line::try_parse_from(line.split_whitespace()).map_err(|error| error.to_string())?;
        Ok(parsed.arguments)
    }

    fn prune(line: &str) -> Result<PruneSettings, String> {
        parse::<PruneArguments>(line)?.settings().map_err(|mistakes| mistakes.to_string())
    }

    fn purge(line: &str) -> Result<PurgeSettings, String> {
        parse::<PurgeArguments>(line)?.settings().map_err(|mistakes| mistakes.to_string())
    }

    #[test]
    fn without_yes_the_command_only_counts() {
        let days = |days: u64| {
            Some(Age { span: Duration::from_secs(days * 24 * 60 * 60), text: format!("{days}d") })
        };
        let (channel, exports) = (Some(Snowflake::new(7)), None);
        let counting = PruneSettings { messages: days(90), channel, exports, yes: false };
        assert_eq!(prune("prune --older-than 90d --channel 7").unwrap(), counting);
        let exports = PruneSettings { messages: None, channel: None, exports: days(180), yes: true };
        assert_eq!(prune("prune --exports-older-than 180d --yes").unwrap(), exports);
        assert_eq!(prune("prune --older-than 0s").unwrap().messages.unwrap().span, Duration::ZERO);

        let author = PurgeSettings { subject: Subject::Author(Snowflake::new(7)), yes: false };
        assert_eq!(purge("purge --author 7").unwrap(), author);
        let message = PurgeSettings { subject: Subject::Message(Snowflake::new(7)), yes: true };
        assert_eq!(purge("purge --message 7 --yes").unwrap(), message);
    }

    #[test]
    fn every_mistake_is_reported_with_its_remedy() {
        for (line, remedy) in [
            ("prune", "is required, such as --older-than 90d"),
            ("prune --yes", "is required"),
            ("prune --channel 7 --exports-older-than 1d", "--channel requires --older-than"),
            ("prune --older-than 90", "--older-than must be a time span"),
            ("prune --exports-older-than soon", "--exports-older-than must be a time span"),
            ("prune --older-than 1d --channel general", "--channel must be a Discord id"),
        ] {
            let report = prune(line).unwrap_err();
            assert!(report.contains(remedy), "{line}: {report}");
        }
        for (line, remedy) in [
            ("purge", "is required: exactly one of them"),
            ("purge --author 1 --channel 2", "exactly one of them"),
            ("purge --author 1 --author 2", "--author <ID>"),
            ("purge --author somebody", "--author must be a Discord id"),
        ] {
            let report = purge(line).unwrap_err();
            assert!(report.contains(remedy), "{line}: {report}");
        }
    }
}
