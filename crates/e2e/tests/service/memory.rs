//! A worker's memory does not depend on the size of an export.

use std::fs;

use dce_standin::scenario::{Channel, Scenario};
use dce_testkit::service::Service;

/// In KiB, of the worker without DCE.
const LIMIT: u64 = 64 << 10;

#[tokio::test]
async fn a_worker_stays_below_64_mb_over_100_000_messages() {
    let service = Service::start(&Scenario::new().channel("42", Channel::generated(100_000, 9))).await;
    let export = service.export_channel("42").await;
    assert_eq!(
        (&export["status"], &export["inserted_count"]),
        (&"completed".into(), &100_000.into()),
        "{export}"
    );
    let status = fs::read_to_string(format!("/proc/{}/status", service.workers[0].pid())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    println!("peak memory of the worker: {} MB", peak >> 10);
    assert!(peak < LIMIT, "{peak} KiB");
}
