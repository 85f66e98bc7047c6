//! Detects the format of a file from its first bytes.

use std::io::{self, Read};

use dce_ingest::document::frame::{DocumentEnd, Frame, FrameError};
use dce_ingest::document::framer::Framer;
use dce_ingest::document::header::Header;

const CHUNK: usize = 16 << 10;
/// Maximum size of the header before the messages: a topic has up to 1024 characters, an icon's URL a few hundred.
const MAX_HEADER_BYTES: usize = 1 << 20;

/// The reason why a file cannot be imported; printed as "NAME: …".
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotImportable {
    #[error("the file is empty")]
    Empty,
    #[error("an HTML export lacks most data of its messages: export the channel again with `-f Json`")]
    HtmlExport,
    #[error("a CSV export lacks most data of its messages: export the channel again with `-f Json`")]
    CsvExport,
    #[error("a text export lacks most data of its messages: export the channel again with `-f Json`")]
    TextExport,
    #[error("not a DiscordChatExporter JSON export: the file is not JSON")]
    NotJson,
    #[error("not a DiscordChatExporter JSON export: {0}")]
    NotAnExport(FrameError),
    /// Truncated before the messages, so the channel may be unknown.
    #[error("the file is truncated: it ends before its messages begin")]
    TruncatedHeader,
}

impl NotImportable {
    /// Whether it is a DCE export in another format.
    pub(super) const fn is_other_format(self) -> bool {
        matches!(self, Self::HtmlExport | Self::CsvExport | Self::TextExport)
    }
}

/// The reason to stop the framer.
enum Stop {
    AtMessages(Box<Header>),
    Fault(FrameError),
}

impl From<FrameError> for Stop {
    fn from(fault: FrameError) -> Self {
        Self::Fault(fault)
    }
}

/// Reads the header, up to the first message.
pub(super) fn detect_format(bytes: &mut dyn Read) -> io::Result<Result<Box<Header>, NotImportable>> {
    let mut framer = Framer::new(MAX_HEADER_BYTES);
    let mut chunk = Vec::with_capacity(CHUNK);
    let mut is_first = true;
    loop {
        chunk.clear();
        bytes.take(CHUNK as u64).read_to_end(&mut chunk)?;
        if std::mem::take(&mut is_first) {
            if chunk.is_empty() {
                return Ok(Err(NotImportable::Empty));
            }
            if let Some(format) = other_format(&chunk) {
                return Ok(Err(format));
            }
        }
        if chunk.is_empty() {
            break;
        }
        let result = framer.push(&chunk, &mut |frame| match frame {
            Frame::Header(header) => Err(Stop::AtMessages(header)),
            Frame::Message { .. } | Frame::End { .. } => Ok(()),
        });
        match result {
            Ok(()) => {}
            Err(Stop::AtMessages(header)) => return Ok(Ok(header)),
            Err(Stop::Fault(FrameError::NotAnObject)) => return Ok(Err(NotImportable::NotJson)),
            Err(Stop::Fault(fault)) => return Ok(Err(NotImportable::NotAnExport(fault))),
        }
    }
    Ok(Err(match framer.finish() {
        DocumentEnd::Cut { broken_at: Some(_), .. } => NotImportable::NotJson,
        _ => NotImportable::TruncatedHeader,
    }))
}

/// Recognises DCE's other formats by their beginnings (DCE 2.30 to 2.47).
fn other_format(first: &[u8]) -> Option<NotImportable> {
    let text = String::from_utf8_lossy(first);
    let text = text.trim_start_matches('\u{feff}').trim_start();
    if text.starts_with("AuthorID,Author,Date,Content") {
        return Some(NotImportable::CsvExport);
    }
    if text.starts_with("=====") && text.trim_start_matches('=').trim_start().starts_with("Guild: ") {
        return Some(NotImportable::TextExport);
    }
    let is_html = text.get(..14).is_some_and(|start| start.eq_ignore_ascii_case("<!doctype html"));
    (is_html && ["chatlog", "preamble", "DiscordChatExporter"].iter().any(|word| text.contains(word)))
        .then_some(NotImportable::HtmlExport)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detected(text: &str) -> Result<Box<Header>, NotImportable> {
        detect_format(&mut text.as_bytes()).unwrap()
    }

    #[test]
    fn an_export_is_detected_before_its_messages_are_read() {
        let header =
            detected(r#"{"guild":{"id":"1"},"channel":{"id":"2","name":"a"},"messages":[{"id":"#).unwrap();
        assert_eq!(header.channel.id.get(), 2);
        let topic = "x".repeat(40_000); // longer than the first chunk
        let text = format!("\u{feff} {{\"channel\":{{\"id\":\"2\",\"topic\":\"{topic}\"}},\"messages\":[]}}");
        assert_eq!(detected(&text).unwrap().channel.topic.as_deref(), Some(topic.as_str()));
    }

    #[test]
    fn files_that_are_not_exports_are_refused_with_the_right_reason() {
        let line = "=".repeat(62);
        for (text, expected) in [
            ("", NotImportable::Empty),
            ("hello", NotImportable::NotJson),
            ("[1,2]", NotImportable::NotJson),
            ("{\"a\":}", NotImportable::NotJson),
            ("{\"name\":\"package\"}", NotImportable::NotAnExport(FrameError::NoMessages)),
            ("{\"messages\":[]}", NotImportable::NotAnExport(FrameError::NoChannel)),
            (
                "{\"channel\":{\"id\":\"2\"},\"messages\":7}",
                NotImportable::NotAnExport(FrameError::MessagesNotAnArray),
            ),
            ("{\"channel\":{\"id\":\"2\"", NotImportable::TruncatedHeader),
            ("<!DOCTYPE html>\n<html><title>A shop</title>", NotImportable::NotJson),
            ("<!DOCTYPE html>\n<html><div class=\"preamble\">", NotImportable::HtmlExport),
            ("\u{feff}AuthorID,Author,Date,Content,Attachments,Reactions\n", NotImportable::CsvExport),
            (&format!("{line}\nGuild: G\nChannel: C\n{line}\n"), NotImportable::TextExport),
            (&format!("{line}\nA heading\n"), NotImportable::NotJson),
        ] {
            assert_eq!(detected(text).unwrap_err(), expected, "{text:?}");
        }
    }
}
