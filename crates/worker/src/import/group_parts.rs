//! Groups the parts of one export: DCE writes `x.json`, `x [part 2].json`, `x [part 3].json`… Pure.

use std::collections::HashMap;

use dce_core::ids::Snowflake;

use super::candidate::Candidate;
use dce_ingest::document::header::Header;

/// A document whose header was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Document {
    pub(super) file: Candidate,
    pub(super) header: Box<Header>,
}

/// The input of one run: a document, or the parts of one in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ImportSource {
    /// At least one.
    pub(super) parts: Vec<Document>,
    /// The number of the first missing part before an existing one.
    pub(super) missing: Option<u32>,
}

impl ImportSource {
    pub(super) fn name(&self) -> &str {
        self.parts.first().map_or("", |part| part.file.name.as_str())
    }

    /// The size on disk.
    pub(super) fn stored_bytes(&self) -> u64 {
        self.parts.iter().map(|part| part.file.stored_bytes).sum()
    }
}

/// Groups parts by name and channel: documents of different channels are never parts of one export.
pub(super) fn group_parts(documents: Vec<Document>) -> Vec<ImportSource> {
    let mut positions: HashMap<(String, Snowflake), usize> = HashMap::new();
    let mut groups: Vec<Vec<(u32, Document)>> = Vec::new();
    for document in documents {
        let (whole, part) = parse_part_name(&document.file.name);
        let position = *positions.entry((whole, document.header.channel.id)).or_insert_with(|| {
            groups.push(Vec::new());
            groups.len() - 1
        });
        groups[position].push((part, document));
    }
    groups
        .into_iter()
        .map(|mut group| {
            group.sort_by_key(|(part, _)| *part);
            let expected = (1..).zip(&group).find(|(expected, (part, _))| part > expected);
            ImportSource {
                missing: expected.map(|(expected, _)| expected),
                parts: group.into_iter().map(|(_, document)| document).collect(),
            }
        })
        .collect()
}

/// Returns the name of the first part and the number of this one.
fn parse_part_name(name: &str) -> (String, u32) {
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
    use crate::import::document_location::DocumentLocation;
    use dce_ingest::document::header::Channel;

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
            file: Candidate {
                name: name.into(),
                location: DocumentLocation::File(name.into()),
                stored_bytes: 10,
            },
            header: Box::new(Header { guild: None, channel, exported_at: None }),
        }
    }

    fn sources(documents: &[(&str, u64)]) -> Vec<Vec<String>> {
        let documents = documents.iter().map(|(name, channel)| document(name, *channel)).collect();
        let names = |source: ImportSource| source.parts.into_iter().map(|part| part.file.name).collect();
        group_parts(documents).into_iter().map(names).collect()
    }

    #[test]
    fn parts_form_one_source_in_numeric_order() {
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
    fn other_channels_and_other_names_are_separate_sources() {
        assert_eq!(sources(&[("x.json", 1), ("x [part 2].json", 2)]).len(), 2);
        assert_eq!(sources(&[("x.json", 1), ("x [part two].json", 1), ("x [42].json", 1)]).len(), 3);
    }

    #[test]
    fn the_first_missing_part_is_found() {
        for (names, missing) in [
            (&["x.json", "x [part 2].json", "x [part 3].json"][..], None),
            (&["x.json", "x [part 3].json"], Some(2)),
            (&["x [part 4000000000].json"], Some(1)),
        ] {
            let documents = names.iter().map(|name| document(name, 1)).collect();
            assert_eq!(group_parts(documents)[0].missing, missing, "{names:?}");
        }
    }
}
