//! `export`: writes the requested channels to files and prints DCE's summary.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;

use anyhow::{Context as _, bail};
use dce_standin::scenario::{Ending, Source};

use crate::asked_export::{self, AskedChannel};
use crate::channel_export::{ChannelExport, ExportError};
use crate::command_line::ExportOptions;
use crate::console::{print_error, print_line};
use crate::ending::{ChannelOutcome, before_any_file, conclude, play_ending};
use crate::export_context::ExportContext;
use crate::loaded_scenario::AttemptScript;
use crate::output_path;
use crate::part_writer::{Layout, PartWriter};
use crate::partition::PartitionLimit;
use crate::process_exit::ProcessExit;
use crate::recorded_texts;
use crate::replay;
use crate::thread_starter::WithStarter;
use dce_standin::header::Header;
use dce_standin::snowflake::Snowflake;
use dce_standin::source::{self, Generated, Messages, Opened};

/// A channel and how this attempt exports it.
struct Planned<'a> {
    id: String,
    source: &'a Source,
    rate: Option<u32>,
    limit: u64,
    ending: Ending,
    asks_discord: bool,
}

impl Planned<'_> {
    fn asked(&self) -> AskedChannel<'_> {
        AskedChannel {
            id: &self.id,
            source: self.source,
            rate: self.rate,
            limit: self.limit,
            ending: self.ending,
        }
    }
}

impl ExportContext<'_> {
    pub(crate) fn run(&self) -> anyhow::Result<ProcessExit> {
        let ids: Vec<_> = self.options.channels.iter().map(|id| id.0.to_string()).collect();
        let asks = ids.iter().any(|id| self.loaded.asks_discord(id));
        let is_wrong = |good: &String| *good != self.options.token;
        // Where Discord is asked, it refuses the token itself.
        if !asks && self.loaded.scenario.token.as_ref().is_some_and(is_wrong) {
            self.print_start();
            return Ok(ProcessExit::error(self.texts().invalid_token));
        }
        let mut planned = Vec::new();
        for id in ids {
            match self.loaded.script(&id, self.attempts.get(&id).copied().unwrap_or(1)) {
                // A recording is that of a whole process, with all its channels.
                AttemptScript::Recording(folder) => return replay::play(self, &folder),
                AttemptScript::UnknownChannel => {
                    self.print_start();
                    return Ok(ProcessExit::error(self.texts().unknown(&id)));
                }
                AttemptScript::Messages { source, rate, limit, ending, asks_discord } => {
                    if limit == 0
                        && let Some(exit) = before_any_file(self.texts(), ending, &id)
                    {
                        self.print_start();
                        return Ok(exit);
                    }
                    planned.push(Planned { id, source, rate, limit, ending, asks_discord });
                }
            }
        }
        self.print_start();
        let (mut client, mut resolved) = (None, BTreeMap::new());
        for channel in planned.iter().filter(|channel| channel.asks_discord) {
            let client = match &mut client {
                Some(client) => client,
                none => none.insert(self.discord_client()?),
            };
            let mut waiter = self.sigint;
            match asked_export::resolve(client, &channel.id, &mut waiter) {
                Ok(found) => resolved.insert(channel.id.as_str(), found),
                Err(error) => return Ok(asked_export::fatal(&error, self.texts())),
            };
        }
        if self.options.with_threads {
            print_line("Fetching threads...\nFetched 0 thread(s).");
        }
        if planned.len() > 1 && output_path::is_single_file(self.output(), &self.current_dir) {
            return Ok(ProcessExit::error(recorded_texts::several_in_one_file(self.output())));
        }
        print_line(&format!("Exporting {} channel(s)...", planned.len()));
        let (mut warnings, mut failures) = (Vec::new(), Vec::new());
        for channel in &planned {
            let played = match (&mut client, resolved.get(channel.id.as_str())) {
                (Some(client), Some(found)) => self.play_asked(client, &channel.asked(), found)?,
                _ => self.play(channel)?,
            };
            match played {
                (_, ChannelOutcome::Exported) => {}
                (label, ChannelOutcome::Warning(text)) => warnings.push((label, text)),
                (label, ChannelOutcome::Failed(text)) => failures.push((label, text)),
                (_, ChannelOutcome::Fatal(exit)) => return Ok(exit),
            }
        }
        Ok(summarize(planned.len(), &warnings, &failures))
    }

    /// Prints DCE's output before its first request to Discord.
    fn print_start(&self) {
        if !self.options.no_banner {
            print_line(recorded_texts::banner().trim_end_matches('\n'));
            print_line("");
        }
        print_line("Resolving channel(s)...");
    }

    fn play(&self, planned: &Planned<'_>) -> anyhow::Result<(String, ChannelOutcome)> {
        let messages: Box<dyn Messages> = match planned.source {
            Source::Generate(asked) => Box::new(Generated::new(&planned.id, *asked)?),
            Source::File(path) => {
                let path = self.loaded.path(path);
                match source::open(&path).with_context(|| format!("cannot read {}", path.display()))? {
                    Opened::Messages(messages) => messages,
                    Opened::Other(file) => return Ok((planned.id.clone(), self.copy_file(planned, file)?)),
                }
            }
            Source::Case(_) => {
                bail!("channel {} is a recording: it can only be replayed", planned.id)
            }
        };
        let mut messages = WithStarter { messages, loaded: self.loaded };
        let header = messages.header().clone();
        let label = header.label();
        let warning = self.empty_warning(&planned.id, &header, messages.ends());
        let mut export = self.channel_export(&header, messages.ends(), planned.rate);
        let written = match warning {
            Some(warning) if planned.ending != Ending::Forum => {
                export.writer.finish().map(|()| ChannelOutcome::Warning(warning)).map_err(ExportError::from)
            }
            _ => write_messages(&mut export, &mut messages, planned, &header, self.options.after),
        };
        Ok((label, conclude(&mut export, written)?))
    }

    /// Copies a file that is not in DCE's layout.
    fn copy_file(&self, planned: &Planned<'_>, mut file: File) -> anyhow::Result<ChannelOutcome> {
        let header = Header::nameless(&planned.id);
        let mut export = self.channel_export(&header, None, planned.rate);
        let layout = Layout { partition: PartitionLimit::None, write_each: true };
        export.writer = PartWriter::new(self.output_file(&header), None, layout);
        let mut chunk = vec![0; 64 * 1024];
        loop {
            let read = file.read(&mut chunk)?;
            let written = match export.writer.raw(&chunk[..read]) {
                Ok(()) if self.sigint.is_received() => Err(ExportError::Interrupted),
                Ok(()) if read > 0 => continue,
                Ok(()) => play_ending(&mut export, planned.ending, &planned.id, &header, None),
                Err(error) => Err(error.into()),
            };
            return conclude(&mut export, written);
        }
    }

    /// DCE's warning where it knows without a request that there are no messages.
    pub(crate) fn empty_warning(
        &self,
        id: &str,
        header: &Header,
        ends: Option<(Snowflake, Snowflake)>,
    ) -> Option<String> {
        let ExportOptions { after, before, .. } = self.options;
        let period = match ends {
            None => "",
            Some((_, last)) => {
                let is_over = after.is_some_and(|after| after >= last);
                let channel = id.parse().map(Snowflake).ok();
                let not_begun = before.zip(channel).is_some_and(|(before, channel)| before <= channel);
                if !is_over && !not_begun {
                    return None;
                }
                " within the specified period"
            }
        };
        let (channel, guild) = (&header.channel.name, &header.guild.name);
        Some(format!(
            "Channel '{channel}' of guild '{guild}' does not contain any messages{period}; an empty file will be created."
        ))
    }
}

