//! Messages per second: live exports and imports, beside `psql \copy` and what scripts do.

use std::time::Duration;

use anyhow::ensure;

use crate::baseline::Baseline;
use crate::import::{Counts, document, edited, import};
use crate::measure::empty;
use crate::report::{Line, Unit, megabytes};
use crate::scripts::{Scripts, Way};
use crate::stack::Stack;

/// Looks at exports whose end the database's clock tells.
const LOOSE_LOOK: Duration = Duration::from_millis(50);

/// A channel of the scenario, and how it is called in the report.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subject {
    pub(crate) channel: &'static str,
    pub(crate) messages: u32,
    pub(crate) name: &'static str,
}

impl Subject {
    pub(crate) fn per_second(self, took: Duration) -> f64 {
        f64::from(self.messages) / took.as_secs_f64()
    }
}

/// Export, import, `psql \copy` of the same rows, and what is there already once more, in turns.
pub(crate) async fn lines(stack: &Stack<'_>, runs: u32, subject: Subject) -> anyhow::Result<Vec<Line>> {
    let Subject { channel, messages, name: size } = subject;
    let mut rounds: [Vec<f64>; 8] = Default::default();
    let mut baseline = None;
    let file = document(stack, channel).await?;
    for run in 1..=runs {
        eprintln!("{size}: {run} of {runs}");
        empty(stack).await?;
        let export = stack.export(channel, LOOSE_LOOK).await?;
        ensure!(export.inserted == i64::from(messages), "{} of {messages} arrived", export.inserted);
        stack.execute(&["CHECKPOINT"]).await?;
        let exported_again = stack.export(channel, LOOSE_LOOK).await?;
        ensure!(exported_again.inserted == 0, "{} arrived twice", exported_again.inserted);

        let baseline = match &baseline {
            Some(baseline) => baseline,
            None => baseline.insert(Baseline::prepare(stack).await?),
        };
        let copy = baseline.copy(stack).await?;

        empty(stack).await?;
        let imported = import(stack, &file, &[]).await?;
        ensure!(imported.counts == Counts::completed(messages, messages, 0), "{:?}", imported.counts);
        stack.execute(&["CHECKPOINT"]).await?;
        let imported_again = import(stack, &file, &[]).await?;
        ensure!(imported_again.counts == Counts::completed(messages, 0, 0), "{:?}", imported_again.counts);

        let measured = [
            subject.per_second(export.attempt),
            subject.per_second(imported.took),
            subject.per_second(copy),
            export.attempt.as_secs_f64() / copy.as_secs_f64(),
            imported.took.as_secs_f64() / copy.as_secs_f64(),
            subject.per_second(exported_again.attempt),
            subject.per_second(imported_again.took),
            megabytes(imported.peak_kib),
        ];
        rounds.iter_mut().zip(measured).for_each(|(values, value)| values.push(value));
    }
    stack.execute(&["DROP TABLE baseline"]).await?;
    std::fs::remove_file(file)?;
    let what = [
        ("export, claim to completed", Unit::PerSecond, ""),
        ("import, the whole command", Unit::PerSecond, ""),
        ("`psql \\copy` of the same rows, prepared", Unit::PerSecond, ""),
        ("time of export ÷ time of `psql \\copy`", Unit::Ratio, "≤ 0.6, then ≤ 0.5"),
        ("time of import ÷ time of `psql \\copy`", Unit::Ratio, "≤ 0.55, then ≤ 0.5"),
        ("exported again, nothing new", Unit::PerSecond, "≥ 200,000"),
        ("imported again, nothing new", Unit::PerSecond, "≥ 200,000"),
        ("import's peak memory", Unit::Megabytes, "≤ 32"),
    ];
    let lines = what.into_iter().zip(rounds);
    let mut lines: Vec<Line> = lines
        .map(|((what, unit, goal), values)| Line::new(format!("{size}: {what}"), unit, values, goal))
        .collect::<anyhow::Result<_>>()?;
    let peak = megabytes(stack.worker_peak()?);
    lines.push(Line::once(&format!("{size}: worker's peak memory"), Unit::Megabytes, peak, "≤ 32"));
    Ok(lines)
}

/// A document in which one message in a hundred has changed, with `--on-conflict update`.
pub(crate) async fn updates(stack: &Stack<'_>, runs: u32, subject: Subject) -> anyhow::Result<Line> {
    let Subject { channel, messages, name: size } = subject;
    let file = document(stack, channel).await?;
    let copy = stack.directory.join("edited.json");
    let changed = edited(&file, &copy)?;
    let mut rates = vec![];
    for run in 1..=runs {
        eprintln!("{size} updated: {run} of {runs}");
        empty(stack).await?;
        import(stack, &file, &[]).await?;
        stack.execute(&["CHECKPOINT"]).await?;
        let updated = import(stack, &copy, &["--on-conflict", "update"]).await?;
        ensure!(updated.counts == Counts::completed(messages, 0, changed), "{:?}", updated.counts);
        rates.push(subject.per_second(updated.took));
    }
    for file in [file, copy] {
        std::fs::remove_file(file)?;
    }
    let what = format!("{size}: imported with `--on-conflict update`, {changed} of them changed");
    Line::new(what, Unit::PerSecond, rates, "")
}

/// The import beside what scripts do, if there is a Python for them.
pub(crate) async fn scripts(stack: &Stack<'_>, runs: u32, subject: Subject) -> anyhow::Result<Vec<Line>> {
    let Subject { channel, messages, name: size } = subject;
    let Some(scripts) = Scripts::found(&stack.directory)? else {
        eprintln!("no Python with psycopg: scripts are not measured");
        return Ok(Vec::new());
    };
    let file = document(stack, channel).await?;
    let (mut imports, mut copies, mut inserts) = (vec![], vec![], vec![]);
    for run in 1..=runs {
        eprintln!("{size} by scripts: {run} of {runs}");
        empty(stack).await?;
        imports.push(subject.per_second(import(stack, &file, &[]).await?.took));
        for (way, rates) in [(Way::Copy, &mut copies), (Way::Insert, &mut inserts)] {
            empty(stack).await?;
            rates.push(subject.per_second(scripts.run(stack, way, &file).await?));
            arrived(stack, messages).await?;
        }
    }
    std::fs::remove_file(file)?;
    Ok(vec![
        Line::new(format!("{size}: import, the whole command"), Unit::PerSecond, imports, "")?,
        Line::new(format!("{size}: a Python script with COPY"), Unit::PerSecond, copies, "")?,
        Line::new(format!("{size}: a Python script, one INSERT each"), Unit::PerSecond, inserts, "")?,
    ])
}

async fn arrived(stack: &Stack<'_>, messages: u32) -> anyhow::Result<()> {
    let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM messages").fetch_one(&stack.pool).await?;
    ensure!(rows == i64::from(messages), "{rows} of {messages} arrived");
    Ok(())
}
