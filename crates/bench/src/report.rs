//! The result as a table and as a Markdown page.

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::Context as _;

use crate::spread::Spread;

pub(crate) struct Report {
    pub(crate) title: &'static str,
    /// Explains how the lines are measured.
    pub(crate) notes: &'static str,
    pub(crate) machine: Vec<String>,
    pub(crate) command: &'static str,
    /// The number of runs of each line.
    pub(crate) runs: String,
    pub(crate) lines: Vec<Line>,
}

/// One measurement.
pub(crate) struct Line {
    pub(crate) what: String,
    pub(crate) unit: Unit,
    pub(crate) spread: Spread,
    /// Measured once, or a summary of many measurements.
    pub(crate) is_single: bool,
    /// Empty: no goal.
    pub(crate) goal: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Messages per second.
    PerSecond,
    Milliseconds,
    Megabytes,
    Ratio,
}

impl Unit {
    fn name(self) -> &'static str {
        match self {
            Self::PerSecond => "msg/s",
            Self::Milliseconds => "ms",
            Self::Megabytes => "MB",
            Self::Ratio => "",
        }
    }

    fn show(self, value: f64) -> String {
        match self {
            Self::Milliseconds if value < 10.0 => format!("{value:.1}"),
            Self::PerSecond | Self::Milliseconds | Self::Megabytes => grouped(&format!("{value:.0}")),
            Self::Ratio => format!("{value:.2}"),
        }
    }
}

/// For [`Unit::Milliseconds`].
pub(crate) fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// For [`Unit::Megabytes`].
pub(crate) fn megabytes(kib: u32) -> f64 {
    f64::from(kib) / 1024.0
}

/// Groups digits by three.
fn grouped(digits: &str) -> String {
    let mut shown = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

impl Report {
    pub(crate) fn summary(&self) -> String {
        let mut text = String::new();
        for line in &self.machine {
            let _ = writeln!(text, "- {line}"); // writing to a String cannot fail
        }
        let _ = writeln!(text, "- {}\n", self.runs);
        text + &self.table()
    }

    /// The summary as a page of the documentation.
    pub(crate) fn page(&self) -> String {
        let Self { title, command, notes, .. } = self;
        format!("# {title}\n\nWritten by `{command}`.\n\n{}\n{notes}", self.summary())
    }

    fn table(&self) -> String {
        let head = ["", "unit", "min", "median", "max", "goal"].map(str::to_owned);
        let rows: Vec<_> = std::iter::once(head).chain(self.lines.iter().map(Line::cells)).collect();
        let widths: [usize; 6] = std::array::from_fn(|column| {
            rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0).max(3)
        });
        let mut text = String::new();
        for (number, row) in rows.iter().enumerate() {
            for (column, (cell, width)) in row.iter().zip(widths).enumerate() {
                let _ = match column {
                    2..=4 => write!(text, "| {cell:>width$} "),
                    _ => write!(text, "| {cell:width$} "),
                };
            }
            text.push_str("|\n");
            if number == 0 {
                for (column, width) in widths.into_iter().enumerate() {
                    let (dashes, end) =
                        ("-".repeat(width + 1), if (2..=4).contains(&column) { ":" } else { "-" });
                    let _ = write!(text, "|{dashes}{end}");
                }
                text.push_str("|\n");
            }
        }
        text
    }
}

impl Line {
    pub(crate) fn new(
        what: impl Into<String>,
        unit: Unit,
        values: Vec<f64>,
        goal: &'static str,
    ) -> anyhow::Result<Self> {
        let spread = Spread::new(values).context("no measurements")?;
        Ok(Self { what: what.into(), unit, spread, is_single: false, goal })
    }

    /// The lines of measurements that are taken together in each round.
    pub(crate) fn from_rounds<const N: usize>(
        size: &str,
        measurements: [(&str, Unit, &'static str); N],
        rounds: [Vec<f64>; N],
    ) -> anyhow::Result<Vec<Self>> {
        let lines = measurements.into_iter().zip(rounds);
        lines
            .map(|((what, unit, goal), values)| Self::new(format!("{size}: {what}"), unit, values, goal))
            .collect()
    }

    pub(crate) fn once(what: &str, unit: Unit, value: f64, goal: &'static str) -> Self {
        let spread = Spread { min: value, median: value, max: value };
        Self { what: what.into(), unit, spread, is_single: true, goal }
    }

    fn cells(&self) -> [String; 6] {
        let show = |value| self.unit.show(value);
        let Spread { min, median, max } = self.spread;
        let (min, max) = if self.is_single { (String::new(), String::new()) } else { (show(min), show(max)) };
        [self.what.clone(), self.unit.name().into(), min, show(median), max, self.goal.into()]
    }
}

#[cfg(test)]
mod tests {
    use super::{Line, Report, Unit};
    use crate::spread::Spread;

    #[test]
    fn a_table_is_aligned_text_and_markdown() {
        let spread = |min, median, max| Spread { min, median, max };
        let line = |what: &str, unit, spread, is_single, goal| Line {
            what: what.into(),
            unit,
            spread,
            is_single,
            goal,
        };
        let report = Report {
            title: "x",
            notes: "",
            machine: Vec::new(),
            command: "x",
            runs: String::new(),
            lines: vec![
                line("speed", Unit::PerSecond, spread(999.4, 51_234.0, 1_234_567.0), false, "≥ 5"),
                line("part", Unit::Ratio, spread(0.5, 0.5, 0.5), true, ""),
            ],
        };
        let expected = "\
|       | unit  | min | median |       max | goal |
|-------|-------|----:|-------:|----------:|------|
| speed | msg/s | 999 | 51,234 | 1,234,567 | ≥ 5  |
| part  |       |     |   0.50 |           |      |
";
        assert_eq!(report.table(), expected);
    }
}