fn write_messages(
    export: &mut ChannelExport<'_>,
    messages: &mut dyn Messages,
    planned: &Planned<'_>,
    header: &Header,
    after: Option<Snowflake>,
) -> Result<ChannelOutcome, ExportError> {
    if let Some(after) = after {
        messages.skip_to(after);
    }
    let mut message = Vec::new();
    loop {
        let next = export.next(messages, &mut message)?;
        match next {
            Some(id) if export.written < planned.limit => export.write(id, &message)?,
            _ => {
                let next = next.map(|_| message.as_slice());
                return play_ending(export, planned.ending, &planned.id, header, next);
            }
        }
    }
}

/// Prints DCE's summary. The call fails only if every channel failed.
fn summarize(channels: usize, warnings: &[(String, String)], failures: &[(String, String)]) -> ProcessExit {
    print_line(&format!("Successfully exported {} channel(s).", channels - failures.len()));
    let groups = [("Warnings reported for", warnings), ("Failed to export", failures)];
    for (what, entries) in groups.into_iter().filter(|(_, entries)| !entries.is_empty()) {
        print_line("");
        print_error(&format!("{what} the following channel(s):\n"));
        for (label, text) in entries {
            print_error(&format!("{label}: {text}\n"));
        }
        print_error("\n");
    }
    if failures.len() < channels {
        ProcessExit::Exit(0, String::new())
    } else {
        ProcessExit::error("Export failed.\n")
    }
}
