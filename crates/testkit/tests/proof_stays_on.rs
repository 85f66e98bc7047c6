//! Everything is tested with the proof of Discord: only the tests of the setting itself switch it off.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::fs;
use std::path::{Path, PathBuf};

/// The places that may name the setting: its definition, the warning about it, the test of its effect, and this file.
const MAY_NAME_IT: [&str; 4] = [
    "worker/src/settings.rs",
    "core/src/export/warnings.rs",
    "e2e/tests/service/proof_setting.rs",
    "testkit/tests/proof_stays_on.rs",
];

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let is_code = path.extension().is_some_and(|extension| extension == "rs" || extension == "sh");
        if path.is_dir() {
            files(&path, found);
        } else if is_code {
            found.push(path);
        }
    }
}

/// Lines of code, without comments, that name the setting.
fn lines_that_name_it(text: &str) -> usize {
    text.lines()
        .filter(|line| !line.trim_start().starts_with("//") && line.contains("DISCORD_VERIFY"))
        .count()
}

#[test]
fn no_test_but_those_of_the_setting_switches_the_proof_off() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap();
    let mut found = Vec::new();
    for folder in ["crates", "scripts"] {
        files(&root.join(folder), &mut found);
    }
    let mut named = 0;
    for path in found {
        let lines = lines_that_name_it(&fs::read_to_string(&path).unwrap());
        let is_allowed = MAY_NAME_IT.iter().any(|allowed| path.ends_with(allowed));
        assert!(lines == 0 || is_allowed, "{} names DISCORD_VERIFY", path.display());
        named += lines;
    }
    assert!(named >= MAY_NAME_IT.len(), "the setting is still called DISCORD_VERIFY");
}
