//! What `DiscordChatExporter` 2.47 did with 83 filters and 40 messages, recorded. `messages.json` is its export without a
//! filter; `filters.jsonl` has the messages, by their number, that it wrote with each filter, or its error.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::fmt::Write as _;

use dce_filter::{Filter, Message};
use serde::Deserialize;
use serde_json::value::RawValue;

#[derive(Deserialize)]
struct Document<'a> {
    #[serde(borrow)]
    messages: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct Recorded {
    filter: String,
    matches: Option<Vec<usize>>,
    error: Option<String>,
}

/// Filters that search for the text `has:`. They are refused, because such a search is a mistake.
const REFUSED: [(&str, usize); 2] = [("has:", 5), ("has: link", 5)];

/// Display names that a nickname hides are not in the JSON: the nickname matches instead.
const HIDDEN_NAME: &str = "mentions:\"Üser 0 사용자\"";

/// The column in an error, of which those at the end have none.
fn column(error: &str, filter: &str) -> usize {
    let position = error.split_once("column ").and_then(|(_, rest)| rest.split_once(')'));
    position.map_or(filter.chars().count() + 1, |(column, _)| column.parse().unwrap())
}

#[test]
fn every_recorded_filter_has_the_recorded_matches_or_mistake() {
    let document: Document<'_> = serde_json::from_str(include_str!("fixtures/messages.json")).unwrap();
    assert_eq!(document.messages.len(), 40);
    let mut differences = String::new();
    let mut count = 0;
    for line in include_str!("fixtures/filters.jsonl").lines() {
        count += 1;
        let Recorded { filter, matches, error } = serde_json::from_str(line).unwrap();
        let refused = REFUSED.iter().find(|(refused, _)| *refused == filter).map(|(_, column)| *column);
        let expected = match (refused, matches, error) {
            (Some(column), ..) => Err(column),
            (None, Some(_), None) if filter == HIDDEN_NAME => Ok(vec![]),
            (None, Some(matches), None) => Ok(matches),
            (None, None, Some(error)) => Err(column(&error, &filter)),
            recorded => panic!("{recorded:?}"),
        };
        let found = Filter::parse(&filter).map_err(|error| error.column).map(|filter| {
            let numbers = document.messages.iter().enumerate();
            numbers
                .filter(|(_, message)| filter.matches(&Message::read(message.get())))
                .map(|(number, _)| number)
                .collect()
        });
        if found != expected {
            writeln!(differences, "{filter}: {found:?} instead of {expected:?}").unwrap();
        }
    }
    assert_eq!(count, 83);
    assert!(
        Filter::parse("mentions:'nick-user0'").unwrap().matches(&Message::read(document.messages[26].get()))
    );
    assert!(differences.is_empty(), "{differences}");
}
