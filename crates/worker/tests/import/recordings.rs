//! Imports every recorded file of the real DCE, whole or truncated.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use dce_standin::scenario::recording;
use dce_testkit::database::TestDatabase;
use serde_json::Value;

use crate::support::{Run, archived, import, runs};

/// Recordings of a DCE that a signal ended, with the number of messages that another message follows.
const CUT: [(&str, i64); 4] =
    [("sigint-inside-message", 0), ("sigkill", 199), ("sigterm", 199), ("stalls", 199)];

/// Returns the folders with DCE's output.
fn outputs() -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = std::fs::read_dir(recording("small").parent().unwrap())
        .unwrap()
        .map(|case| case.unwrap().path().join("out"))
        .filter(|out| out.is_dir())
        .collect();
    folders.sort();
    folders
}

fn case(path: &Path) -> &str {
    path.ancestors()
        .find(|folder| folder.ends_with("out"))
        .and_then(Path::parent)
        .unwrap()
        .file_name()
        .unwrap()
        .to_str()
        .unwrap()
}

/// Every version of every message in whole documents, as `serde_json` parses it; without NUL, which Postgres cannot store.
fn plainly(folders: &[PathBuf]) -> BTreeMap<(u64, u64), BTreeSet<String>> {
    let mut versions: BTreeMap<_, BTreeSet<String>> = BTreeMap::new();
    for file in folders.iter().flat_map(|folder| std::fs::read_dir(folder).unwrap()) {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        let Ok(document) = serde_json::from_str::<Value>(&text) else { continue };
        let number = |value: &Value| value["id"].as_str().unwrap().parse().unwrap();
        let channel = number(&document["channel"]);
        for message in document["messages"].as_array().into_iter().flatten() {
            let text = message.to_string().replace("\\u0000", "\u{fffd}");
            versions.entry((channel, number(message))).or_default().insert(text);
        }
    }
    versions
}

#[tokio::test]
async fn every_whole_message_of_every_recorded_export_is_imported() {
    let database = TestDatabase::create().await;
    let folders = outputs();
    assert!(folders.len() > 40, "the recordings exist");
    let paths: Vec<&Path> = folders.iter().map(PathBuf::as_path).collect();
    let imported = import(&database.url(), &paths).await;
    assert_eq!(imported.code, Some(1), "four are truncated: {:#?}", imported.lines);

    let cut: BTreeMap<&str, i64> = CUT.into();
    let runs = runs(&database).await;
    assert!(runs.len() >= folders.len());
    for (source, run) in &runs {
        match cut.get(case(Path::new(source))) {
            Some(kept) => {
                let expected = Run::failed("output_truncated", *kept, run.inserted);
                assert_eq!(run, &expected, "{source}");
                assert!(imported.says(source, "output_truncated"), "{source}");
            }
            None => assert_eq!((run.status.as_str(), &run.code), ("completed", &None), "{source}"),
        }
    }

    let whole = plainly(&folders);
    let archived = archived(&database.pool()).await;
    for (key, raw) in &archived {
        // A message that only a cut recording holds: its document is no JSON.
        let Some(versions) = whole.get(key) else {
            assert!(
                ["900000000000001009", "900000000000001016"].contains(&key.0.to_string().as_str()),
                "{key:?}"
            );
            continue;
        };
        assert!(versions.contains(&raw.to_string()), "{key:?}: {raw}");
    }
    let missing: Vec<_> = whole.keys().filter(|key| !archived.contains_key(key)).collect();
    assert_eq!(missing, [&(0, 0); 0]);
    let halved = 900_000_000_000_001_002; // its only message was cut and closed by DCE
    assert!(archived.keys().all(|(channel, _)| *channel != halved));

    let again = import(&database.url(), &paths).await;
    assert_eq!(again.code, Some(1));
    assert_eq!(crate::support::archived(&database.pool()).await, archived);
    let inserted: i64 = crate::support::runs(&database).await.values().map(|run| run.inserted).sum();
    assert_eq!(inserted, 0, "everything was archived already");
}

/// `DCE_EXPORTS` may name a folder of whole DCE exports to import besides the recordings.
#[tokio::test]
async fn exports_named_by_dce_exports_are_imported_whole() {
    let Some(folder) = std::env::var_os("DCE_EXPORTS").map(PathBuf::from) else {
        println!("DCE_EXPORTS is not set: only the recordings are imported");
        return;
    };
    let database = TestDatabase::create().await;
    let imported = import(&database.url(), &[&folder]).await;
    assert_eq!(imported.code, Some(0), "{:#?}", imported.lines);
    let whole = plainly(&[folder]);
    let archived = archived(&database.pool()).await;
    assert_eq!(archived.len(), whole.len());
    for (key, raw) in archived {
        assert!(whole[&key].contains(&raw.to_string()), "{key:?}");
    }
    println!("{} messages", whole.len());
}
