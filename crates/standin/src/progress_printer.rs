//! DCE's progress on a redirected stdout as Spectre.Console prints it: updated once a second, so short exports print
//! none; repeated after 30 s without change, so a line is no sign of life.

use std::time::{Duration, Instant};

use dce_standin::snowflake::Snowflake;

const UPDATE_EVERY: Duration = Duration::from_secs(1);
const REPEAT_AFTER: Duration = Duration::from_secs(30);
/// From this percentage on every percent is printed.
const FINE_FROM: u64 = 95;

/// Progress of one channel, by the time of its messages.
pub(crate) struct ProgressPrinter {
    label: String,
    /// First and last millisecond.
    span: (u64, u64),
    next_update: Instant,
    printed_at: Instant,
    /// None before the first update.
    printed: Option<u64>,
}

impl ProgressPrinter {
    /// Starts at `now`, over the messages from `first` to `last`.
    pub(crate) fn new(
        label: String,
        first: Option<Snowflake>,
        last: Option<Snowflake>,
        now: Instant,
    ) -> Self {
        let millisecond = |id: Option<Snowflake>| id.map_or(0, Snowflake::millisecond);
        Self {
            label,
            span: (millisecond(first), millisecond(last)),
            next_update: now + UPDATE_EVERY,
            printed_at: now,
            printed: None,
        }
    }

    /// Sets the messages that progress is measured between, once they are known.
    pub(crate) fn cover(&mut self, first: Snowflake, last: Snowflake) {
        self.span = (first.millisecond(), last.millisecond());
    }

    /// When [`line`](Self::line) may return a line again.
    pub(crate) fn next_update(&self) -> Instant {
        self.next_update
    }

    /// The line to print now, if any, when the message `at` has just been written.
    pub(crate) fn line(&mut self, now: Instant, at: Option<Snowflake>) -> Option<String> {
        if now < self.next_update {
            return None;
        }
        self.next_update = now + UPDATE_EVERY;
        let percent = self.percent(at);
        let due = self.printed.is_none_or(|printed| step(percent) > step(printed))
            || now.duration_since(self.printed_at) >= REPEAT_AFTER;
        due.then(|| {
            (self.printed, self.printed_at) = (Some(percent), now);
            format!("{}: {percent}%", self.label)
        })
    }

    fn percent(&self, at: Option<Snowflake>) -> u64 {
        let (first, last) = self.span;
        let done = at.map_or(0, |at| at.millisecond().saturating_sub(first));
        (100 * done).checked_div(last.saturating_sub(first)).unwrap_or(0).min(100)
    }
}

fn step(percent: u64) -> u64 {
    if percent >= FINE_FROM { percent } else { percent / 25 }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::ProgressPrinter;
    use dce_standin::snowflake::Snowflake;

    #[test]
    fn progress_is_printed_at_quarters_and_repeated_after_half_a_minute() {
        let start = Instant::now();
        let id = |percent: u64| Some(Snowflake((1_000 + percent) << 22));
        let mut progress = ProgressPrinter::new("cat / big".into(), id(0), id(100), start);
        let mut at =
            |second: u64, percent: u64| progress.line(start + Duration::from_secs(second), id(percent));
        assert_eq!(at(0, 10), None);
        assert_eq!(at(1, 20).as_deref(), Some("cat / big: 20%"));
        assert_eq!(at(2, 24), None);
        assert_eq!(at(3, 30).as_deref(), Some("cat / big: 30%"));
        assert_eq!(at(20, 40), None);
        assert_eq!(at(40, 40).as_deref(), Some("cat / big: 40%"));
        assert_eq!(at(41, 97).as_deref(), Some("cat / big: 97%"));
        assert_eq!(at(42, 98).as_deref(), Some("cat / big: 98%"));
    }
}
