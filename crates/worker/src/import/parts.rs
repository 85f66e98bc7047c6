//! Which documents are parts of one export: DCE writes `x.json`, `x [part 2].json`, `x [part 3].json`… Pure.

use std::collections::HashMap;

use dce_core::ids::Snowflake;

use super::find::Candidate;
use crate::ingest::header::Header;

/// A document whose head was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Where it is.
    pub file: Candidate,
    /// What it says of itself.
    pub header: Box<Header>,
}

/// What one run imports: a document, or the parts of one in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// At least one.
    pub parts: Vec<Document>,
    /// The first part that is not there although a later one is.
    pub missing: Option<u32>,
}

impl Source {
    /// The name of the first part.
    pub fn name(&self) -> &str {
        self.parts.first().map_or("", |part| part.file.name.as_str())
    }

    /// Bytes on the disk.
    pub fn stored(&self) -> u64 {
        self.parts.iter().map(|part| part.file.stored).sum()
    }
}

/// Puts parts together. Documents of different channels never are parts of one export, whatever their names.
pub fn put_together(documents: Vec<Document>) -> Vec<Source> {
    let mut places: HashMap<(String, Snowflake), usize> = HashMap::new();
    let mut groups: Vec<Vec<(u32, Document)>> = Vec::new();
    for document in documents {
        let (whole, part) = part_of(&document.file.name);
        let place = *places.entry((whole, document.header.channel.id)).or_insert_with(|| {
            groups.push(Vec::new());
            groups.len() - 1
        });
        groups[place].push((part, document));
    }
    groups
        .into_iter()
        .map(|mut group| {
            group.sort_by_key(|(part, _)| *part);
            let expected = (1..).zip(&group).find(|(expected, (part, _))| part > expected);
            Source {
                missing: expected.map(|(expected, _)| expected),
                parts: group.into_iter().map(|(_, document)| document).collect(),
            }
        })
        .collect()
}

/// The name of the first part, and which part this is.
fn part_of(name: &str) -> (String, u32) {
    let (stem, ending) = name
        .char_indices()
        .rev()
        .find(|(at, _)| name[*at..].starts_with(".json"))
        .map_or((name, ""), |(at, _)| name.split_at(at));
    let numbered = stem.strip_suffix(']').and_then(|stem| stem.rsplit_once(" [part "));
    match numbered.and_then(|(stem, part)| Some((stem, part.parse::<u32>().ok()?))) {
        Some((stem, part)) => (format!("{stem}{ending}"), part),
        None => (name.to_owned(), 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::import::bytes::Place;
    use crate::ingest::header::Channel;

    fn document(name: &str, channel: u64) -> Document {
        let channel = Channel {
            id: Snowflake::new(channel),
            kind: None,
            category_id: None,
            category: None,
            name: None,
            topic: None,
        };
        Document {
            file: Candidate { name: name.into(), place: Place::File(name.into()), stored: 10 },
            header: Box::new(Header { guild: None, channel, exported_at: None }),
        }
    }

    fn sources(documents: &[(&str, u64)]) -> Vec<Vec<String>> {
        let documents = documents.iter().map(|(name, channel)| document(name, *channel)).collect();
        let names = |source: Source| source.parts.into_iter().map(|part| part.file.name).collect();
        put_together(documents).into_iter().map(names).collect()
    }

    #[test]
    fn parts_are_one_source_in_the_order_of_their_numbers() {
        let names = ["f/x [part 10].json", "f/x [part 2].json", "f/x.json", "g/x [part 2].json"];
        assert_eq!(
            sources(&names.map(|name| (name, 1))),
            [vec!["f/x.json", "f/x [part 2].json", "f/x [part 10].json"], vec!["g/x [part 2].json"]]
        );
        assert_eq!(
            sources(&[("x.json.gz", 1), ("x [part 2].json.gz", 1), ("x [part 2].json", 1)]).len(),
            2,
            "of one kind"
        );
    }

    #[test]
    fn other_channels_and_other_names_are_no_parts() {
        assert_eq!(sources(&[("x.json", 1), ("x [part 2].json", 2)]).len(), 2);
        assert_eq!(sources(&[("x.json", 1), ("x [part two].json", 1), ("x [42].json", 1)]).len(), 3);
    }

    #[test]
    fn what_is_missing_between_parts_is_known() {
        for (names, missing) in [
            (&["x.json", "x [part 2].json", "x [part 3].json"][..], None),
            (&["x.json", "x [part 3].json"], Some(2)),
            (&["x [part 4000000000].json"], Some(1)),
        ] {
            let documents = names.iter().map(|name| document(name, 1)).collect();
            assert_eq!(put_together(documents)[0].missing, missing, "{names:?}");
        }
    }
}
