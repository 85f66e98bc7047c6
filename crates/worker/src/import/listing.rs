//! What `--dry-run` says of the sources: from their heads, and from the ends of files that are not packed.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use chrono::{DateTime, Utc};
use dce_core::settings::ByteSize;

use super::bytes::Place;
use super::parts::{Document, Source};
use super::progress::messages_in_words;

/// How much of a file's beginning and end is looked at.
const GLIMPSE: u64 = 64 << 10;
/// A message's own time where DCE indented it; those of embeds and of what it passes on stand deeper.
const TIMESTAMP: &str = "\n      \"timestamp\": \"";
/// The end of every document of DCE's, indented or compact. One that was stopped inside of a message has a count there too,
/// but further in.
const COUNTS: [&str; 2] = ["\n  \"messageCount\": ", "],\"messageCount\":"];

/// What a file's ends say.
#[derive(Debug, Default, PartialEq, Eq)]
struct Glimpse {
    messages: Option<u64>,
    first: Option<DateTime<Utc>>,
    last: Option<DateTime<Utc>>,
}

/// One line for each source.
pub fn line(source: &Source) -> String {
    let glimpses: Vec<Glimpse> = source.parts.iter().map(glimpse).collect();
    let messages: Option<u64> = glimpses.iter().map(|glimpse| glimpse.messages).sum();
    let mut words = vec![
        channel(source),
        messages.map_or_else(|| "an unknown number of messages".to_owned(), messages_in_words),
        ByteSize(source.stored()).to_string(),
    ];
    let first = glimpses.iter().filter_map(|glimpse| glimpse.first).min();
    let last = glimpses.iter().filter_map(|glimpse| glimpse.last).max();
    if let (Some(first), Some(last)) = (first, last) {
        words.push(format!("{} to {}", first.date_naive(), last.date_naive()));
    }
    if source.parts.len() > 1 {
        words.push(format!("{} parts", source.parts.len()));
    }
    format!("{}: {}", source.name(), words.join(", "))
}

fn channel(source: &Source) -> String {
    let Some(Document { header, .. }) = source.parts.first() else { return String::new() };
    let guild = header.guild.as_ref().and_then(|guild| guild.name.as_deref());
    let names = [guild, header.channel.category.as_deref(), header.channel.name.as_deref()];
    let name = names.into_iter().flatten().collect::<Vec<_>>().join(" / ");
    format!("channel {} ({name})", header.channel.id)
}

/// Packed documents would have to be unpacked whole.
fn glimpse(document: &Document) -> Glimpse {
    match &document.file.place {
        Place::File(path) => ends(path).map(|(start, end)| read(&start, &end)).unwrap_or_default(),
        Place::Member(_) => Glimpse::default(),
    }
}

fn ends(path: &Path) -> io::Result<(String, String)> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let mut piece = |from: u64| -> io::Result<String> {
        file.seek(SeekFrom::Start(from))?;
        let mut bytes = Vec::new();
        file.by_ref().take(GLIMPSE).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    Ok((piece(0)?, piece(length.saturating_sub(GLIMPSE))?))
}

fn read(start: &str, end: &str) -> Glimpse {
    let time = |after: &str| after.split('"').next().and_then(|text| text.parse::<DateTime<Utc>>().ok());
    Glimpse {
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
    fn the_ends_of_a_document_say_how_many_and_from_when_to_when() {
        let start = "{\n  \"messages\": [\n    {\n      \"id\": \"1\",\n      \"timestamp\": \"2024-07-03T09:46:40+00:00\",\n";
        let embed = "        {\n          \"timestamp\": \"2019-01-01T00:00:00+00:00\",\n";
        let end = format!(
            "    {{\n      \"timestamp\": \"2024-07-05T09:46:40.5+02:00\",\n{embed}    }}\n  ],\n  \"messageCount\": 17\n}}"
        );
        let glimpse = read(start, &end);
        assert_eq!(glimpse.messages, Some(17));
        assert_eq!(glimpse.first, Some("2024-07-03T09:46:40Z".parse().unwrap()));
        assert_eq!(glimpse.last, Some("2024-07-05T07:46:40.5Z".parse().unwrap()));
    }

    #[test]
    fn what_was_cut_or_packed_says_nothing() {
        assert_eq!(read("\u{1f}\u{8b}", "      \"messageCount\": 3\n    }"), Glimpse::default());
        assert_eq!(read("{}", "{\"messages\":[],\"messageCount\":0}").messages, Some(0), "compact");
    }
}
