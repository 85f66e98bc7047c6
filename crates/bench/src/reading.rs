//! Reading a channel over HTTP, side by side with `psql \copy` of the same column.

use std::fs::File;
use std::io::Write as _;
use std::time::{Duration, Instant};

use anyhow::ensure;

use crate::channels::MeasuredChannel;
use crate::measured_service::MeasuredService;
use crate::psql_copy::psql;
use crate::report::{Line, Unit, megabytes, milliseconds};

/// The media type of one message per line.
const NDJSON: &str = "application/x-ndjson";

/// Reads the messages that the previous measurement has archived.
pub(crate) async fn lines(
    service: &MeasuredService<'_>,
    runs: u32,
    measured_channel: MeasuredChannel,
) -> anyhow::Result<Vec<Line>> {
    let MeasuredChannel { channel, messages, name: size } = measured_channel;
    service.execute(&["VACUUM ANALYZE messages", "CHECKPOINT"]).await?;
    let mut rounds: [Vec<f64>; 4] = Default::default();
    for run in 1..=runs {
        eprintln!("{size} read: {run} of {runs}");
        let copy = copy(service, channel).await?;
        let read = read(service, channel).await?;
        ensure!(read.lines == u64::from(messages), "{} of {messages} messages were read", read.lines);
        let round = [
            measured_channel.per_second(read.took),
            measured_channel.per_second(copy),
            read.took.as_secs_f64() / copy.as_secs_f64(),
            milliseconds(read.first),
        ];
        rounds.iter_mut().zip(round).for_each(|(values, value)| values.push(value));
    }
    let measurements = [
        ("read as NDJSON, `raw` alone", Unit::PerSecond, ""),
        ("`psql \\copy` of `raw` to a file", Unit::PerSecond, ""),
        ("time of NDJSON ÷ time of `psql \\copy`", Unit::Ratio, "≤ 1.2"),
        ("NDJSON, first byte", Unit::Milliseconds, "≤ 200"),
    ];
    let mut lines = Line::from_rounds(size, measurements, rounds)?;
    let peak = megabytes(service.api_peak()?);
    lines.push(Line::once(&format!("{size}: API's peak memory"), Unit::Megabytes, peak, "≤ 64"));
    Ok(lines)
}

/// Returns the whole time of `psql`.
async fn copy(service: &MeasuredService<'_>, channel: &str) -> anyhow::Result<Duration> {
    let file = service.directory.join("raw.copy");
    let rows = format!("(SELECT raw FROM messages WHERE channel_id = '{channel}')");
    let took = psql(service, format!("\\copy {rows} TO '{}'", file.display())).await?;
    std::fs::remove_file(file)?;
    Ok(took)
}

/// A stream that was read to its end.
struct Read {
    lines: u64,
    first: Duration,
    took: Duration,
}

/// Reads into a file, like `psql`.
async fn read(service: &MeasuredService<'_>, channel: &str) -> anyhow::Result<Read> {
    let path = service.directory.join("raw.ndjson");
    let mut file = File::create(&path)?;
    let start = Instant::now();
    let request =
        service.request(&format!("/channels/{channel}/messages?fields=raw")).header("accept", NDJSON);
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
