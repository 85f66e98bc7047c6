//! What the size of the archive does to the ingest: a million messages after the other, each of another channel.

use std::time::Duration;

use anyhow::ensure;
use dce_testkit::scenario::{Channel, Scenario};

use crate::report::{Line, Unit};
use crate::stack::Stack;

/// What the page says of itself.
pub(crate) const NOTES: &str = include_str!("growth.md");
/// Millions of messages after which the archive is looked at.
const LOOKS: [u32; 4] = [1, 2, 5, 10];
const MILLION: u32 = 1_000_000;
const FIRST_CHANNEL: u64 = 830_000_000_000_000_001;
const LOOK: Duration = Duration::from_millis(50);

/// What the stand-in has.
pub(crate) fn scenario() -> Scenario {
    (0..millions()).fold(Scenario::new(), |scenario, number| {
        scenario.channel(channel(number), Channel::generated(MILLION.into(), number.into()))
    })
}

fn millions() -> u32 {
    LOOKS.into_iter().max().unwrap_or(0)
}

fn channel(number: u32) -> String {
    (FIRST_CHANNEL + u64::from(number)).to_string()
}

/// Sizes in bytes and blocks read from outside of the buffers, all from the database's own counts.
#[derive(Debug, Clone, Copy, sqlx::FromRow)]
struct Archive {
    table_bytes: i64,
    key_bytes: i64,
    time_bytes: i64,
    index_reads: i64,
}

pub(crate) async fn lines(stack: &Stack<'_>) -> anyhow::Result<Vec<Line>> {
    let mut lines = Vec::new();
    let mut before = archive(stack).await?;
    for number in 0..millions() {
        eprintln!("million {} of {}", number + 1, millions());
        let export = stack.export(&channel(number), LOOK).await?;
        ensure!(export.inserted == i64::from(MILLION), "{} arrived", export.inserted);
        let archive = archive(stack).await?;
        if LOOKS.contains(&(number + 1)) {
            lines.extend(look(stack, number, export.attempt, before, archive).await?);
        }
        before = archive;
    }
    Ok(lines)
}

/// The lines about the archive with `number + 1` millions.
async fn look(
    stack: &Stack<'_>,
    number: u32,
    took: Duration,
    before: Archive,
    archive: Archive,
) -> anyhow::Result<Vec<Line>> {
    stack.execute(&["CHECKPOINT"]).await?;
    let again = stack.export(&channel(number / 2), LOOK).await?;
    ensure!(again.inserted == 0, "{} arrived twice", again.inserted);
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

async fn archive(stack: &Stack<'_>) -> anyhow::Result<Archive> {
    let archive = sqlx::query_as(
        "SELECT pg_table_size('messages') AS table_bytes, pg_relation_size('messages_pkey') AS key_bytes,
                pg_relation_size('messages_by_time') AS time_bytes,
                (SELECT coalesce(sum(idx_blks_read), 0)::bigint FROM pg_statio_user_indexes WHERE relname = 'messages')
                  AS index_reads",
    )
    .fetch_one(&stack.pool)
    .await?;
    Ok(archive)
}
