//! Progress and speed of an export.

use chrono::{DateTime, Utc};
use dce_core::store::reading::export::RunWithAttempts;
use serde::Serialize;
use utoipa::ToSchema;

/// Progress of all runs of an export together.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Progress {
    /// Messages read and committed.
    pub messages: i64,
    /// Bytes of DCE's output read so far.
    pub bytes: i64,
    /// When the newest message was sent.
    pub newest_at: Option<DateTime<Utc>>,
    /// Messages committed per second by all active runs: each run's messages divided by the duration of all its attempts.
    /// Null while no run is active. Not part of the `ETag`.
    pub messages_per_second: Option<f64>,
}

impl Progress {
    pub fn new(runs: &[RunWithAttempts]) -> Self {
        Self {
            messages: runs.iter().map(|run| run.row.message_count).sum(),
            bytes: runs.iter().map(|run| run.row.bytes_read).sum(),
            newest_at: runs.iter().filter_map(|run| run.row.newest_at).max(),
            messages_per_second: rate(
                runs.iter().filter_map(|run| Some((run.row.message_count, run.row.running_seconds?))),
            ),
        }
    }
}

/// The sum of the rates of (messages, seconds), to one decimal; `None` without any.
fn rate(running: impl Iterator<Item = (i64, f64)>) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "a rate is rounded anyway")]
    let rates =
        running.map(|(messages, seconds)| if seconds > 0.0 { messages as f64 / seconds } else { 0.0 });
    rates.fold(None, |sum, rate| Some(sum.unwrap_or(0.0) + rate)).map(|sum: f64| (sum * 10.0).round() / 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_add_up_and_are_absent_without_an_active_run() {
        assert_eq!(rate([].into_iter()), None);
        assert_eq!(rate([(0, 0.0)].into_iter()), Some(0.0));
        assert_eq!(rate([(100, 3.0)].into_iter()), Some(33.3));
        assert_eq!(rate([(100, 2.0), (1000, 10.0)].into_iter()), Some(150.0));
    }
}
