//! The export of one channel: selects, paces and counts messages, writes them to the files, stops at SIGINT.

use std::io;
use std::time::{Duration, Instant};

use crate::console::print_line;
use crate::filter::Filter;
use crate::part_writer::{OutputError, PartWriter};
use crate::progress_printer::ProgressPrinter;
use crate::recorded_texts::RecordedTexts;
use crate::sigint::Sigint;
use dce_standin::scenario::DceVersion;
use dce_standin::snowflake::Snowflake;
use dce_standin::source::{Messages, Window, WindowPosition};

/// Why the export of a channel stops early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExportError {
    #[error("interrupted")]
    Interrupted,
    /// The output cannot be written, which DCE reports.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// The channel's messages cannot be read.
    #[error("cannot read the channel's messages: {0}")]
    Source(#[from] io::Error),
}

pub(crate) struct ChannelExport<'a> {
    pub(crate) version: DceVersion,
    pub(crate) texts: &'static RecordedTexts,
    /// `--after`
    pub(crate) after: Option<Snowflake>,
    pub(crate) writer: PartWriter,
    pub(crate) window: Window,
    pub(crate) filter: Option<&'a Filter>,
    pub(crate) pace: Pace,
    pub(crate) progress: ProgressPrinter,
    pub(crate) sigint: &'a Sigint,
    /// The newest message read.
    pub(crate) last: Option<Snowflake>,
    /// Messages read inside the window.
    pub(crate) read: u64,
    /// Those of them that passed the filter.
    pub(crate) written: u64,
}

/// A number of messages per second, counted from `start`.
pub(crate) struct Pace {
    start: Instant,
    /// None: full speed.
    rate: Option<u32>,
}

impl Pace {
    pub(crate) fn new(start: Instant, rate: Option<u32>) -> Self {
        Self { start, rate }
    }

    /// When message `number` (from 0) is due.
    fn due(&self, number: u64) -> Option<Instant> {
        let rate = u64::from(self.rate?);
        let rest = Duration::from_nanos(number % rate * 1_000_000_000 / rate);
        self.start.checked_add(Duration::from_secs(number / rate) + rest)
    }
}

impl ChannelExport<'_> {
    /// Reads the next selected message into `buffer`.
    pub(crate) fn next(
        &mut self,
        messages: &mut dyn Messages,
        buffer: &mut Vec<u8>,
    ) -> Result<Option<Snowflake>, ExportError> {
        loop {
            buffer.clear();
            let Some(id) = messages.next(buffer)? else { return Ok(None) };
            match self.window.position(id) {
                WindowPosition::Above => return Ok(None),
                WindowPosition::Inside if self.passes_filter(buffer)? => return Ok(Some(id)),
                WindowPosition::Inside => self.skip(id)?,
                WindowPosition::Below if self.sigint.is_received() => return Err(ExportError::Interrupted),
                WindowPosition::Below => {}
            }
        }
    }

    /// Whether a message passes the filter, if there is one.
    pub(crate) fn passes_filter(&self, message: &[u8]) -> Result<bool, ExportError> {
        match self.filter {
            Some(filter) => filter.accepts(message).map_err(|error| ExportError::Source(error.into())),
            None => Ok(true),
        }
    }

    /// Writes a message when it is due.
    pub(crate) fn write(&mut self, id: Snowflake, message: &[u8]) -> Result<(), ExportError> {
        self.wait_for_next()?;
        self.writer.message(message)?;
        self.written += 1;
        self.count_read(id);
        Ok(())
    }

    /// Takes as long as writing: DCE downloads messages before it filters them.
    pub(crate) fn skip(&mut self, id: Snowflake) -> Result<(), ExportError> {
        self.wait_for_next()?;
        self.count_read(id);
        Ok(())
    }

    fn wait_for_next(&mut self) -> Result<(), ExportError> {
        match self.pace.due(self.read) {
            Some(due) => self.wait_until(due),
            None if self.sigint.is_received() => Err(ExportError::Interrupted),
            None => Ok(()),
        }
    }

    fn count_read(&mut self, id: Snowflake) {
        self.last = Some(id);
        self.read += 1;
        self.report(Instant::now());
    }

    /// The request that fails in a scripted ending: that for the next page. In 2.47 it is the question for the newest
    /// message as long as there is none.
    pub(crate) fn failing_request(&self, channel: &str) -> String {
        match (self.last, self.version) {
            (None, DceVersion::V2_47) => format!("channels/{channel}/messages?limit=1"),
            (last, _) => {
                let Snowflake(after) = last.or(self.after).unwrap_or(Snowflake(0));
                format!("channels/{channel}/messages?limit=100&after={after}")
            }
        }
    }

    /// Writes nothing more and waits for SIGINT or another signal.
    pub(crate) fn hang(&mut self) -> Result<(), ExportError> {
        self.writer.flush()?;
        loop {
            let next_update = self.progress.next_update();
            self.wait_until(next_update)?;
            self.report(Instant::now());
        }
    }

    /// Prints progress on the way. An error if SIGINT was received.
    pub(crate) fn wait_until(&mut self, due: Instant) -> Result<(), ExportError> {
        self.report(Instant::now());
        while Instant::now() < due {
            let until = due.min(self.progress.next_update());
            if self.sigint.wait_until(until) {
                return Err(ExportError::Interrupted);
            }
            self.report(Instant::now());
        }
        if self.sigint.is_received() { Err(ExportError::Interrupted) } else { Ok(()) }
    }

    fn report(&mut self, now: Instant) {
        if let Some(line) = self.progress.line(now, self.last) {
            print_line(&line);
        }
    }
}
