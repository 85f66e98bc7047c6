//! Messages per second: exports and imports, side by side with `psql \copy` and a Python script.

use std::time::Duration;

use anyhow::ensure;

use crate::channels::MeasuredChannel;
use crate::import::{Counts, document, edited, import};
use crate::measured_service::MeasuredService;
use crate::psql_copy::PsqlCopy;
use crate::python_script::{PythonScript, WriteMethod};
use crate::report::{Line, Unit, megabytes};

/// For exports whose end is measured by the database's clock.
const COARSE_POLL: Duration = Duration::from_millis(50);

/// Export, import, `psql \copy` of the same rows, and both again with everything archived already, in turns.
pub(crate) async fn lines(
    service: &MeasuredService<'_>,
    runs: u32,
    measured_channel: MeasuredChannel,
) -> anyhow::Result<Vec<Line>> {
    let MeasuredChannel { channel, messages, name: size } = measured_channel;
    let mut rounds: [Vec<f64>; 8] = Default::default();
    let mut baseline = None;
    let file = document(service, channel).await?;
    for run in 1..=runs {
        eprintln!("{size}: {run} of {runs}");
        service.clear_archive().await?;
        let export = service.export(channel, COARSE_POLL).await?;
        ensure!(
            export.inserted == i64::from(messages),
            "{} of {messages} messages are archived",
            export.inserted
        );
        service.execute(&["CHECKPOINT"]).await?;
        let exported_again = service.export(channel, COARSE_POLL).await?;
        ensure!(exported_again.inserted == 0, "{} messages were inserted again", exported_again.inserted);

        let baseline = match &baseline {
            Some(baseline) => baseline,
            None => baseline.insert(PsqlCopy::prepare(service).await?),
        };
        let copy = baseline.copy(service).await?;

        service.clear_archive().await?;
        let imported = import(service, &file, &[]).await?;
        ensure!(imported.counts == Counts::completed(messages, messages, 0), "{:?}", imported.counts);
        service.execute(&["CHECKPOINT"]).await?;
        let imported_again = import(service, &file, &[]).await?;
        ensure!(imported_again.counts == Counts::completed(messages, 0, 0), "{:?}", imported_again.counts);

        let round = [
            measured_channel.per_second(export.attempt),
            measured_channel.per_second(imported.took),
            measured_channel.per_second(copy),
            export.attempt.as_secs_f64() / copy.as_secs_f64(),
            imported.took.as_secs_f64() / copy.as_secs_f64(),
            measured_channel.per_second(exported_again.attempt),
            measured_channel.per_second(imported_again.took),
            megabytes(imported.peak_kib),
        ];
        rounds.iter_mut().zip(round).for_each(|(values, value)| values.push(value));
    }
    service.execute(&["DROP TABLE baseline"]).await?;
    std::fs::remove_file(file)?;
    let measurements = [
        ("export, claim to completed", Unit::PerSecond, ""),
        ("import, the whole command", Unit::PerSecond, ""),
        ("`psql \\copy` of the same rows, prepared", Unit::PerSecond, ""),
        ("time of export ÷ time of `psql \\copy`", Unit::Ratio, "≤ 0.6, then ≤ 0.5"),
        ("time of import ÷ time of `psql \\copy`", Unit::Ratio, "≤ 0.55, then ≤ 0.5"),
        ("exported again, nothing new", Unit::PerSecond, "≥ 200,000"),
        ("imported again, nothing new", Unit::PerSecond, "≥ 200,000"),
        ("import's peak memory", Unit::Megabytes, "≤ 32"),
    ];
    let mut lines = Line::from_rounds(size, measurements, rounds)?;
    let peak = megabytes(service.worker_peak()?);
    lines.push(Line::once(&format!("{size}: worker's peak memory"), Unit::Megabytes, peak, "≤ 32"));
    Ok(lines)
}

/// Import with `--on-conflict update` of a document in which one message in a hundred has changed.
pub(crate) async fn updates(
    service: &MeasuredService<'_>,
    runs: u32,
    measured_channel: MeasuredChannel,
) -> anyhow::Result<Line> {
    let MeasuredChannel { channel, messages, name: size } = measured_channel;
    let file = document(service, channel).await?;
    let copy = service.directory.join("edited.json");
    let changed = edited(&file, &copy)?;
    let mut rates = vec![];
    for run in 1..=runs {
        eprintln!("{size} updated: {run} of {runs}");
        service.clear_archive().await?;
        import(service, &file, &[]).await?;
        service.execute(&["CHECKPOINT"]).await?;
        let updated = import(service, &copy, &["--on-conflict", "update"]).await?;
        ensure!(updated.counts == Counts::completed(messages, 0, changed), "{:?}", updated.counts);
        rates.push(measured_channel.per_second(updated.took));
    }
    for file in [file, copy] {
        std::fs::remove_file(file)?;
    }
    let what = format!("{size}: imported with `--on-conflict update`, {changed} of them changed");
    Line::new(what, Unit::PerSecond, rates, "")
}

/// Import, side by side with a Python script if there is a Python.
pub(crate) async fn scripts(
    service: &MeasuredService<'_>,
    runs: u32,
    measured_channel: MeasuredChannel,
) -> anyhow::Result<Vec<Line>> {
    let MeasuredChannel { channel, messages, name: size } = measured_channel;
    let Some(script) = PythonScript::prepare(&service.directory)? else {
        eprintln!("no Python with psycopg: the script is not measured");
        return Ok(Vec::new());
    };
    let file = document(service, channel).await?;
    let (mut imports, mut copies, mut inserts) = (vec![], vec![], vec![]);
    for run in 1..=runs {
        eprintln!("{size} by a script: {run} of {runs}");
        service.clear_archive().await?;
        imports.push(measured_channel.per_second(import(service, &file, &[]).await?.took));
        for (method, rates) in [(WriteMethod::Copy, &mut copies), (WriteMethod::Insert, &mut inserts)] {
            service.clear_archive().await?;
            rates.push(measured_channel.per_second(script.run(service, method, &file).await?));
            check_rows(service, messages).await?;
        }
    }
    std::fs::remove_file(file)?;
    Ok(vec![
        Line::new(format!("{size}: import, the whole command"), Unit::PerSecond, imports, "")?,
        Line::new(format!("{size}: a Python script with COPY"), Unit::PerSecond, copies, "")?,
        Line::new(format!("{size}: a Python script, one INSERT each"), Unit::PerSecond, inserts, "")?,
    ])
}

async fn check_rows(service: &MeasuredService<'_>, messages: u32) -> anyhow::Result<()> {
    let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM messages").fetch_one(&service.pool).await?;
    ensure!(rows == i64::from(messages), "{rows} of {messages} messages are archived");
    Ok(())
}
