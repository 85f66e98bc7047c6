use std::collections::HashMap;

use crate::scenario::Generate;
use serde_json::Value;

use super::{Generated, Messages};
use crate::snowflake::{Snowflake, iso};
use crate::source::document::id_of;

/// Enough for shares to conclude.
const MANY: u64 = 20_000;

fn all(mut messages: Generated) -> Vec<(Snowflake, Vec<u8>)> {
    let mut read = Vec::new();
    loop {
        let mut message = Vec::new();
        let Some(id) = messages.next(&mut message).unwrap() else { return read };
        read.push((id, message));
    }
}

fn channel(messages: u64, seed: u64) -> Generated {
    Generated::new("7", Generate { messages, seed }).unwrap()
}

/// Every line is indented by two for each object and list around it, from the message's own four on.
fn assert_layout(message: &[u8]) {
    let text = std::str::from_utf8(message).unwrap();
    let mut depth = 2;
    for line in text.lines() {
        let bare = line.trim_start();
        depth -= usize::from(bare.starts_with(['}', ']']));
        assert_eq!(line.len() - bare.len(), 2 * depth, "{line:?} in\n{text}");
        depth += usize::from(bare.ends_with(['{', '[']));
    }
    assert!(depth == 2 && text.ends_with("\n    }"), "{text}");
}

#[test]
fn messages_are_json_in_dces_layout_and_in_order() {
    let messages = all(channel(MANY, 3));
    assert!(messages.is_sorted_by(|one, next| one.0 < next.0));
    for (id, message) in &messages {
        assert_layout(message);
        assert_eq!(id_of(message), Some(*id));
        let value: Value = serde_json::from_slice(message).unwrap();
        assert_eq!(value["timestamp"], iso(id.date()));
    }
    let last = messages.last().unwrap().0;
    assert_eq!(channel(MANY, 3).ends(), Some((messages[0].0, last)));
}

#[test]
fn a_seed_determines_the_messages() {
    assert_eq!(all(channel(500, 3)), all(channel(500, 3)));
    assert_ne!(all(channel(500, 3)), all(channel(500, 4)));
}

#[test]
fn a_later_start_does_not_change_the_messages() {
    let messages = all(channel(100, 3));
    let mut rest = channel(100, 3);
    rest.skip_to(messages[60].0);
    let rest: Vec<_> = all(rest).into_iter().filter(|(id, _)| *id > messages[60].0).collect();
    assert_eq!(rest, messages[61..]);
}

#[test]
fn replies_answer_earlier_messages_and_mention_their_authors() {
    let messages: Vec<Value> =
        all(channel(2_000, 3)).iter().map(|(_, message)| serde_json::from_slice(message).unwrap()).collect();
    let authors: HashMap<_, _> =
        messages.iter().map(|message| (message["id"].as_str(), &message["author"])).collect();
    let replies = messages.iter().filter(|message| message["type"] == "Reply");
    let mut mentioning = 0;
    for reply in replies {
        let answered = reply["reference"]["messageId"].as_str();
        let author = authors[&answered];
        if let Some(mentioned) = reply["mentions"].get(0) {
            assert_eq!(mentioned, author);
            mentioning += 1;
        }
    }
    assert!(mentioning > 200, "{mentioning}");
}

/// What a number may be.
fn assert_about(what: &str, measured: f64, expected: f64, tolerance: f64) {
    let off = (measured - expected).abs() / expected;
    println!("{what}: {measured:.4}, expected {expected}");
    assert!(off <= tolerance, "{what}: {measured} instead of {expected} ± {} %", tolerance * 100.0);
}

#[expect(clippy::cast_precision_loss, reason = "counts of a test are small")]
fn ratio(part: usize, whole: usize) -> f64 {
    part as f64 / whole as f64
}

#[test]
fn sizes_and_shares_are_those_of_a_real_channel() {
    let messages = all(channel(MANY, 5));
    let count = messages.len();
    // A separator of two bytes belongs to each.
    let mut sizes: Vec<usize> = messages.iter().map(|(_, message)| message.len() + 2).collect();
    sizes.sort_unstable();
    let quantile = |sorted: &[usize], per_mille: usize| ratio(sorted[count * per_mille / 1000], 1);
    assert_about("mean bytes", ratio(sizes.iter().sum(), count), 1426.0, 0.05);
    assert_about("median bytes", quantile(&sizes, 500), 973.0, 0.05);
    assert_about("p99 bytes", quantile(&sizes, 990), 5300.0, 0.15);
    assert_about("largest", ratio(sizes[count - 1], 1), 15_000.0, 0.25);

    let messages: Vec<Value> =
        messages.iter().map(|(_, message)| serde_json::from_slice(message).unwrap()).collect();
    let share = |has: &dyn Fn(&Value) -> bool| ratio(messages.iter().filter(|m| has(m)).count(), count);
    let filled = |list: &'static str| share(&|m| m[list].as_array().is_some_and(|list| !list.is_empty()));
    let content = |m: &Value| m["content"].as_str().unwrap_or_default().chars().count();
    let mut lengths: Vec<usize> = messages.iter().map(content).collect();
    lengths.sort_unstable();
    assert_about("mean content", ratio(lengths.iter().sum(), count), 100.0, 0.1);
    assert_about("median content", quantile(&lengths, 500), 49.0, 0.1);
    assert_about("p95 content", quantile(&lengths, 950), 374.0, 0.1);
    assert_about("empty content", share(&|m| m["content"] == ""), 0.036, 0.2);
    assert_about("attachments", filled("attachments"), 0.087, 0.1);
    assert_about("embeds", filled("embeds"), 0.032, 0.2);
    assert_about("reactions", filled("reactions"), 0.144, 0.1);
    assert_about("mentions", filled("mentions"), 0.201, 0.1);
    assert_about("replies", share(&|m| m["type"] == "Reply"), 0.188, 0.1);
    assert_about("edited", share(&|m| !m["timestampEdited"].is_null()), 0.091, 0.1);

    let mut authors = HashMap::new();
    for message in &messages {
        *authors.entry(message["author"]["id"].as_str()).or_insert(0) += 1;
    }
    assert_eq!(authors.len(), 132, "each of the authors writes");
    assert_about("top author", ratio(authors.into_values().max().unwrap_or(0), count), 0.294, 0.1);
    let reactions = || messages.iter().filter_map(|m| m["reactions"].as_array()).flatten();
    let users = |reaction: &Value| reaction["users"].as_array().map_or(0, Vec::len);
    assert_about("users of a reaction", ratio(reactions().map(users).sum(), reactions().count()), 2.32, 0.1);

    // Without any of these a channel would be too tame for the worker's parser and for Postgres.
    let with = |text: &str| messages.iter().filter(|m| m["content"].as_str().unwrap().contains(text)).count();
    for text in ["\0", "\n", "\"", "\\", "🚀", "✅", "안녕하세요"] {
        assert!(with(text) > 0, "{text:?} occurs nowhere");
    }
    let fractions: Vec<usize> = (0..4)
        .map(|digits| {
            let fraction = |m: &Value| m["timestamp"].as_str().unwrap().trim_end_matches("+00:00").len() - 19;
            messages.iter().filter(|m| fraction(m) == if digits == 0 { 0 } else { digits + 1 }).count()
        })
        .collect();
    assert!(fractions.iter().all(|&count| count > 0), "{fractions:?}");
    assert_eq!(fractions.iter().sum::<usize>(), count);
}
