//! Any JSON object as the body of `POST /exports`. The first byte chooses whether there is a default channel.

#![no_main]

use dce_core::export::request::{ExportRequest, MAX_CHANNELS, MAX_FILTER_CHARS};
use dce_core::ids::Snowflake;
use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value};

/// Mistakes that are listed.
const MAX_FAULTS: usize = 100;

fuzz_target!(|input: &[u8]| {
    let Some((default, body)) = input.split_first() else { return };
    let Ok(body) = serde_json::from_slice::<Map<String, Value>>(body) else { return };
    let default = (default % 2 == 1).then_some(Snowflake::new(1001));
    match ExportRequest::parse(&body, default) {
        Ok(request) => check(&request),
        Err(faults) => {
            assert!((1..=MAX_FAULTS).contains(&faults.len()));
            assert!(faults.iter().all(|fault| serde_json::to_value(fault).is_ok()));
        }
    }
});

/// What the queue, the worker and DCE's command line rely on.
fn check(request: &ExportRequest) {
    let channels = &request.channels;
    assert!((1..=MAX_CHANNELS).contains(&channels.len()));
    assert!((1..channels.len()).all(|at| !channels[..at].contains(&channels[at])), "a channel twice");
    if let (Some(start), Some(end)) = (request.start_at, request.end_at) {
        assert!(start < end);
    }
    for time in [request.start_at, request.end_at].into_iter().flatten() {
        assert_eq!(Snowflake::first_at(time).map(Snowflake::time), Some(time), "whole milliseconds");
    }
    if let Some(filter) = &request.filter {
        assert!(filter.chars().count() <= MAX_FILTER_CHARS && !filter.trim().is_empty());
        assert!(!filter.contains(char::is_control));
        let name = filter.trim_start_matches('-');
        let dashes = filter.len() - name.len();
        assert!(
            !(1..=2).contains(&dashes) || !name.starts_with(char::is_alphabetic),
            "an option: {filter:?}"
        );
    }
    assert_eq!(request.options()["filter"].as_str(), request.filter.as_deref());
}
