//! One channel's messages on their way into the files: chosen, paced, counted, stopped by SIGINT.

use std::io::{self, Write as _};
use std::time::{Duration, Instant};

use crate::filter::Filter;
use crate::interrupt::Interrupt;
use crate::parts::{OutputError, PartWriter};
use crate::progress::Progress;
use crate::snowflake::Snowflake;
use crate::source::{Messages, Place, Window};

/// Why a performance does not go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Stop {
    /// SIGINT came.
    #[error("interrupted")]
    Interrupted,
    /// The output cannot be written, which DCE has words for.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// What should be played cannot be read.
    #[error("cannot read what to play: {0}")]
    Source(#[from] io::Error),
}

/// The performance of one channel.
pub(crate) struct Performance<'a> {
    pub(crate) writer: PartWriter,
    pub(crate) window: Window,
    pub(crate) filter: Option<&'a Filter>,
    pub(crate) pace: Pace,
    pub(crate) progress: Progress,
    pub(crate) interrupt: &'a Interrupt,
    /// The newest message read.
    pub(crate) last: Option<Snowflake>,
    /// Read, of those inside the window.
    pub(crate) read: u64,
    /// Those of them that the filter let pass.
    pub(crate) written: u64,
}

/// Messages per second from a start.
pub(crate) struct Pace {
    start: Instant,
    /// None: no waiting.
    rate: Option<u32>,
}

impl Pace {
    pub(crate) fn new(start: Instant, rate: Option<u32>) -> Self {
        Self { start, rate }
    }

    /// When the message of this number, from 0, is due.
    fn due(&self, number: u64) -> Option<Instant> {
        let rate = u64::from(self.rate?);
        let rest = Duration::from_nanos(number % rate * 1_000_000_000 / rate);
        self.start.checked_add(Duration::from_secs(number / rate) + rest)
    }
}

impl Performance<'_> {
    /// The next message that was asked for, in `buffer`.
    pub(crate) fn next(
        &mut self,
        messages: &mut dyn Messages,
        buffer: &mut Vec<u8>,
    ) -> Result<Option<Snowflake>, Stop> {
        loop {
            buffer.clear();
            let Some(id) = messages.next(buffer)? else { return Ok(None) };
            match self.window.place(id) {
                Place::Above => return Ok(None),
                Place::Inside if self.passes_filter(buffer)? => return Ok(Some(id)),
                Place::Inside => self.leave_out(id)?,
                Place::Below if self.interrupt.asked() => return Err(Stop::Interrupted),
                Place::Below => {}
            }
        }
    }

    /// Whether the filter, if there is one, lets a message pass.
    pub(crate) fn passes_filter(&self, message: &[u8]) -> Result<bool, Stop> {
        match self.filter {
            Some(filter) => filter.accepts(message).map_err(|error| Stop::Source(error.into())),
            None => Ok(true),
        }
    }

    /// Writes a message when it is due.
    pub(crate) fn write(&mut self, id: Snowflake, message: &[u8]) -> Result<(), Stop> {
        self.wait_for_next()?;
        self.writer.message(message)?;
        self.written += 1;
        self.have_read(id);
        Ok(())
    }

    /// The filter is DCE's own: messages that it does not let pass are downloaded like others.
    fn leave_out(&mut self, id: Snowflake) -> Result<(), Stop> {
        self.wait_for_next()?;
        self.have_read(id);
        Ok(())
    }

    fn wait_for_next(&mut self) -> Result<(), Stop> {
        match self.pace.due(self.read) {
            Some(due) => self.wait_until(due),
            None if self.interrupt.asked() => Err(Stop::Interrupted),
            None => Ok(()),
        }
    }

    fn have_read(&mut self, id: Snowflake) {
        self.last = Some(id);
        self.read += 1;
        self.report(Instant::now());
    }

    /// Writes nothing more, until SIGINT or another signal comes.
    pub(crate) fn hang(&mut self) -> Result<(), Stop> {
        self.writer.flush()?;
        loop {
            let next_look = self.progress.next_look();
            self.wait_until(next_look)?;
            self.report(Instant::now());
        }
    }

    fn wait_until(&mut self, due: Instant) -> Result<(), Stop> {
        while Instant::now() < due {
            let until = due.min(self.progress.next_look());
            if self.interrupt.wait_until(until) {
                return Err(Stop::Interrupted);
            }
            self.report(Instant::now());
        }
        if self.interrupt.asked() { Err(Stop::Interrupted) } else { Ok(()) }
    }

    fn report(&mut self, now: Instant) {
        if let Some(line) = self.progress.line(now, self.last) {
            say(&line);
        }
    }
}

/// Prints a line on stdout; a reader that has gone does not matter.
pub(crate) fn say(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
}
