//! What a file is, by its first bytes.

use std::io::{self, Read};

use crate::ingest::frame::{DocumentEnd, Frame, FrameError, Framer};
use crate::ingest::header::Header;

/// Bytes read at once.
const PIECE: usize = 16 << 10;
/// Where the messages of an export begin at the latest: a topic has 1024 characters, an icon's address a few hundred.
const MAX_HEAD: usize = 1 << 20;

/// Why a file is not what can be imported; completes the sentence "NAME: …".
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Foreign {
    /// No bytes.
    #[error("is empty")]
    Empty,
    /// DCE's HTML, which lacks most of what a message is.
    #[error(
        "is an HTML export, which holds too little of its messages: export the channel again with `-f Json`"
    )]
    HtmlExport,
    /// DCE's CSV.
    #[error(
        "is a CSV export, which holds too little of its messages: export the channel again with `-f Json`"
    )]
    CsvExport,
    /// DCE's plain text.
    #[error(
        "is a text export, which holds too little of its messages: export the channel again with `-f Json`"
    )]
    TextExport,
    /// Anything else.
    #[error("is not JSON, so no export of DiscordChatExporter's")]
    NotJson,
    /// JSON of another kind.
    #[error("is no export of DiscordChatExporter's: {0}")]
    NotAnExport(FrameError),
    /// Cut in its head: nobody knows the channel.
    #[error("ends before its messages begin")]
    Headless,
}

impl Foreign {
    /// Whether DCE wrote it, but in another format.
    pub const fn is_other_format(self) -> bool {
        matches!(self, Self::HtmlExport | Self::CsvExport | Self::TextExport)
    }
}

/// Stops the framer.
enum Stop {
    AtMessages(Box<Header>),
    Fault(FrameError),
}

impl From<FrameError> for Stop {
    fn from(fault: FrameError) -> Self {
        Self::Fault(fault)
    }
}

/// Reads up to the first message.
pub fn recognise(bytes: &mut dyn Read) -> io::Result<Result<Box<Header>, Foreign>> {
    let mut framer = Framer::new(MAX_HEAD);
    let mut piece = Vec::with_capacity(PIECE);
    let mut is_first = true;
    loop {
        piece.clear();
        bytes.take(PIECE as u64).read_to_end(&mut piece)?;
        if std::mem::take(&mut is_first) {
            if piece.is_empty() {
                return Ok(Err(Foreign::Empty));
            }
            if let Some(format) = other_format(&piece) {
                return Ok(Err(format));
            }
        }
        if piece.is_empty() {
            break;
        }
        let pushed = framer.push(&piece, &mut |frame| match frame {
            Frame::Header(header) => Err(Stop::AtMessages(header)),
            Frame::Message { .. } | Frame::Archived { .. } | Frame::End { .. } => Ok(()),
        });
        match pushed {
            Ok(()) => {}
            Err(Stop::AtMessages(header)) => return Ok(Ok(header)),
            Err(Stop::Fault(FrameError::NotAnObject)) => return Ok(Err(Foreign::NotJson)),
            Err(Stop::Fault(fault)) => return Ok(Err(Foreign::NotAnExport(fault))),
        }
    }
    Ok(Err(match framer.finish() {
        DocumentEnd::Cut { broken_at: Some(_), .. } => Foreign::NotJson,
        _ => Foreign::Headless,
    }))
}

/// DCE's other formats, by how each begins (DCE 2.30 to 2.47).
fn other_format(first: &[u8]) -> Option<Foreign> {
    let text = String::from_utf8_lossy(first);
    let text = text.trim_start_matches('\u{feff}').trim_start();
    if text.starts_with("AuthorID,Author,Date,Content") {
        return Some(Foreign::CsvExport);
    }
    if text.starts_with("=====") && text.trim_start_matches('=').trim_start().starts_with("Guild: ") {
        return Some(Foreign::TextExport);
    }
    let is_html = text.get(..14).is_some_and(|start| start.eq_ignore_ascii_case("<!doctype html"));
    (is_html && ["chatlog", "preamble", "DiscordChatExporter"].iter().any(|word| text.contains(word)))
        .then_some(Foreign::HtmlExport)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recognised(text: &str) -> Result<Box<Header>, Foreign> {
        recognise(&mut text.as_bytes()).unwrap()
    }

    #[test]
    fn an_export_is_known_by_its_channel_before_its_messages() {
        let header =
            recognised(r#"{"guild":{"id":"1"},"channel":{"id":"2","name":"a"},"messages":[{"id":"#).unwrap();
        assert_eq!(header.channel.id.get(), 2);
        let topic = "x".repeat(40_000); // over the first piece
        let text = format!("\u{feff} {{\"channel\":{{\"id\":\"2\",\"topic\":\"{topic}\"}},\"messages\":[]}}");
        assert_eq!(recognised(&text).unwrap().channel.topic.as_deref(), Some(topic.as_str()));
    }

    #[test]
    fn what_is_no_export_is_told_apart() {
        let line = "=".repeat(62);
        for (text, foreign) in [
            ("", Foreign::Empty),
            ("hello", Foreign::NotJson),
            ("[1,2]", Foreign::NotJson),
            ("{\"a\":}", Foreign::NotJson),
            ("{\"name\":\"package\"}", Foreign::NotAnExport(FrameError::NoMessages)),
            ("{\"messages\":[]}", Foreign::NotAnExport(FrameError::NoChannel)),
            (
                "{\"channel\":{\"id\":\"2\"},\"messages\":7}",
                Foreign::NotAnExport(FrameError::MessagesNotAnArray),
            ),
            ("{\"channel\":{\"id\":\"2\"", Foreign::Headless),
            ("<!DOCTYPE html>\n<html><title>A shop</title>", Foreign::NotJson),
            ("<!DOCTYPE html>\n<html><div class=\"preamble\">", Foreign::HtmlExport),
            ("\u{feff}AuthorID,Author,Date,Content,Attachments,Reactions\n", Foreign::CsvExport),
            (&format!("{line}\nGuild: G\nChannel: C\n{line}\n"), Foreign::TextExport),
            (&format!("{line}\nA heading\n"), Foreign::NotJson),
        ] {
            assert_eq!(recognised(text).unwrap_err(), foreign, "{text:?}");
        }
    }
}
