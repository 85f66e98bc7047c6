//! Chaos, the short way: a few seeds of `dce-chaos`. More with `scripts/chaos.sh`.

use std::process::Command;

use dce_testkit::process::binary;

/// One of each theme but the database's, whose outages take the longest.
const SEEDS: [&str; 3] = ["2", "3", "4"];

#[test]
fn no_fault_loses_duplicates_or_blocks_anything() {
    let seeds = SEEDS.iter().flat_map(|seed| ["--seed", seed]);
    let output = Command::new(binary("dce-chaos")).args(seeds).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    println!("{said}");
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("3 seeds, 0 failed"), "{said}");
}
