//! Any JSON object as the body of `POST /exports`. The first byte decides whether there is a default channel.

#![no_main]

use dce_core::export::request::{ExportRequest, Fault, Location, MAX_CHANNELS, MAX_FILTER_CHARS};
use dce_core::ids::Snowflake;
use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value};

/// Maximum number of mistakes that an answer lists.
const MAX_FAULTS: usize = 100;

fuzz_target!(|input: &[u8]| {
    let Some((default, body)) = input.split_first() else { return };
    let Ok(body) = serde_json::from_slice::<Map<String, Value>>(body) else { return };
    let default_channel = (default % 2 == 1).then_some(Snowflake::new(1001));
    match ExportRequest::parse(&body, default_channel) {
        Ok(request) => check_request(&request),
        Err(faults) => {
            assert!((1..=MAX_FAULTS).contains(&faults.len()));
            faults.iter().for_each(check_fault);
        }
    }
});

/// Checks the properties on which the queue, the worker and DCE's command line rely.
fn check_request(request: &ExportRequest) {
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
    }
    assert_eq!(request.options()["filter"].as_str(), request.filter.as_deref());
}

/// Checks that a client can find the mistake and correct it.
fn check_fault(fault: &Fault) {
    let Location::Pointer(pointer) = &fault.location else { panic!("outside the body: {fault:?}") };
    assert!(pointer.starts_with('/'), "no JSON pointer: {pointer:?}");
    assert!(!fault.detail.is_empty());
}
