//! How fast a channel is read back over HTTP, beside `psql \copy` of the same column.

use std::fs::File;
use std::io::Write as _;
use std::time::{Duration, Instant};

use anyhow::ensure;

use crate::baseline::psql;
use crate::report::{Line, Unit, megabytes, milliseconds};
use crate::stack::Stack;
use crate::throughput::Subject;

/// The media type of one message a line.
const LINES: &str = "application/x-ndjson";

/// Of the messages that the measurement before has left in the archive.
pub(crate) async fn lines(stack: &Stack<'_>, runs: u32, subject: Subject) -> anyhow::Result<Vec<Line>> {
    let Subject { channel, messages, name: size } = subject;
    stack.execute(&["VACUUM ANALYZE messages", "CHECKPOINT"]).await?;
    let mut rounds: [Vec<f64>; 4] = Default::default();
    for run in 1..=runs {
        eprintln!("{size} read: {run} of {runs}");
        let copy = copy(stack, channel).await?;
        let read = read(stack, channel).await?;
        ensure!(read.lines == u64::from(messages), "{} of {messages} were read", read.lines);
        let measured = [
            subject.per_second(read.took),
            subject.per_second(copy),
            read.took.as_secs_f64() / copy.as_secs_f64(),
            milliseconds(read.first),
        ];
        rounds.iter_mut().zip(measured).for_each(|(values, value)| values.push(value));
    }
    let what = [
        ("read as NDJSON, `raw` alone", Unit::PerSecond, ""),
        ("`psql \\copy` of `raw` to a file", Unit::PerSecond, ""),
        ("time of NDJSON ÷ time of `psql \\copy`", Unit::Ratio, "≤ 1.2"),
        ("NDJSON, first byte", Unit::Milliseconds, "≤ 200"),
    ];
    let lines = what.into_iter().zip(rounds);
    let mut lines: Vec<Line> = lines
        .map(|((what, unit, goal), values)| Line::new(format!("{size}: {what}"), unit, values, goal))
        .collect::<anyhow::Result<_>>()?;
    let peak = megabytes(stack.api_peak()?);
    lines.push(Line::once(&format!("{size}: API's peak memory"), Unit::Megabytes, peak, "≤ 64"));
    Ok(lines)
}

/// The whole time of `psql`.
async fn copy(stack: &Stack<'_>, channel: &str) -> anyhow::Result<Duration> {
    let file = stack.directory.join("raw.copy");
    let rows = format!("(SELECT raw FROM messages WHERE channel_id = '{channel}')");
    let took = psql(stack, format!("\\copy {rows} TO '{}'", file.display())).await?;
    std::fs::remove_file(file)?;
    Ok(took)
}

/// A stream that was read to its end.
struct Read {
    lines: u64,
    first: Duration,
    took: Duration,
}

/// Into a file, like `psql`.
async fn read(stack: &Stack<'_>, channel: &str) -> anyhow::Result<Read> {
    let path = stack.directory.join("raw.ndjson");
    let mut file = File::create(&path)?;
    let start = Instant::now();
    let request = stack.request(&format!("/channels/{channel}/messages?fields=raw")).header("accept", LINES);
    let mut response = request.send().await?.error_for_status()?;
    let (mut lines, mut first) = (0, None);
    while let Some(chunk) = response.chunk().await? {
        first.get_or_insert_with(|| start.elapsed());
        lines += chunk.iter().map(|byte| u64::from(*byte == b'\n')).sum::<u64>();
        file.write_all(&chunk)?;
    }
    let took = start.elapsed();
    std::fs::remove_file(path)?;
    Ok(Read { lines, first: first.unwrap_or(took), took })
}
