//! `export`: from the channels asked for to files and DCE's summary.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context as _, bail};
use dce_testkit::scenario::{Ending, Source};

use crate::command_line::ExportOptions;
use crate::ending::{End, Outcome, before_any_file, complain, strike};
use crate::header::Header;
use crate::interrupt::Interrupt;
use crate::output_path::{self, Naming};
use crate::partition::PartitionLimit;
use crate::parts::{Clock, Frame, Layout, PartWriter};
use crate::performance::{Pace, Performance, Stop, say};
use crate::progress::Progress;
use crate::replay;
use crate::snowflake::Snowflake;
use crate::source::{self, Generated, Messages, Opened, Window};
use crate::stage::{Plan, Stage};
use crate::texts;

/// One call of `export`.
pub(crate) struct Export<'a> {
    pub(crate) stage: &'a Stage,
    pub(crate) options: &'a ExportOptions,
    /// The number of this attempt at each channel.
    pub(crate) attempts: &'a BTreeMap<String, u64>,
    pub(crate) interrupt: &'a Interrupt,
    pub(crate) clock: Clock,
    pub(crate) current_dir: PathBuf,
}

/// A channel that is to be played.
struct Planned<'a> {
    id: String,
    source: &'a Source,
    rate: Option<u32>,
    limit: u64,
    then: Ending,
}

impl Export<'_> {
    /// Plays it.
    pub(crate) fn run(&self) -> anyhow::Result<End> {
        if self.stage.scenario.token.as_ref().is_some_and(|good| *good != self.options.token) {
            self.begin();
            return Ok(End::error(texts::INVALID_TOKEN));
        }
        let ids: Vec<_> = self.options.channels.iter().map(|id| id.0.to_string()).collect();
        let mut planned = Vec::new();
        for id in ids {
            match self.stage.plan(&id, self.attempts.get(&id).copied().unwrap_or(1)) {
                // A recording is one of a whole process, with all its channels.
                Plan::Replay(case) => return replay::play(self, &case),
                Plan::Unknown => {
                    self.begin();
                    return Ok(End::error(texts::unknown(&id)));
                }
                Plan::Play { source, rate, limit, then } => {
                    if limit == 0
                        && let Some(end) = before_any_file(then, &id)
                    {
                        self.begin();
                        return Ok(end);
                    }
                    planned.push(Planned { id, source, rate, limit, then });
                }
            }
        }
        self.begin();
        if self.options.with_threads {
            say("Fetching threads...\nFetched 0 thread(s).");
        }
        if planned.len() > 1 && output_path::is_single_file(self.output(), &self.current_dir) {
            return Ok(End::error(texts::several_in_one_file(self.output())));
        }
        say(&format!("Exporting {} channel(s)...", planned.len()));
        let (mut warnings, mut failures) = (Vec::new(), Vec::new());
        for channel in &planned {
            match self.play(channel)? {
                (_, Outcome::Done) => {}
                (label, Outcome::Warned(words)) => warnings.push((label, words)),
                (label, Outcome::Failed(words)) => failures.push((label, words)),
                (_, Outcome::Fatal(end)) => return Ok(end),
            }
        }
        Ok(summarize(planned.len(), &warnings, &failures))
    }

    /// What DCE prints before it asks Discord anything.
    fn begin(&self) {
        if !self.options.no_banner {
            say(texts::banner().trim_end_matches('\n'));
            say("");
        }
        say("Resolving channel(s)...");
    }

    fn play(&self, planned: &Planned<'_>) -> anyhow::Result<(String, Outcome)> {
        let mut messages: Box<dyn Messages> = match planned.source {
            Source::Generate(asked) => Box::new(Generated::new(&planned.id, *asked)?),
            Source::File(path) => {
                let path = self.stage.path(path);
                match source::open(&path).with_context(|| format!("cannot read {}", path.display()))? {
                    Opened::Messages(messages) => messages,
                    Opened::Other(file) => return Ok((planned.id.clone(), self.pass_on(planned, file)?)),
                }
            }
            Source::Case(_) => {
                bail!("channel {} is a recording: it has no messages to play otherwise", planned.id)
            }
        };
        let header = messages.header().clone();
        let label = header.label();
        let warning = self.why_empty(&planned.id, &header, messages.ends());
        let mut performance = self.performance(&header, messages.ends(), planned.rate);
        let played = match warning {
            Some(words) if planned.then != Ending::Forum => {
                performance.writer.finish().map(|()| Outcome::Warned(words)).map_err(Stop::from)
            }
            _ => perform(&mut performance, messages.as_mut(), planned, &header, self.options.after),
        };
        Ok((label, settle(&mut performance, played)?))
    }

    /// Passes on a file that is not in DCE's layout.
    fn pass_on(&self, planned: &Planned<'_>, mut file: File) -> anyhow::Result<Outcome> {
        let header = Header::nameless(&planned.id);
        let mut performance = self.performance(&header, None, planned.rate);
        let layout = Layout { partition: PartitionLimit::None, write_each: true };
        performance.writer = PartWriter::new(self.output_file(&header), None, layout);
        let mut chunk = vec![0; 64 * 1024];
        loop {
            let read = file.read(&mut chunk)?;
            let written = match performance.writer.raw(&chunk[..read]) {
                Ok(()) if self.interrupt.asked() => Err(Stop::Interrupted),
                Ok(()) if read > 0 => continue,
                Ok(()) => strike(&mut performance, planned.then, &planned.id, &header, None),
                Err(error) => Err(error.into()),
            };
            return settle(&mut performance, written);
        }
    }

    /// Where DCE sees without asking for messages that there are none; its words.
    fn why_empty(&self, id: &str, header: &Header, ends: Option<(Snowflake, Snowflake)>) -> Option<String> {
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

    /// A performance that writes to where this export is to go.
    pub(crate) fn performance(
        &self,
        header: &Header,
        ends: Option<(Snowflake, Snowflake)>,
        rate: Option<u32>,
    ) -> Performance<'_> {
        let ExportOptions { after, before, partition, .. } = *self.options;
        let frame = Frame { header: header.clone(), after, before, clock: self.clock };
        let layout = Layout { partition, write_each: rate.is_some() };
        let start = Instant::now();
        let (first, last) = ends.unzip();
        Performance {
            writer: PartWriter::new(self.output_file(header), Some(frame), layout),
            window: Window::new(after, before),
            filter: self.options.filter.as_ref(),
            pace: Pace::new(start, rate),
            // From the first to the last message that there are, wherever the window's bounds lie.
            progress: Progress::new(header.label(), after.max(first), least(before, last), start),
            interrupt: self.interrupt,
            last: None,
            read: 0,
            written: 0,
        }
    }

    /// The file (part 1) for a channel.
    pub(crate) fn output_file(&self, header: &Header) -> PathBuf {
        let today = (self.clock)().format("%Y-%m-%d").to_string();
        let ExportOptions { after, before, .. } = *self.options;
        let naming = Naming { header, after, before, today: &today };
        output_path::resolve(self.output(), &self.current_dir, &naming)
    }

    fn output(&self) -> &str {
        self.options.output.as_deref().unwrap_or(".")
    }
}

