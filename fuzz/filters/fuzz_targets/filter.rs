//! Any text as a filter, and any text as the message that it is asked about. A line feed separates them.

#![no_main]

use dce_filter::{Filter, Message};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let input = String::from_utf8_lossy(input);
    let (text, message) = input.split_once('\n').unwrap_or((&*input, ""));
    let filter = match Filter::parse(text) {
        Ok(filter) => filter,
        Err(error) => {
            assert!((1..=text.chars().count() + 1).contains(&error.column), "outside: {error}");
            return;
        }
    };
    let spaced = Filter::parse(&format!(" {text}"));
    assert_eq!(spaced.as_ref(), Ok(&filter), "white space at the beginning");
    let text = text.trim_end();
    // A backslash would escape the closing bracket, and the brackets may be one level too many.
    let negated = Filter::parse(&format!("~({text})")).ok().filter(|_| !text.ends_with('\\'));
    // As a message's JSON, and as the text of a message.
    let messages = [
        Message::read(message),
        Message { content: Some(message.into()), embeds: message, ..Message::default() },
    ];
    for message in &messages {
        let is_match = filter.matches(message);
        if let Some(negated) = &negated {
            assert_ne!(negated.matches(message), is_match, "negated: {text:?}");
        }
    }
});
