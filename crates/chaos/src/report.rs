//! Prints one line per seed and a summary.

use std::fmt::Write as _;
use std::time::Duration;

use crate::event_log::ViolationKind;
use crate::seed_run::SeedOutcome;

/// From a kill to the next attempt: a lease of 20 s, a tick of the reconciler, a start.
const RESUME_GOAL: Duration = Duration::from_secs(25);

/// The header of the table.
pub(crate) fn head() -> String {
    "seed  theme       faults exports attempts messages  COMMITs lost  longest resume".to_owned()
}

/// The line of one seed. A failed one lists its violations, the command to repeat it, and its logs.
pub(crate) fn line(outcome: &SeedOutcome) -> String {
    let SeedOutcome { seed, theme, faults, tally, .. } = outcome;
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

pub(crate) fn summary(outcomes: &[SeedOutcome]) -> String {
    let of = |kind| {
        let has_kind = |outcome: &&SeedOutcome| outcome.violations.iter().any(|one| one.kind == kind);
        outcomes.iter().filter(has_kind).count()
    };
    let failed = outcomes.iter().filter(|outcome| !outcome.violations.is_empty()).count();
    let sum = |value: fn(&SeedOutcome) -> i64| outcomes.iter().map(value).sum::<i64>();
    let longest = outcomes.iter().filter_map(|outcome| outcome.longest_resume).max();
    format!(
        "{} seeds, {failed} failed; faults {}, exports {}, attempts {}, messages {}, COMMITs lost {}\n\
         seeds with messages lost {}, altered {}, duplicated {}, invented {}; stuck {}, inconsistent {}, over a limit {}, left over {}, misbehaved {}\n\
         longest time from the end of a worker until its run was resumed: {} (goal {} s)",
        outcomes.len(),
        sum(|outcome| i64::try_from(outcome.faults).unwrap_or(i64::MAX)),
        sum(|outcome| outcome.tally.exports),
        sum(|outcome| outcome.tally.attempts),
        sum(|outcome| outcome.tally.messages),
        sum(|outcome| outcome.tally.commits_lost.into()),
        of(ViolationKind::Lost),
        of(ViolationKind::Altered),
        of(ViolationKind::Duplicated),
        of(ViolationKind::Invented),
        of(ViolationKind::Stuck),
        of(ViolationKind::Inconsistent),
        of(ViolationKind::OverLimit),
        of(ViolationKind::Leftover),
        of(ViolationKind::Misbehaved),
        seconds(longest),
        RESUME_GOAL.as_secs(),
    )
}

fn seconds(duration: Option<Duration>) -> String {
    duration.map_or("-".into(), |duration| format!("{:.1} s", duration.as_secs_f64()))
}