fn perform(
    performance: &mut Performance<'_>,
    messages: &mut dyn Messages,
    planned: &Planned<'_>,
    header: &Header,
    after: Option<Snowflake>,
) -> Result<Outcome, Stop> {
    if let Some(after) = after {
        messages.skip_to(after);
    }
    let mut message = Vec::new();
    loop {
        let next = performance.next(messages, &mut message)?;
        match next {
            Some(id) if performance.written < planned.limit => performance.write(id, &message)?,
            _ => {
                let next = next.map(|_| message.as_slice());
                return strike(performance, planned.then, &planned.id, header, next);
            }
        }
    }
}

/// `Option`'s own order has none below all.
fn least(one: Option<Snowflake>, other: Option<Snowflake>) -> Option<Snowflake> {
    one.into_iter().chain(other).min()
}

/// What becomes of a performance that did not come to an end of its own.
pub(crate) fn settle(
    performance: &mut Performance<'_>,
    played: Result<Outcome, Stop>,
) -> anyhow::Result<Outcome> {
    match played {
        Ok(outcome) => Ok(outcome),
        Err(Stop::Interrupted) => Ok(Outcome::Fatal(match performance.writer.finish() {
            Ok(()) => End::Cancelled,
            Err(error) => End::of_output(&error),
        })),
        Err(Stop::Output(error)) => Ok(Outcome::Fatal(End::of_output(&error))),
        Err(Stop::Source(error)) => Err(Stop::Source(error).into()),
    }
}

/// DCE's summary. It fails only if every channel did.
fn summarize(channels: usize, warnings: &[(String, String)], failures: &[(String, String)]) -> End {
    say(&format!("Successfully exported {} channel(s).", channels - failures.len()));
    let groups = [("Warnings reported for", warnings), ("Failed to export", failures)];
    for (what, entries) in groups.into_iter().filter(|(_, entries)| !entries.is_empty()) {
        say("");
        complain(&format!("{what} the following channel(s):\n"));
        for (label, words) in entries {
            complain(&format!("{label}: {words}\n"));
        }
        complain("\n");
    }
    if failures.len() < channels { End::Exit(0, String::new()) } else { End::error("Export failed.\n") }
}
