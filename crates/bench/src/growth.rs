//! The ingest as the archive grows: channel after channel of a million messages each.

use std::time::Duration;

use anyhow::ensure;
use dce_standin::scenario::{Channel, Scenario};

use crate::measured_service::MeasuredService;
use crate::report::{Line, Unit};

/// The text below the table.
pub(crate) const NOTES: &str = include_str!("growth_notes.md");
/// Millions of messages at which the archive is measured.
const SIZES: [u32; 4] = [1, 2, 5, 10];
const MILLION: u32 = 1_000_000;
const FIRST_CHANNEL: u64 = 830_000_000_000_000_001;
const POLL: Duration = Duration::from_millis(50);

pub(crate) fn scenario() -> Scenario {
    (0..millions()).fold(Scenario::new(), |scenario, number| {
        scenario.channel(channel(number), Channel::generated(MILLION.into(), number.into()))
    })
}

fn millions() -> u32 {
    SIZES.into_iter().max().unwrap_or(0)
}

fn channel(number: u32) -> String {
    (FIRST_CHANNEL + u64::from(number)).to_string()
}

/// Sizes in bytes, and index blocks that were not in the buffers, by the database's own counters.
#[derive(Debug, Clone, Copy, sqlx::FromRow)]
struct ArchiveSize {
    table_bytes: i64,
    key_bytes: i64,
    time_bytes: i64,
    index_reads: i64,
}

pub(crate) async fn lines(service: &MeasuredService<'_>) -> anyhow::Result<Vec<Line>> {
    let mut lines = Vec::new();
    let mut before = archive(service).await?;
    for number in 0..millions() {
        eprintln!("million {} of {}", number + 1, millions());
        let export = service.export(&channel(number), POLL).await?;
        ensure!(export.inserted == i64::from(MILLION), "{} messages are archived", export.inserted);
        let archive = archive(service).await?;
        if SIZES.contains(&(number + 1)) {
            lines.extend(measure(service, number, export.attempt, before, archive).await?);
        }
        before = archive;
    }
    Ok(lines)
}

/// The lines of the archive with `number + 1` million messages.
async fn measure(
    service: &MeasuredService<'_>,
    number: u32,
    took: Duration,
    before: ArchiveSize,
    archive: ArchiveSize,
) -> anyhow::Result<Vec<Line>> {
    service.execute(&["CHECKPOINT"]).await?;
    let again = service.export(&channel(number / 2), POLL).await?;
    ensure!(again.inserted == 0, "{} messages were inserted again", again.inserted);
    let rate = |took: Duration| f64::from(MILLION) / took.as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "sizes are far below 2^53")]
    let (megabytes, per_thousand) =
        (|bytes: i64| bytes as f64 / 1e6, |reads: i64| reads as f64 / f64::from(MILLION / 1000));
    let size = format!("{},000,000", number + 1);
    let line = |what: &str, unit, value| Line::once(&format!("{size}: {what}"), unit, value, "");
    Ok(vec![
        line("the last million, claim to completed", Unit::PerSecond, rate(took)),
        line("an old million exported again, nothing new", Unit::PerSecond, rate(again.attempt)),
        line("table, with what is stored beside it", Unit::Megabytes, megabytes(archive.table_bytes)),
        line("index of the key", Unit::Megabytes, megabytes(archive.key_bytes)),
        line("index by time", Unit::Megabytes, megabytes(archive.time_bytes)),
        line(
            "index blocks read per 1,000 messages",
            Unit::Ratio,
            per_thousand(archive.index_reads - before.index_reads),
        ),
    ])
}

async fn archive(service: &MeasuredService<'_>) -> anyhow::Result<ArchiveSize> {
    let archive = sqlx::query_as(
        "SELECT pg_table_size('messages') AS table_bytes, pg_relation_size('messages_pkey') AS key_bytes,
                pg_relation_size('messages_by_time') AS time_bytes,
                (SELECT coalesce(sum(idx_blks_read), 0)::bigint FROM pg_statio_user_indexes WHERE relname = 'messages')
                  AS index_reads",
    )
    .fetch_one(&service.pool)
    .await?;
    Ok(archive)
}
