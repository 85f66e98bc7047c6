//! Keeps erased messages out of the archive.

use dce_core::ids::Snowflake;
use dce_core::store::StoreError;
use dce_core::store::retention::erasures::{self, Erased};
use dce_ingest::copy::batch::SealedBatch;
use sqlx::postgres::PgConnection;

use super::existing_rows::BatchDiff;

/// Removes erased messages from the diff and returns the number of those that count. Runs in a transaction that [`erasures::BEGIN_BATCH`] began.
pub(super) async fn remove_erased(
    connection: &mut PgConnection,
    batch: &SealedBatch,
    diff: &mut BatchDiff,
) -> Result<u64, StoreError> {
    if diff.new.is_empty() && diff.changed.is_empty() || !erasures::any(connection).await? {
        return Ok(0);
    }
    let rows = || diff.new.iter().chain(&diff.changed);
    let mut authors: Vec<_> = rows().filter_map(|row| batch.author_id(*row)).collect();
    authors.sort_unstable();
    authors.dedup();
    let authors: Vec<_> = authors.into_iter().map(str::to_owned).collect();
    let ids: Vec<_> = batch.ids().collect();
    let messages: Vec<_> = rows().map(|row| ids[*row].to_string()).collect();
    let erased = erasures::find_among(connection, batch.channel_id(), &authors, &messages).await?;
    let removed = remove(diff, &erased, |row| (ids[row], batch.author_id(row)));
    Ok(removed.into_iter().filter(|row| batch.is_counted(*row)).count() as u64)
}

/// Removes erased rows from the diff and returns them. `message`: returns id and author of the message in a row.
fn remove<'a>(
    diff: &mut BatchDiff,
    erased: &Erased,
    message: impl Fn(usize) -> (Snowflake, Option<&'a str>),
) -> Vec<usize> {
    let is_erased = |row: &mut usize| {
        let (id, author) = message(*row);
        erased.channel
            || erased.messages.contains(&id)
            || author.is_some_and(|author| erased.authors.contains(author))
    };
    let mut removed: Vec<_> = diff.new.extract_if(.., is_erased).collect();
    removed.extend(diff.changed.extract_if(.., is_erased));
    removed
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Message n has id n + 100 and author n % 3; every third has none.
    const AUTHORS: [Option<&str>; 3] = [None, Some("1"), Some("2")];

    fn left(erased: &Erased) -> (Vec<usize>, Vec<usize>, usize) {
        let mut diff = BatchDiff { new: vec![0, 1, 2, 3, 5], changed: vec![4, 6, 7], ..BatchDiff::default() };
        let removed =
            remove(&mut diff, erased, |row| (Snowflake::new(row as u64 + 100), AUTHORS[row % AUTHORS.len()]));
        (diff.new, diff.changed, removed.len())
    }

    #[test]
    fn without_erasures_every_message_stays() {
        assert_eq!(left(&Erased::default()), (vec![0, 1, 2, 3, 5], vec![4, 6, 7], 0));
    }

    #[test]
    fn messages_of_an_erased_author_are_neither_inserted_nor_replaced() {
        let erased = Erased { authors: ["1".to_owned()].into(), ..Erased::default() };
        assert_eq!(left(&erased), (vec![0, 2, 3, 5], vec![6], 3));
    }

    #[test]
    fn an_erased_message_is_removed_whoever_wrote_it() {
        let ids = [100, 107, 999].map(Snowflake::new);
        let erased = Erased { messages: ids.into(), ..Erased::default() };
        assert_eq!(left(&erased), (vec![1, 2, 3, 5], vec![4, 6], 2));
    }

    #[test]
    fn no_message_of_an_erased_channel_stays() {
        assert_eq!(left(&Erased { channel: true, ..Erased::default() }), (vec![], vec![], 8));
    }
}
