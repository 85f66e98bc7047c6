//! The log events in the code and the tables of docs/logging.md have the same names, levels and fields.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

const CRATES: [&str; 6] = ["api", "core", "discord", "ingest", "local", "worker"];
const LEVELS: [&str; 5] = ["error", "warn", "info", "debug", "trace"];

#[derive(Debug, Default, PartialEq, Eq)]
struct Event {
    levels: BTreeSet<String>,
    fields: BTreeSet<String>,
}

type Events = BTreeMap<String, Event>;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The `.rs` files of a folder, without those of unit tests.
fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("tests.rs") {
            found.push(path);
        }
    }
}

/// The arguments of a macro call whose opening bracket has been read.
fn arguments(text: &str) -> Vec<&str> {
    let (mut arguments, mut start, mut depth) = (Vec::new(), 0, 0_usize);
    let (mut in_string, mut is_escaped) = (false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' if in_string => is_escaped = true,
            '"' => in_string = !in_string,
            _ if in_string => {}
            '(' | '[' | '{' => depth += 1,
            ')' if depth == 0 => {
                arguments.push(text[start..at].trim());
                arguments.retain(|argument| !argument.is_empty());
                return arguments;
            }
            ')' | ']' | '}' => depth -= 1,
            ',' if depth == 0 => {
                arguments.push(text[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    panic!("a macro call does not end: {}", &text[..text.len().min(80)])
}

/// The name of a field, as in `name = value`, `%name` or `?name`.
fn field(argument: &str) -> String {
    argument.split(" = ").next().unwrap().trim_start_matches(['%', '?']).to_owned()
}

/// Adds the events of one file.
fn read_events(path: &Path, events: &mut Events) {
    let text = fs::read_to_string(path).unwrap();
    let product = text.split("#[cfg(test)]\nmod ").next().unwrap();
    for level in LEVELS {
        let call = format!("{level}!(");
        for (at, _) in product.match_indices(&call) {
            let before = &product[..at];
            if before.ends_with(|c: char| c.is_alphanumeric() || c == '_') {
                continue; // another macro
            }
            assert!(before.ends_with("tracing::"), "{}: write tracing::{call}…)", path.display());
            let mut arguments = arguments(&product[at + call.len()..]);
            let message = arguments.pop().and_then(|last| last.strip_prefix('"')?.strip_suffix('"'));
            let name = message.filter(|name| is_event_name(name));
            let name =
                name.unwrap_or_else(|| panic!("{}: {message:?} is not an event's name", path.display()));
            let event = events.entry(name.to_owned()).or_default();
            event.levels.insert(level.to_owned());
            event.fields.extend(arguments.into_iter().map(field));
        }
    }
}

fn is_event_name(name: &str) -> bool {
    let is_word = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    name.split_once('.').is_some_and(|(entity, happened)| is_word(entity) && is_word(happened))
}

/// The words between backticks, or between commas.
fn words(cell: &str) -> BTreeSet<String> {
    cell.split(',')
        .map(|word| word.trim().trim_matches('`').to_owned())
        .filter(|word| !word.is_empty())
        .collect()
}

fn documented() -> Events {
    let text = fs::read_to_string(repository().join("docs/logging.md")).unwrap();
    let mut events = Events::new();
    for row in text.split("## Events").nth(1).unwrap().lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [name, levels, fields, meaning] = cells[..] else { panic!("{row} has not four cells") };
        assert!(!meaning.is_empty(), "{name} has no meaning");
        let event = Event { levels: words(levels), fields: words(fields) };
        let is_new = events.insert(name.trim_matches('`').to_owned(), event).is_none();
        assert!(is_new, "{name} has two rows");
    }
    events
}

#[test]
fn every_event_in_the_code_is_documented_with_its_level_and_fields_and_no_other() {
    let mut files = Vec::new();
    for name in CRATES {
        sources(&repository().join("crates").join(name).join("src"), &mut files);
    }
    let mut logged = Events::new();
    for path in &files {
        read_events(path, &mut logged);
    }
    let documented = documented();
    let names: BTreeSet<&String> = logged.keys().chain(documented.keys()).collect();
    let differences: Vec<String> = names
        .into_iter()
        .filter(|name| logged.get(*name) != documented.get(*name))
        .map(|name| format!("{name}\n  code: {:?}\n  docs: {:?}", logged.get(name), documented.get(name)))
        .collect();
    assert!(logged.len() > 50, "the events are found");
    assert!(differences.is_empty(), "docs/logging.md differs:\n{}", differences.join("\n"));
}

#[test]
fn names_fields_and_levels_are_read_from_any_layout() {
    assert_eq!(
        arguments("a = f(b, \"x, (y\"),\n %c, \"d.e\",\n); more"),
        ["a = f(b, \"x, (y\")", "%c", "\"d.e\""]
    );
    assert_eq!(
        ["error.kind = k", "%status", "?outcome", "error"].map(field),
        ["error.kind", "status", "outcome", "error"]
    );
    assert!(
        is_event_name("token.rejected") && !is_event_name("token.rejected: why") && !is_event_name("token")
    );
}
