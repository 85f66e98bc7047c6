//! The machine of the measurement.

use std::fs;
use std::thread;

use anyhow::ensure;
use sqlx::PgPool;

/// Describes the machine, the server and the day, one line each. Refuses a server that is not durable.
pub(crate) async fn describe(pool: &PgPool) -> anyhow::Result<Vec<String>> {
    let shown = async |sql: &'static str| sqlx::query_scalar::<_, String>(sql).fetch_one(pool).await;
    let version = shown("SHOW server_version").await?;
    let (fsync, commit) = (shown("SHOW fsync").await?, shown("SHOW synchronous_commit").await?);
    ensure!(fsync == "on" && commit == "on", "fsync is {fsync} and synchronous_commit {commit}: not durable");
    let memory = first_value("/proc/meminfo", "MemTotal").map_or("unknown memory".into(), |kib| {
        let kib: u64 = kib.trim_end_matches(" kB").parse().unwrap_or(0);
        format!("{} GB of memory", (kib + (1 << 19)) >> 20)
    });
    let cores = thread::available_parallelism()?;
    let model = first_value("/proc/cpuinfo", "model name").unwrap_or_else(|| std::env::consts::ARCH.into());
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or_default().to_owned();
    Ok(vec![
        format!("{cores} cores, {model}, {memory}; load average before: {load}"),
        format!(
            "PostgreSQL {version} with its default settings (fsync on, shared_buffers {})",
            shown("SHOW shared_buffers").await?
        ),
        shown("SELECT current_date::text").await?,
    ])
}

/// The first value of `name` in a file of `name : value` lines.
pub(crate) fn first_value(path: &str, name: &str) -> Option<String> {
    fs::read_to_string(path).ok()?.lines().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        (found.trim() == name).then(|| value.trim().to_owned())
    })
}
