//! Writes a batch's rows in the caller's transaction.

use dce_core::store::StoreError;
use dce_core::store::batches::missing;
use dce_ingest::copy::batch::SealedBatch;
use sqlx::postgres::PgConnection;

use super::copy;
use super::existing_rows::BatchDiff;

/// How new messages are inserted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum InsertMethod {
    /// COPY into `messages`. The key refuses the whole batch if one of its messages exists.
    Copy,
    /// COPY into a staging table, then `ON CONFLICT DO NOTHING`.
    Staged,
}

/// Numbers of written rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct RowCounts {
    pub(super) inserted: i64,
    pub(super) updated: i64,
}

/// The rows that a transaction has written.
#[derive(Debug, Default)]
pub(super) struct Written {
    pub(super) counts: RowCounts,
    /// Indexes of the inserted messages that count only because they are inserted.
    pub(super) read_again: Vec<usize>,
}

/// Inserts new messages and replaces changed ones.
pub(super) async fn write(
    connection: &mut PgConnection,
    batch: &SealedBatch,
    diff: &BatchDiff,
    method: InsertMethod,
    keep_versions: bool,
) -> Result<Written, StoreError> {
    let mut counts = RowCounts::default();
    let mut read_again: Vec<usize> =
        diff.new.iter().copied().filter(|index| batch.if_inserted(*index).is_some()).collect();
    if method == InsertMethod::Copy && !diff.new.is_empty() {
        counts.inserted = count(if diff.new.len() == batch.ids().len() {
            copy::insert(connection, batch.stream()).await?
        } else {
            copy::insert(connection, &batch.select(diff.new.iter().copied())).await?
        });
    }
    let staged: Vec<usize> = match method {
        InsertMethod::Copy => diff.changed.clone(),
        InsertMethod::Staged => diff.new.iter().chain(&diff.changed).copied().collect(),
    };
    if !staged.is_empty() {
        copy::stage(connection, &batch.select(staged)).await?;
        if method == InsertMethod::Staged {
            let ids: Vec<_> = batch.ids().collect();
            let asked: Vec<_> = read_again.iter().map(|index| ids[*index].to_string()).collect();
            let (inserted, found) = copy::insert_staged(connection, &asked).await?;
            counts.inserted = inserted;
            let mut asked = asked.iter();
            read_again.retain(|_| asked.next().is_some_and(|id| found.contains(id)));
        }
        if !diff.changed.is_empty() {
            counts.updated = count(copy::replace_with_staged(connection, keep_versions).await?);
        }
    }
    if !diff.returned.is_empty() {
        let returned: Vec<_> = diff.returned.iter().map(ToString::to_string).collect();
        missing::unmark_missing(connection, batch.channel_id(), &returned, batch.newest_export()).await?;
    }
    Ok(Written { counts, read_again })
}

fn count(rows: u64) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}
