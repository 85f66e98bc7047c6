//! One line for each seed and a few for all of them.

use std::fmt::Write as _;
use std::time::Duration;

use crate::journal::Breach;
use crate::seed::Outcome;

/// From a kill to the next attempt: a lease of 20 s, a tick, a start.
const RESUME_GOAL: Duration = Duration::from_secs(25);

/// The head of the lines.
pub(crate) fn head() -> String {
    "seed  theme       faults exports attempts messages  COMMITs lost  longest resume".to_owned()
}

/// One seed. One that failed says what broke, how to run it again, and where its logs are.
pub(crate) fn line(outcome: &Outcome) -> String {
    let Outcome { seed, theme, faults, tally, .. } = outcome;
    let verdict = if outcome.violations.is_empty() { "ok" } else { "FAILED" };
    let mut text = format!(
        "{seed:>4}  {:<10} {faults:>7} {:>7} {:>8} {:>8}  {:>12}  {:>14}  {verdict}",
        theme.name(),
        tally.exports,
        tally.attempts,
        tally.messages,
        tally.commits_lost,
        seconds(outcome.longest_resume),
    );
    // Writing to a String cannot fail.
    for violation in &outcome.violations {
        let _ = write!(text, "\n      {violation}");
    }
    if !outcome.violations.is_empty() {
        let _ = write!(text, "\n      again: scripts/chaos.sh --seed {seed}");
    }
    if let Some(logs) = &outcome.logs {
        let _ = write!(text, "\n      logs:  {}", logs.display());
    }
    text
}

/// All seeds.
pub(crate) fn summary(outcomes: &[Outcome]) -> String {
    let of = |breach| {
        let breached = |outcome: &&Outcome| outcome.violations.iter().any(|one| one.breach == breach);
        outcomes.iter().filter(breached).count()
    };
    let failed = outcomes.iter().filter(|outcome| !outcome.violations.is_empty()).count();
    let sum = |value: fn(&Outcome) -> i64| outcomes.iter().map(value).sum::<i64>();
    let longest = outcomes.iter().filter_map(|outcome| outcome.longest_resume).max();
    format!(
        "{} seeds, {failed} failed; faults {}, exports {}, attempts {}, messages {}, COMMITs lost {}\n\
         seeds with messages lost {}, altered {}, twice {}, invented {}; stuck {}, untrue {}, overshot {}, left over {}, misbehaved {}\n\
         longest time from the end of a worker to the resume of its run: {} (goal {} s)",
        outcomes.len(),
        sum(|outcome| i64::try_from(outcome.faults).unwrap_or(i64::MAX)),
        sum(|outcome| outcome.tally.exports),
        sum(|outcome| outcome.tally.attempts),
        sum(|outcome| outcome.tally.messages),
        sum(|outcome| outcome.tally.commits_lost.into()),
        of(Breach::Lost),
        of(Breach::Altered),
        of(Breach::Twice),
        of(Breach::Invented),
        of(Breach::Stuck),
        of(Breach::Untrue),
        of(Breach::Overshot),
        of(Breach::LeftOver),
        of(Breach::Misbehaved),
        seconds(longest),
        RESUME_GOAL.as_secs(),
    )
}

fn seconds(duration: Option<Duration>) -> String {
    duration.map_or("-".into(), |duration| format!("{:.1} s", duration.as_secs_f64()))
}
