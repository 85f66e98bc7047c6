//! Documents that are JSON but not exports, and documents beyond the limits: each is refused with its own error, and none is
//! silently cut short.

use dce_ingest::document::frame::{DocumentEnd, Frame, FrameError};
use dce_ingest::document::framer::Framer;
use dce_ingest::message::columns::Message;

use crate::reading::{read, read_limited};

fn error(document: &str) -> Option<FrameError> {
    let reading = read([document.as_bytes()]);
    assert_eq!(reading.error, read(document.as_bytes().chunks(1)).error, "{document}");
    assert!(!reading.is_complete(), "{document}");
    reading.error
}

#[test]
fn a_document_that_is_not_an_export_is_refused_with_its_own_error() {
    const HEAD: &str = r#""channel":{"id":"1"}"#;
    for (document, expected) in [
        ("[]".to_owned(), FrameError::NotAnObject),
        ("<!DOCTYPE html>".to_owned(), FrameError::NotAnObject),
        ("\u{feff}\u{feff}{}".to_owned(), FrameError::NotAnObject),
        (" \u{feff}{}".to_owned(), FrameError::NotAnObject),
        (format!("{{{HEAD}}}"), FrameError::NoMessages),
        ("{}".to_owned(), FrameError::NoMessages),
        (r#"{"messages":[]}"#.to_owned(), FrameError::NoChannel),
        (r#"{"messages":[],"channel":{"id":"1"}}"#.to_owned(), FrameError::NoChannel),
        (r#"{"channel":{"id":"general"},"messages":[]}"#.to_owned(), FrameError::NoChannel),
        (r#"{"channel":{"id":"1"},"x":1e999,"messages":[]}"#.to_owned(), FrameError::UnreadableProperties),
        (format!(r#"{{{HEAD},"messages":{{}}}}"#), FrameError::MessagesNotAnArray),
        (format!(r#"{{{HEAD},"messages":null}}"#), FrameError::MessagesNotAnArray),
        (format!(r#"{{{HEAD},"messages":"[]"}}"#), FrameError::MessagesNotAnArray),
        (format!(r#"{{{HEAD},"messages":[],"messages":[]}}"#), FrameError::MessagesTwice),
        (format!(r#"{{{HEAD},"m\u0065ssages":[],"messages":[]}}"#), FrameError::MessagesTwice),
        (format!(r#"{{{HEAD},"messages":[1]}}"#), FrameError::MessageNotAnObject { index: 0 }),
        (format!(r#"{{{HEAD},"messages":[{{}},[]]}}"#), FrameError::MessageNotAnObject { index: 1 }),
        (format!(r#"{{{HEAD},"messages":[{{}},"x"]}}"#), FrameError::MessageNotAnObject { index: 1 }),
        (format!(r#"{{{HEAD},"messages":[],"messageCount":"0"}}"#), FrameError::CountUnreadable),
        (
            format!(r#"{{{HEAD},"messages":[{{}}],"messageCount":2}}"#),
            FrameError::CountMismatch { declared: 2, found: 1 },
        ),
        (
            format!(r#"{{"messageCount":0,{HEAD},"messages":[{{}}]}}"#),
            FrameError::CountMismatch { declared: 0, found: 1 },
        ),
        (format!(r#"{{{HEAD},"messages":[{{"x":{}"#, "[".repeat(200)), FrameError::TooDeep),
    ] {
        assert_eq!(error(&document), Some(expected), "{document}");
    }
}

#[test]
fn broken_json_ends_the_document_at_the_break() {
    const HEAD: &str = r#"{"channel":{"id":"1"},"messages":["#;
    for (rest, messages) in [
        ("]]", 0),
        ("}", 0),
        (",{}]}", 0),
        ("{},]}", 0),
        ("{}{}]}", 0),
        ("{},{},,", 1),
        ("{},{]", 1),
        (r#"{},{"a" 1}"#, 1),
        (r#"{},{"a":1,}"#, 1),
        (r#"{},{"a":nul}"#, 1),
        (r#"{},{"a":01}"#, 1),
        (r#"{},{"a":"\x"}"#, 1),
        (r#"{},{"a":[1}}"#, 1),
        ("{},{}\0\0\0\0", 1),
        ("{}]}}", 1),
        ("{}]}{}", 1),
        ("{}],}", 1),
        ("{}]é}", 1),
    ] {
        let document = format!("{HEAD}{rest} and so on");
        let reading = read([document.as_bytes()]);
        assert_eq!(reading.error, None, "{rest}");
        let DocumentEnd::Cut { messages: found, broken_at: Some(at) } = reading.finish else {
            panic!("{rest}: {:?}", reading.finish);
        };
        assert_eq!((found, reading.messages.len()), (messages, usize::try_from(messages).unwrap()), "{rest}");
        let at = usize::try_from(at).unwrap() - HEAD.len();
        assert!(at <= rest.len(), "{rest}: broken at {at}");
    }
}

#[test]
fn a_topic_or_a_nested_key_named_messages_is_not_taken_for_the_messages() {
    let document = r#"{"guild":{"id":"0","messages":[{}]},"channel":{"id":"1","topic":"\"messages\": [{}]"},
        "m":"messages","messages":[{"messages":[{},{}]}],"messageCount":1,
        "more":{"messages":[{}]}}"#;
    let reading = read([document.as_bytes()]);
    assert_eq!((reading.messages, reading.error), (vec![r#"{"messages":[{},{}]}"#.to_owned()], None));
}

#[test]
fn bytes_that_are_not_text_are_replaced_and_counted() {
    let document = b"{\"channel\":{\"id\":\"1\",\"topic\":\"\xff\\u0000\"},\"messages\":[{\"a\":\"x\xffy\xe2\x82\\u0000\"},{}]}";
    let reading = read([document.as_slice()]);
    assert_eq!(reading.messages, ["{\"a\":\"x\u{fffd}y\u{fffd}\\ufffd\"}", "{}"]);
    assert_eq!(reading.repairs, [3, 0], "the header's repairs do not count for the message");
    assert_eq!(reading.header.unwrap().channel.topic.as_deref(), Some("\u{fffd}\u{fffd}"));
}

#[test]
fn a_message_may_be_as_large_as_the_limit_and_no_larger() {
    let document = |len: usize| {
        let text = "x".repeat(len - r#"{"content":""}"#.len());
        format!(
            "{{ \"channel\": {{\"id\":\"1\"}}, \"messages\": [ {{}} , {{ \"content\" : \"{text}\" }} ] }}"
        )
    };
    assert!(read_limited(1000, [document(1000).as_bytes()]).is_complete());
    let too_large = document(1001);
    for chunk in [1, 7, 512, 4096] {
        let reading = read_limited(1000, too_large.as_bytes().chunks(chunk));
        assert_eq!(reading.error, Some(FrameError::MessageTooLarge { index: 1, limit: 1000 }));
        assert_eq!(reading.messages.len(), 1, "the message before has a follower");
        assert_eq!(reading.finish, DocumentEnd::Cut { messages: 1, broken_at: None });
    }
    let topic = "x".repeat(1001);
    for document in [
        format!(r#"{{"channel":{{"id":"1","topic":"{topic}"}},"messages":[]}}"#),
        format!(r#"{{"channel":{{"id":"1"}},"messages":[],"topic":"{topic}"}}"#),
    ] {
        let error = read_limited(1000, [document.as_bytes()]).error;
        assert_eq!(error, Some(FrameError::PropertiesTooLarge { limit: 1000 }));
    }
}

#[test]
fn an_error_of_the_sink_ends_the_reading() {
    #[derive(Debug, PartialEq)]
    enum Error {
        Frame(FrameError),
        Sink,
    }
    impl From<FrameError> for Error {
        fn from(error: FrameError) -> Self {
            Self::Frame(error)
        }
    }
    let document = br#"{"channel":{"id":"1"},"messages":[{},{},{}]}"#;
    let mut framer = Framer::new(100);
    let mut messages = 0;
    let mut sink = |frame: Frame<'_>| {
        messages += u64::from(matches!(frame, Frame::Message { .. }));
        if messages == 2 { Err(Error::Sink) } else { Ok(()) }
    };
    assert_eq!(framer.push(document, &mut sink), Err(Error::Sink));
    assert_eq!(framer.push(document, &mut sink), Ok(()));
    assert_eq!(messages, 2);
    assert!(matches!(framer.finish(), DocumentEnd::Cut { .. }));
}

#[test]
fn an_author_is_found_in_any_order_of_its_members() {
    let long = "x".repeat(70_000); // such a large object is not sorted
    for author in [
        format!(r#"{{"avatarUrl":"{long}","isBot":true,"name":"a","id":"8"}}"#),
        r#"{"roles":[{"name":"b","id":"9"}],"avatarUrl":"","isBot":true,"name":"a","id":"8"}"#.to_owned(),
        r#"{"\u0072oles":[],"avatarUrl":"é","isBot":true,"name":"a","id":"8","é":""}"#.to_owned(),
        r#"{"name":"b","isBot":false,"roles":[],"id":"7","isBot":true,"name":"a","id":"8"}"#.to_owned(),
    ] {
        let document = format!(
            r#"{{"channel":{{"id":"1"}},"messages":[{{"author":{author},"timestamp":"2024-07-03T09:46:40+00:00","id":"2"}}]}}"#
        );
        let reading = read([document.as_bytes()]);
        let message = Message::parse(&reading.messages[0]).unwrap();
        let author = (message.author_id.as_deref(), message.author_name.as_deref(), message.is_bot);
        assert_eq!(
            author,
            (Some("8"), Some("a"), true),
            "`read` compares this with the members that the framer found"
        );
    }
}
