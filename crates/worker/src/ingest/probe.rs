//! A look at what is archived of a batch, before anything is written. A hint that saves work, not the guarantee: that are
//! the key and the comparison of times in the writing statements.
//!
//! The batch's range of ids is read from the key's index in one go: several times faster than looking for each id
//! (measured: a third of the time). Where the range holds much more than the batch, as with a filter, each id is looked for.

use std::sync::LazyLock;

use dce_core::export::conflict::OnConflict;
use dce_core::ids::Snowflake;
use dce_core::store::StoreError;
use futures_util::TryStreamExt;
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{AssertSqlSafe, Row};

use super::batch::SealedBatch;
use super::essence::Essence;
use super::id_range::IdRange;
use super::message::Message;

/// A range is given up when it holds so many times more than the batch.
const DENSEST: usize = 2;
/// But not below so many.
const DENSE_AT_LEAST: usize = 1000;

/// With at most $2 rows. OFFSET keeps the subquery one: joined instead, a plan for any parameters reads the whole channel
/// (measured: 60 times slower).
const IN_RANGE: &str = "FROM unnest($3::text[], $4::text[]) AS r (low, high)
    CROSS JOIN LATERAL (SELECT m.message_id, m.content, m.raw, m.attachments, m.embeds, m.exported_at, m.missing_since
                          FROM messages m
                         WHERE m.channel_id = $1 AND m.message_id BETWEEN r.low AND r.high
                           AND length(m.message_id) = length(r.low) OFFSET 0) m
    LIMIT $2";
/// What an [`Essence`] and the decision need; the batch is of the time $5.
const VERSION: &str =
    "m.message_id, m.content, m.raw ->> 'timestampEdited', coalesce(m.raw ->> 'isPinned' = 'true', false),
    m.attachments::text, m.embeds::text, nullif((m.raw -> 'reactions')::text, 'null'),
    coalesce(m.exported_at < $5, $5 IS NOT NULL), m.missing_since IS NOT NULL";

static IDS: LazyLock<String> = LazyLock::new(|| {
    format!("SELECT coalesce(array_agg(message_id), '{{}}') FROM (SELECT m.message_id {IN_RANGE}) m")
});
static VERSIONS: LazyLock<String> = LazyLock::new(|| format!("SELECT {VERSION} {IN_RANGE}"));
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
    let own = batch.summary().span.and_then(|span| IdRange::new(span.lowest_id, span.highest_id));
    let Some(range) = answers_for.or(own) else { return Ok(Found::default()) };
    let mut look = Look::new(batch, answers_for.is_some());
    let limit = DENSE_AT_LEAST.max(look.places.len().saturating_mul(DENSEST));
    if look.at(connection, on_conflict, range.texts(), limit).await? >= limit {
        look = Look::new(batch, answers_for.is_some());
        // Not all of the range was seen.
        look.found.lacks = answers_for.is_some();
        let each: Vec<_> = look.places.iter().map(|(id, _)| id.to_string()).collect();
        let all = each.len();
        look.at(connection, on_conflict, (each.clone(), each), all).await?;
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

    fn place(&self, id: Snowflake) -> Option<usize> {
        let at = self.places.binary_search_by_key(&id, |(id, _)| *id).ok()?;
        Some(self.places[at].1)
    }

    /// Takes what is archived from these ids to those, in pairs. Returns how many messages, at most `limit`.
    async fn at(
        &mut self,
        connection: &mut PgConnection,
        on_conflict: OnConflict,
        (lows, highs): (Vec<String>, Vec<String>),
        limit: usize,
    ) -> Result<usize, StoreError> {
        let channel = self.batch.channel_id().to_string();
        let at_most = i64::try_from(limit).unwrap_or(i64::MAX);
        if on_conflict == OnConflict::Ignore {
            let archived: Vec<String> = sqlx::query_scalar(AssertSqlSafe(IDS.as_str()))
                .bind(channel)
                .bind(at_most)
                .bind(lows)
                .bind(highs)
                .fetch_one(connection)
                .await?;
            for id in &archived {
                if let Some(place) = id.parse().ok().and_then(|id| self.place(id)) {
                    self.archived[place] = true;
                }
            }
            return Ok(archived.len());
        }
        let mut versions = sqlx::query(AssertSqlSafe(VERSIONS.as_str()))
            .bind(channel)
            .bind(at_most)
            .bind(lows)
            .bind(highs)
            .bind(self.batch.newest_export())
            .fetch(connection);
        let mut seen = 0;
        while let Some(version) = versions.try_next().await? {
            self.compare(&version)?;
            seen += 1;
        }
        Ok(seen)
    }

    /// What follows from one archived message.
    fn compare(&mut self, row: &PgRow) -> Result<(), StoreError> {
        let (is_older, is_marked): (bool, bool) = (row.try_get(7)?, row.try_get(8)?);
        let id = row.try_get::<&str, _>(0)?.parse::<Snowflake>().ok();
        let Some(place) = id.and_then(|id| self.place(id)) else {
            self.found.lacks |= self.looks_for_missing && is_older && !is_marked;
            return Ok(());
        };
        self.archived[place] = true;
        if is_marked {
            self.found.returned.extend(id);
        }
        let archived = Essence {
            content: row.try_get(1)?,
            edited: row.try_get(2)?,
            is_pinned: row.try_get(3)?,
            attachments: row.try_get(4)?,
            embeds: row.try_get(5)?,
            reactions: row.try_get(6)?,
        };
        // It was read when it was pushed.
        let message = Message::parse(self.batch.raw(place)).ok();
        if is_older && message.is_some_and(|message| Essence::of(&message).differs(&archived)) {
            self.found.changed.push(place);
        }
        Ok(())
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
