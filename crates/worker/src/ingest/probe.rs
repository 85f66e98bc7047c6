//! A look at what is archived of a batch, before anything is written. A hint that saves work, not the guarantee: that are
//! the key and the comparison of times in the writing statements.
//!
//! The batch's range of ids is read from the key's index in one go: several times faster than looking for each id
//! (measured: a third of the time). Where the range holds much more than the batch, as with a filter, each id is looked for.

use dce_core::export::conflict::OnConflict;
use dce_core::ids::Snowflake;
use dce_core::store::StoreError;
use dce_core::store::batches::archived::{self, ArchivedVersion, IdRanges};
use futures_util::TryStreamExt;
use sqlx::postgres::PgConnection;

use super::batch::SealedBatch;
use super::essence::Essence;
use super::id_range::IdRange;
use super::message::Message;

/// A range is given up when it holds so many times more than the batch.
const DENSEST: usize = 2;
/// But not below so many.
const DENSE_AT_LEAST: usize = 1000;

/// What there is to do about a batch. Messages are named by their place in it.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Not archived; of a message that the batch has twice, the first.
    pub(super) new: Vec<usize>,
    /// Archived, older, and different.
    pub(super) changed: Vec<usize>,
    /// Archived and marked as missing.
    pub(super) returned: Vec<Snowflake>,
    /// The archive has messages in the range that the batch lacks and that are not marked, or may have.
    pub(super) lacks: bool,
}

impl Found {
    /// Whether the archive has it all.
    pub(super) fn is_settled(&self) -> bool {
        self.new.is_empty() && self.changed.is_empty() && self.returned.is_empty() && !self.lacks
    }
}

/// Looks. `answers_for`: the range in which whatever the batch lacks is missing, if it is to be found.
pub(super) async fn look(
    connection: &mut PgConnection,
    batch: &SealedBatch,
    on_conflict: OnConflict,
    answers_for: Option<IdRange>,
) -> Result<Found, StoreError> {
    let mut look = Look::new(batch, answers_for.is_some());
    let Some(range) = answers_for.or_else(|| look.range()) else { return Ok(Found::default()) };
    let limit = DENSE_AT_LEAST.max(look.places.len().saturating_mul(DENSEST));
    if look.at(connection, on_conflict, range.texts(batch.channel_id()), limit).await? >= limit {
        look = Look::new(batch, answers_for.is_some());
        // Not all of the range was seen.
        look.found.lacks = answers_for.is_some();
        let each: Vec<_> = look.places.iter().map(|(id, _)| id.to_string()).collect();
        let all = each.len();
        let each = IdRanges { channel_id: batch.channel_id(), lows: each.clone(), highs: each };
        look.at(connection, on_conflict, each, all).await?;
    }
    Ok(look.found())
}

struct Look<'a> {
    batch: &'a SealedBatch,
    looks_for_missing: bool,
    /// Ids in their order as numbers, with their place; each once.
    places: Vec<(Snowflake, usize)>,
    archived: Vec<bool>,
    found: Found,
}

impl<'a> Look<'a> {
    fn new(batch: &'a SealedBatch, looks_for_missing: bool) -> Self {
        let mut places: Vec<_> = batch.ids().enumerate().map(|(place, id)| (id, place)).collect();
        places.sort(); // nearly always sorted already; the first of equal ids stays first
        places.dedup_by_key(|(id, _)| *id);
        let archived = vec![false; batch.ids().len()];
        Self { batch, looks_for_missing, places, archived, found: Found::default() }
    }

    /// From the lowest to the highest id; `None`: there are no rows.
    fn range(&self) -> Option<IdRange> {
        let (lowest, highest) = (self.places.first()?, self.places.last()?);
        IdRange::new(lowest.0, highest.0)
    }

    fn place(&self, id: Snowflake) -> Option<usize> {
        let at = self.places.binary_search_by_key(&id, |(id, _)| *id).ok()?;
        Some(self.places[at].1)
    }

    /// Takes what is archived in these ranges. Returns how many messages, at most `limit`.
    async fn at(
        &mut self,
        connection: &mut PgConnection,
        on_conflict: OnConflict,
        ranges: IdRanges,
        limit: usize,
    ) -> Result<usize, StoreError> {
        let at_most = i64::try_from(limit).unwrap_or(i64::MAX);
        if on_conflict == OnConflict::Ignore {
            let archived = archived::archived_ids(connection, &ranges, at_most).await?;
            let mut seen = 0;
            for id in archived.iter() {
                seen += 1;
                if let Some(place) = id.parse().ok().and_then(|id| self.place(id)) {
                    self.archived[place] = true;
                }
            }
            return Ok(seen);
        }
        let mut versions =
            archived::archived_versions(connection, &ranges, at_most, self.batch.newest_export());
        let mut seen = 0;
        while let Some(version) = versions.try_next().await? {
            self.compare(&version);
            seen += 1;
        }
        Ok(seen)
    }

    /// What follows from one archived message.
    fn compare(&mut self, version: &ArchivedVersion) {
        let ArchivedVersion { is_older, is_marked, .. } = *version;
        let id = version.message_id.parse::<Snowflake>().ok();
        let Some(place) = id.and_then(|id| self.place(id)) else {
            self.found.lacks |= self.looks_for_missing && is_older && !is_marked;
            return;
        };
        self.archived[place] = true;
        if is_marked {
            self.found.returned.extend(id);
        }
        let archived = Essence {
            content: version.content.as_deref(),
            edited: version.edited.as_deref(),
            is_pinned: version.is_pinned,
            attachments: version.attachments.as_deref(),
            embeds: version.embeds.as_deref(),
            reactions: version.reactions.as_deref(),
        };
        // It was read when it was pushed.
        let message = Message::parse(self.batch.raw(place)).ok();
        if is_older && message.is_some_and(|message| Essence::of(&message).differs(&archived)) {
            self.found.changed.push(place);
        }
    }

    fn found(mut self) -> Found {
        let archived = &self.archived;
        self.found.new =
            self.places.iter().map(|(_, place)| *place).filter(|place| !archived[*place]).collect();
        self.found.new.sort_unstable();
        self.found.changed.sort_unstable();
        self.found
    }
}
