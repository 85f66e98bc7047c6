//! Appending JSON's pieces without allocation.

use chrono::{DateTime, Datelike as _, Timelike as _};

use super::random::Random;
use crate::snowflake::Snowflake;

pub(super) fn push(to: &mut Vec<u8>, text: &str) {
    to.extend_from_slice(text.as_bytes());
}

pub(super) fn push_number(to: &mut Vec<u8>, number: u64) {
    push_padded(to, number, 1);
}

/// Decimal with at least `width` digits; `width` is at most 20, the longest there is.
fn push_padded(to: &mut Vec<u8>, mut number: u64, width: usize) {
    let mut digits = [b'0'; 20];
    let mut start = digits.len();
    while number > 0 {
        start -= 1;
        digits[start] = b'0' + (number % 10).to_le_bytes()[0];
        number /= 10;
    }
    to.extend_from_slice(&digits[start.min(digits.len() - width)..]);
}

/// This many hexadecimal digits.
pub(super) fn push_hex(to: &mut Vec<u8>, random: &mut Random, digits: usize) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut left = digits;
    while left > 0 {
        let bits = random.draw().to_le_bytes();
        let now = left.min(bits.len());
        to.extend(bits[..now].iter().map(|byte| DIGITS[usize::from(byte & 15)]));
        left -= now;
    }
}

/// As DCE writes it: no trailing zeros in the fraction, no fraction of zero.
pub(super) fn push_time(to: &mut Vec<u8>, id: Snowflake) {
    let time: DateTime<_> = id.date();
    push_padded(to, u64::from(time.year().unsigned_abs()), 4);
    let parts = [
        (b'-', time.month()),
        (b'-', time.day()),
        (b'T', time.hour()),
        (b':', time.minute()),
        (b':', time.second()),
    ];
    for (separator, value) in parts {
        to.push(separator);
        push_padded(to, u64::from(value), 2);
    }
    let ms = time.timestamp_subsec_millis();
    if ms > 0 {
        to.push(b'.');
        push_padded(to, u64::from(ms), 3);
        while to.last() == Some(&b'0') {
            to.pop();
        }
    }
    push(to, "+00:00");
}

/// JSON moved to the right by this many of DCE's steps of indentation.
pub(super) fn deeper(json: &str, steps: usize) -> String {
    json.replace('\n', &format!("\n{}", "  ".repeat(steps)))
}
