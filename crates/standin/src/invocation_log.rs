//! The log of calls in the scenario's directory, with the number of attempts at each channel.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;

use dce_standin::scenario::{INVOCATIONS_FILE, Invocation};

const LOCK_FILE: &str = "invocations.lock";

/// Records this call as one more attempt at each of `channels`; exact over processes that start at the same time.
/// Returns the numbers of the attempts, from 1. `argv` must not hold a token.
pub(crate) fn record(
    dir: &Path,
    argv: Vec<String>,
    channels: &[String],
) -> io::Result<BTreeMap<String, u64>> {
    // Unlocked when closed, at the latest by the end of the process.
    let lock = OpenOptions::new().create(true).append(true).open(dir.join(LOCK_FILE))?;
    lock.lock()?;
    let mut attempts = BTreeMap::new();
    for channel in channels {
        attempts.insert(channel.clone(), increment(&dir.join(format!("attempts-{channel}")))?);
    }
    let invocation = Invocation { pid: std::process::id(), argv, attempts };
    let mut line = serde_json::to_vec(&invocation)?;
    line.push(b'\n');
    OpenOptions::new().create(true).append(true).open(dir.join(INVOCATIONS_FILE))?.write_all(&line)?;
    Ok(invocation.attempts)
}

fn increment(counter: &Path) -> io::Result<u64> {
    let before: u64 = match fs::read_to_string(counter) {
        Ok(text) => text.trim().parse().map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
        Err(error) => return Err(error),
    };
    // Replaced as a whole: a process that is killed here leaves either the old number or the new one.
    let next = counter.with_extension("next");
    fs::write(&next, (before + 1).to_string())?;
    fs::rename(&next, counter)?;
    Ok(before + 1)
}
