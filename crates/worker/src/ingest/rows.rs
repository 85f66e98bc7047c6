//! Writes a batch's rows, inside of the caller's transaction.

use dce_core::store::StoreError;
use dce_core::store::batches::{copy, missing};
use sqlx::postgres::PgConnection;

use super::batch::SealedBatch;
use super::probe::Found;

/// How new messages are inserted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// By COPY, which the key refuses as a whole if one of them is there after all.
    Direct,
    /// By way of a staging table, whatever is there.
    Staged,
}

/// Rows that were written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) inserted: i64,
    pub(super) updated: i64,
}

/// Inserts what is new, replaces what has changed.
pub(super) async fn write(
    connection: &mut PgConnection,
    batch: &SealedBatch,
    found: &Found,
    way: Way,
    keep_versions: bool,
) -> Result<Written, StoreError> {
    let mut written = Written::default();
    if way == Way::Direct && !found.new.is_empty() {
        written.inserted = count(if found.new.len() == batch.ids().len() {
            copy::insert(connection, batch.stream()).await?
        } else {
            copy::insert(connection, &batch.select(found.new.iter().copied())).await?
        });
    }
    let staged: Vec<usize> = match way {
        Way::Direct => found.changed.clone(),
        Way::Staged => found.new.iter().chain(&found.changed).copied().collect(),
    };
    if !staged.is_empty() {
        copy::stage(connection, &batch.select(staged)).await?;
        if way == Way::Staged {
            written.inserted = count(copy::insert_staged(connection).await?);
        }
        if !found.changed.is_empty() {
            written.updated = count(copy::replace_with_staged(connection, keep_versions).await?);
        }
    }
    if !found.returned.is_empty() {
        let returned: Vec<_> = found.returned.iter().map(ToString::to_string).collect();
        missing::unmark_missing(connection, batch.channel_id(), &returned, batch.newest_export()).await?;
    }
    Ok(written)
}

fn count(rows: u64) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}
