//! Truncated, damaged and foreign files: each is reported, and none prevents the import of the others.

use std::fs;

use dce_testkit::database::TestDatabase;
use serde_json::json;
use tempfile::tempdir;

use crate::support::{Run, archive, archived, document, expected, gzipped, import, indented, runs};

#[tokio::test]
async fn files_that_are_not_exports_are_refused_with_a_reason_and_the_others_are_imported() {
    let folder = tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let line = "=".repeat(62);
    fs::write(at("good.json"), indented(&document(1, 1..=5))).unwrap();
    fs::write(at("package.json"), "{\"name\": \"x\"}").unwrap();
    fs::write(at("empty.json"), "").unwrap();
    fs::write(at("headless.json"), "{\"guild\": {\"id\": \"1\"").unwrap();
    fs::write(at("page.html"), "<!DOCTYPE html>\n<html><div class=\"preamble\"></div></html>").unwrap();
    fs::write(at("table.csv"), "\u{feff}AuthorID,Author,Date,Content,Attachments,Reactions\n").unwrap();
    fs::write(at("log.txt"), format!("{line}\nGuild: G\nChannel: C\n{line}\n")).unwrap();
    fs::write(at("notes.txt"), "something else").unwrap();
    fs::write(at("cut.zip"), b"PK\x03\x04 and no more").unwrap();
    archive(&at("inner.zip"), &[("x.json", b"{}")]);
    archive(&at("outer.zip"), &[("inner.zip", &fs::read(at("inner.zip")).unwrap())]);
    fs::remove_file(at("inner.zip")).unwrap();

    let database = TestDatabase::create().await;
    let gone = at("gone.json");
    let imported = import(&database.url(), &[folder.path(), &gone]).await;
    assert_eq!(imported.code, Some(1));
    for (name, reason) in [
        ("package.json", "has no `messages`"),
        ("empty.json", "the file is empty"),
        ("headless.json", "ends before its messages begin"),
        ("page.html", "export the channel again with `-f Json`"),
        ("table.csv", "CSV export"),
        ("log.txt", "text export"),
        ("cut.zip", "the archive cannot be read"),
        ("outer.zip!/inner.zip", "an archive inside an archive"),
        ("gone.json", "No such file"),
        ("good.json", "5 messages, 5 new"),
    ] {
        assert!(imported.says(name, reason), "{name}: {reason}: {:#?}", imported.lines);
    }
    assert!(!imported.says("notes.txt", ""), "not reported");
    assert_eq!(archived(&database.pool()).await, expected(1, 1..=5));
    assert_eq!(runs(&database).await.len(), 1);
}

#[tokio::test]
async fn without_files_to_import_no_export_is_created() {
    let folder = tempdir().unwrap();
    let database = TestDatabase::create().await;
    let imported = import(&database.url(), &[folder.path()]).await;
    assert_eq!(imported.code, Some(1));
    assert!(imported.says(folder.path().to_str().unwrap(), "contains no .json"), "{:#?}", imported.lines);
    let exports: i64 =
        sqlx::query_scalar("SELECT count(*) FROM exports").fetch_one(&database.pool()).await.unwrap();
    assert_eq!(exports, 0);
}

#[tokio::test]
async fn whole_messages_before_damage_are_kept() {
    let folder = tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let whole = indented(&document(1, 1..=200));
    let cut = |share: usize, text: &[u8]| text[..text.len() * share / 100].to_vec();
    fs::write(at("cut.json"), cut(50, whole.as_bytes())).unwrap();
    fs::write(at("cut.json.gz"), cut(50, &gzipped(&indented(&document(2, 1..=200))))).unwrap();
    let mut miscounted = document(3, 1..=9);
    miscounted["messageCount"] = json!(10);
    fs::write(at("miscounted.json"), indented(&miscounted)).unwrap();
    let mut odd = document(4, 1..=9);
    odd["messages"][5]["timestamp"] = json!("yesterday");
    fs::write(at("odd.json"), indented(&odd)).unwrap();
    // One part is damaged; the parts after it are read nevertheless.
    fs::write(at("parts.json"), indented(&document(5, 1..=9))).unwrap();
    miscounted = document(5, 10..=19);
    miscounted["messageCount"] = json!(1);
    fs::write(at("parts [part 2].json"), indented(&miscounted)).unwrap();
    fs::write(at("parts [part 3].json"), indented(&document(5, 20..=29))).unwrap();
    // The member's bytes do not match the checksum in the archive.
    archive(&at("a.zip"), &[("empty.json", b""), ("stored.json", indented(&document(6, 1..=99)).as_bytes())]);
    let mut bytes = fs::read(at("a.zip")).unwrap();
    let position = bytes.windows(10).rposition(|window| window == b"message 99").unwrap();
    bytes[position] = b'M';
    fs::write(at("a.zip"), bytes).unwrap();

    let database = TestDatabase::create().await;
    let imported = import(&database.url(), &[folder.path()]).await;
    assert_eq!(imported.code, Some(1));
    let found = runs(&database).await;
    let run = |name: &str| found[&format!("{}/{name}", folder.path().display())].clone();
    for (name, code, least) in [("cut.json", "output_truncated", 90), ("cut.json.gz", "output_truncated", 50)]
    {
        let run = run(name);
        assert_eq!(run, Run::failed(code, run.messages, run.messages), "{name}");
        assert!((least..200).contains(&run.messages), "{name}: {run:?}");
    }
    assert_eq!(run("miscounted.json"), Run::failed("output_truncated", 9, 9));
    assert!(imported.says("miscounted.json", "declares 10 messages but has 9"), "{:#?}", imported.lines);
    assert_eq!(run("odd.json"), Run::failed("output_unreadable", 5, 5));
    assert!(imported.says("odd.json", "`timestamp` of message 6"), "{:#?}", imported.lines);
    assert_eq!(run("parts.json"), Run::failed("output_truncated", 29, 29));
    assert_eq!(run("a.zip!/stored.json"), Run::failed("output_unreadable", 99, 99));
    assert!(imported.says("a.zip!/stored.json", "checksum"), "{:#?}", imported.lines);

    let archived = archived(&database.pool()).await;
    let kept = u64::try_from(run("cut.json").messages).unwrap();
    assert_eq!(
        archived
            .iter()
            .filter(|((channel, _), _)| *channel == 1)
            .map(|(key, raw)| (*key, raw.clone()))
            .collect::<std::collections::BTreeMap<_, _>>(),
        expected(1, 1..=kept)
    );
    let export: serde_json::Value =
        sqlx::query_scalar("SELECT error FROM exports").fetch_one(&database.pool()).await.unwrap();
    assert_eq!(export["failed_runs"], 6);
    assert!(export["source"].as_str().unwrap().starts_with(folder.path().to_str().unwrap()));
}
