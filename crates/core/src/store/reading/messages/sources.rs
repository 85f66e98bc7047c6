//! The sources of a read: channels, or the parts of them that an export covers.

use std::collections::HashMap;

use dce_filter::Filter;
use sqlx::postgres::PgPool;
use uuid::Uuid;

use crate::ids::Snowflake;
use crate::store::StoreError;

/// Messages of a channel: all, or those of an inclusive range of ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Source {
    /// The channel or thread.
    pub channel_id: Snowflake,
    /// First and last id; `None`: all.
    pub range: Option<(Snowflake, Snowflake)>,
}

pub fn channel_source(channel_id: Snowflake) -> Vec<Source> {
    vec![Source { channel_id, range: None }]
}

/// The messages of an export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportSources {
    /// The messages that its runs have read so far, whichever export inserted them, channel by channel in the order of the
    /// runs.
    pub sources: Vec<Source>,
    /// Only those that match are the export's.
    pub filter: Option<Filter>,
}

/// The messages of an export. `None`: no export has this id.
pub async fn export_sources(pool: &PgPool, job_id: Uuid) -> Result<Option<ExportSources>, StoreError> {
    let rows = sqlx::query!(
        r#"SELECT r.channel_id AS "channel_id?", r.first_message_id, r.last_message_id, e.options ->> 'filter' AS filter
             FROM exports e
             LEFT JOIN export_channels r ON r.job_id = e.job_id AND r.channel_id IS NOT NULL
                                        AND r.first_message_id IS NOT NULL AND r.last_message_id IS NOT NULL
            WHERE e.job_id = $1 ORDER BY r.id"#,
        job_id
    )
    .fetch_all(pool)
    .await?;
    let Some(export) = rows.first() else { return Ok(None) };
    // A run whose filter is refused reads nothing; one that an earlier version has completed is read as a whole.
    let filter = export.filter.as_deref().and_then(|filter| Filter::parse(filter).ok());
    let ranges = rows.into_iter().filter_map(|row| {
        let id = |text: Option<String>| text?.parse::<Snowflake>().ok();
        Some((id(row.channel_id)?, id(row.first_message_id)?, id(row.last_message_id)?))
    });
    Ok(Some(ExportSources { sources: merged(ranges), filter }))
}

/// Joins overlapping ranges, so that each message is read once: several files of an import may hold the same channel.
fn merged(ranges: impl Iterator<Item = (Snowflake, Snowflake, Snowflake)>) -> Vec<Source> {
    let mut indexes = HashMap::new();
    let mut channels: Vec<(Snowflake, Vec<(Snowflake, Snowflake)>)> = Vec::new();
    for (channel_id, first, last) in ranges.filter(|(_, first, last)| first <= last) {
        let index = *indexes.entry(channel_id).or_insert(channels.len());
        if index == channels.len() {
            channels.push((channel_id, Vec::new()));
        }
        channels[index].1.push((first, last));
    }
    let mut sources = Vec::new();
    for (channel_id, mut ranges) in channels {
        ranges.sort_unstable();
        let mut disjoint: Vec<(Snowflake, Snowflake)> = Vec::new();
        for (first, last) in ranges {
            match disjoint.last_mut() {
                Some((_, end)) if first <= *end => *end = last.max(*end),
                _ => disjoint.push((first, last)),
            }
        }
        sources.extend(disjoint.into_iter().map(|range| Source { channel_id, range: Some(range) }));
    }
    sources
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_a_channel_are_joined_as_numbers_and_channels_keep_their_order() {
        let id = Snowflake::new;
        let short = 999_999_999_999_999_999;
        let ranges = [
            (7, 10, 20),
            (3, short - 5, short + 5),
            (7, 40, 50),
            (3, short + 2, short + 9),
            (7, 15, 30),
            (9, 5, 4),
        ];
        let merged =
            merged(ranges.iter().map(|(channel, first, last)| (id(*channel), id(*first), id(*last))));
        let expected = [(7, 10, 30), (7, 40, 50), (3, short - 5, short + 9)];
        let expected = expected.map(|(channel, first, last)| Source {
            channel_id: id(channel),
            range: Some((id(first), id(last))),
        });
        assert_eq!(merged, expected);
    }
}
