//! What the recordings do not show.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use dce_filter::{Filter, Message};
use proptest::prelude::*;
use serde_json::{Value, json};

fn matches(filter: &str, message: &Value) -> bool {
    matches_json(filter, &message.to_string())
}

fn matches_json(filter: &str, message: &str) -> bool {
    Filter::parse(filter).unwrap().matches(&Message::read(message))
}

#[test]
fn names_match_as_a_whole_whatever_their_case() {
    let author = |user: Value| json!({ "author": user });
    let user = json!({ "id": "7", "name": "user", "discriminator": "0042", "nickname": "Nick-Name" });
    for name in ["7", "USER", "\"nick-name\"", "user#0042"] {
        assert!(matches(&format!("from:{name}"), &author(user.clone())), "{name}");
        assert!(
            matches(&format!("mentions:{name}"), &json!({ "mentions": [{ "id": "8" }, user] })),
            "{name}"
        );
    }
    for name in ["use", "\"user#0000\"", "nick", "\"\"", "\"#0042\""] {
        assert!(!matches(&format!("from:{name}"), &author(user.clone())), "{name}");
    }
    let without_discriminator =
        json!({ "id": "7", "name": "user", "discriminator": "0000", "nickname": "user" });
    assert!(!matches("from:user#0000", &author(without_discriminator)));
}

#[test]
fn reactions_match_by_name_code_or_id_of_their_emoji() {
    let message = json!({ "reactions": [
        { "emoji": { "id": "", "name": "👍", "code": "thumbsup" } },
        { "emoji": { "id": "9", "name": "blob", "code": "blob" } },
    ] });
    for emoji in ["👍", "ThumbsUp", "9", "BLOB"] {
        assert!(matches(&format!("reaction:{emoji}"), &message), "{emoji}");
    }
    for emoji in ["thumbs", "\"\"", ":blob:"] {
        assert!(!matches(&format!("reaction:{emoji}"), &message), "{emoji}");
    }
}

#[test]
fn invitations_are_links_to_discord_gg_with_nothing_behind_the_code() {
    for (content, expected) in [
        ("https://discord.gg/abc", true),
        ("**http://discord.gg/abc/** now", true),
        ("<https://discord.gg/abc>", true),
        ("[join](https://discord.gg/abc)", true),
        ("https://example.com https://discord.gg/abc.", true),
        ("https://discord.gg/abc?event=1", false),
        ("https://discord.gg/", false),
        ("https://discord.com/invite/abc", false),
        ("`https://discord.gg/abc`", false),
        ("discord.gg/abc", false),
    ] {
        assert_eq!(matches("has:invite", &json!({ "content": content })), expected, "{content}");
    }
}

#[test]
fn files_are_told_by_the_extension_of_their_name() {
    for (name, filter) in [
        ("a.JPEG", "has:image ~has:video"),
        ("a.gifv", "has:image ~has:video"),
        ("a.b.webm", "has:video ~has:image"),
        ("a.m4a", "has:sound ~has:video"),
        ("a.png.", "has:file ~has:image"),
        ("png", "has:file ~has:image"),
        ("", "has:file ~has:image"),
    ] {
        assert!(matches(filter, &json!({ "attachments": [{ "fileName": name }] })), "{name}");
    }
}

#[test]
fn missing_fields_and_fields_of_other_types_are_empty() {
    let all =
        ["max", "from:max", "mentions:max", "reaction:max", "has:link", "has:embed", "has:file", "has:pin"];
    for message in [
        "{}",
        "[]",
        "nonsense",
        r#"{"content":5,"author":"max","mentions":{"name":"max"},"reactions":["max"],"attachments":"max","embeds":{},"isPinned":"true"}"#,
    ] {
        for filter in all {
            assert!(!matches_json(filter, message), "{filter} in {message}");
        }
    }
}

#[test]
fn the_last_of_equal_names_counts_and_escapes_are_read() {
    assert!(matches_json("b", r#"{"content":"a","cont\u0065nt":"\u0062"}"#));
    assert!(!matches_json("a", r#"{"content":"a","content":"b"}"#));
}

proptest! {
    #[test]
    fn negation_turns_every_filter_around(
        filter in "(max|from:max|has:(link|embed|file|pin|invite)|reaction:a)",
        message in any::<String>(),
        content in "[a-z*`_ \\[\\]()<>:/.\n]{0,40}|(`|\\*| |http://){0,9}",
    ) {
        let (plain, negated) = (Filter::parse(&filter).unwrap(), Filter::parse(&format!("~({filter})")).unwrap());
        for message in [message, json!({ "content": content }).to_string()] {
            prop_assert_ne!(plain.matches(&Message::read(&message)), negated.matches(&Message::read(&message)));
        }
    }
}
