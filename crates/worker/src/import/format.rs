//! Formats numbers, times and rates for people.

use std::time::Duration;

use dce_core::settings::ByteSize;

pub(super) fn bytes_per_second(bytes: u64, elapsed: Duration) -> ByteSize {
    let ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX).max(1);
    ByteSize(u64::try_from(u128::from(bytes) * 1000 / u128::from(ms)).unwrap_or(u64::MAX))
}

/// A duration in at most two units.
pub(super) fn duration(duration: Duration) -> String {
    let seconds = duration.saturating_add(Duration::from_millis(500)).as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

pub(super) fn messages(count: u64) -> String {
    format!("{} {}", grouped(count), if count == 1 { "message" } else { "messages" })
}

/// A number with a comma every three digits.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_commas_and_durations_at_most_two_units() {
        assert_eq!([0, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(
            [0.2, 59.0, 61.0, 3_700.0].map(|seconds| duration(Duration::from_secs_f64(seconds))),
            ["0 s", "59 s", "1 min 1 s", "1 h 1 min"]
        );
    }
}
