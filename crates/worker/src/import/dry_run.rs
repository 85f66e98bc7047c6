//! Describes the sources for `--dry-run`, from their headers and from both ends of uncompressed files.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use chrono::{DateTime, Utc};
use dce_core::settings::ByteSize;

use super::document_location::DocumentLocation;
use super::format;
use super::group_parts::{Document, ImportSource};

/// The bytes read at each end of a file.
const END_BYTES: u64 = 64 << 10;
/// The time of a message as DCE indents it; those of embeds and forwarded messages are indented further.
const TIMESTAMP: &str = "\n      \"timestamp\": \"";
/// The count at the end of a document, indented or compact. A document that was stopped within a message has a count
/// there too, but indented further.
const COUNTS: [&str; 2] = ["\n  \"messageCount\": ", "],\"messageCount\":"];

#[derive(Debug, Default, PartialEq, Eq)]
struct Summary {
    messages: Option<u64>,
    first: Option<DateTime<Utc>>,
    last: Option<DateTime<Utc>>,
}

pub(super) fn line(source: &ImportSource) -> String {
    let summaries: Vec<Summary> = source.parts.iter().map(summarise).collect();
    let messages: Option<u64> = summaries.iter().map(|summary| summary.messages).sum();
    let mut words = vec![
        channel(source),
        messages.map_or_else(|| "an unknown number of messages".to_owned(), format::messages),
        ByteSize(source.stored_bytes()).to_string(),
    ];
    let first = summaries.iter().filter_map(|summary| summary.first).min();
    let last = summaries.iter().filter_map(|summary| summary.last).max();
    if let (Some(first), Some(last)) = (first, last) {
        words.push(format!("{} to {}", first.date_naive(), last.date_naive()));
    }
    if source.parts.len() > 1 {
        words.push(format!("{} parts", source.parts.len()));
    }
    format!("{}: {}", source.name(), words.join(", "))
}

fn channel(source: &ImportSource) -> String {
    let Some(Document { header, .. }) = source.parts.first() else { return String::new() };
    let guild = header.guild.as_ref().and_then(|guild| guild.name.as_deref());
    let names = [guild, header.channel.category.as_deref(), header.channel.name.as_deref()];
    let name = names.into_iter().flatten().collect::<Vec<_>>().join(" / ");
    format!("channel {} ({name})", header.channel.id)
}

/// Returns nothing for compressed documents, which would have to be decompressed whole.
fn summarise(document: &Document) -> Summary {
    match &document.file.location {
        DocumentLocation::File(path) => {
            read_ends(path).map(|(start, end)| parse_ends(&start, &end)).unwrap_or_default()
        }
        DocumentLocation::ZipMember(_) => Summary::default(),
    }
}

fn read_ends(path: &Path) -> io::Result<(String, String)> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let mut piece = |from: u64| -> io::Result<String> {
        file.seek(SeekFrom::Start(from))?;
        let mut bytes = Vec::new();
        file.by_ref().take(END_BYTES).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    Ok((piece(0)?, piece(length.saturating_sub(END_BYTES))?))
}

fn parse_ends(start: &str, end: &str) -> Summary {
    let time = |after: &str| after.split('"').next().and_then(|text| text.parse::<DateTime<Utc>>().ok());
    Summary {
        messages: end.trim_end().strip_suffix('}').and_then(|end| {
            let count = COUNTS.iter().find_map(|before| end.rsplit_once(before))?.1;
            count.trim().parse().ok()
        }),
        first: start.split_once(TIMESTAMP).and_then(|(_, after)| time(after)),
        last: end.rsplit_once(TIMESTAMP).and_then(|(_, after)| time(after)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ends_of_a_document_have_the_count_and_the_first_and_last_time() {
        let start = "{\n  \"messages\": [\n    {\n      \"id\": \"1\",\n      \"timestamp\": \"2024-07-03T09:46:40+00:00\",\n";
        let embed = "        {\n          \"timestamp\": \"2019-01-01T00:00:00+00:00\",\n";
        let end = format!(
            "    {{\n      \"timestamp\": \"2024-07-05T09:46:40.5+02:00\",\n{embed}    }}\n  ],\n  \"messageCount\": 17\n}}"
        );
        let summary = parse_ends(start, &end);
        assert_eq!(summary.messages, Some(17));
        assert_eq!(summary.first, Some("2024-07-03T09:46:40Z".parse().unwrap()));
        assert_eq!(summary.last, Some("2024-07-05T07:46:40.5Z".parse().unwrap()));
    }

    #[test]
    fn a_truncated_or_compressed_document_has_no_count() {
        assert_eq!(parse_ends("\u{1f}\u{8b}", "      \"messageCount\": 3\n    }"), Summary::default());
        assert_eq!(parse_ends("{}", "{\"messages\":[],\"messageCount\":0}").messages, Some(0), "compact");
    }
}
