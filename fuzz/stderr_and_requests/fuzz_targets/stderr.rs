//! Any bytes as DCE's stderr. The first byte decides how the process ended.

#![no_main]

use std::time::Duration;

use dce_worker::dce::{Exit, Stderr, classify, reported_empty};
use libfuzzer_sys::fuzz_target;

/// Maximum length of a detail, in characters.
const MAX_DETAIL: usize = 300;
/// Maximum wait that Discord may ask for.
const MAX_WAIT: Duration = Duration::from_hours(24);

fuzz_target!(|input: &[u8]| {
    let Some((end, stderr)) = input.split_first() else { return };
    let (code, signal) = match end % 8 {
        0 => (Some(0), None),
        1..4 => (Some(1), None),
        4 => (Some(i32::from(end / 8)), None),
        5 => (Some(128 + i32::from(end / 8)), None),
        6 => (None, Some(i32::from(end / 8))),
        _ => (None, None),
    };
    let stderr = Stderr::from(&*String::from_utf8_lossy(stderr));
    reported_empty(&stderr);

    let failure = classify(&Exit { code, signal, stderr });
    assert!(failure.is_some() || code == Some(0), "only exit code 0 can be a success");
    let Some(failure) = failure else { return };
    assert!(failure.retry_after.is_none_or(|wait| wait <= MAX_WAIT));
    if let Some(detail) = failure.detail {
        assert!(detail.chars().count() <= MAX_DETAIL, "{} characters", detail.chars().count());
        assert!(!detail.contains(char::is_control), "{detail:?}");
    }
});
