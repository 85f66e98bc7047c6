//! What of a batch is erased for good, and therefore not written.

use dce_core::ids::Snowflake;
use dce_core::store::StoreError;
use dce_core::store::retention::erasures::{self, Erased};
use sqlx::postgres::PgConnection;

use super::batch::SealedBatch;
use super::probe::Found;

/// Takes out what is erased; returns how many messages. Inside of a transaction that [`erasures::BEGIN_BATCH`] began.
pub(super) async fn leave_out(
    connection: &mut PgConnection,
    batch: &SealedBatch,
    found: &mut Found,
) -> Result<u64, StoreError> {
    if found.new.is_empty() && found.changed.is_empty() || !erasures::any(connection).await? {
        return Ok(0);
    }
    let places = || found.new.iter().chain(&found.changed);
    let mut authors: Vec<_> = places().filter_map(|place| batch.author_id(*place)).collect();
    authors.sort_unstable();
    authors.dedup();
    let authors: Vec<_> = authors.into_iter().map(str::to_owned).collect();
    let ids: Vec<_> = batch.ids().collect();
    let messages: Vec<_> = places().map(|place| ids[*place].to_string()).collect();
    let erased = erasures::find_among(connection, batch.channel_id(), &authors, &messages).await?;
    Ok(drop_erased(found, &erased, |place| (ids[place], batch.author_id(place))))
}

/// The decision. `message`: id and author of the message at a place.
fn drop_erased<'a>(
    found: &mut Found,
    erased: &Erased,
    message: impl Fn(usize) -> (Snowflake, Option<&'a str>),
) -> u64 {
    let stays = |place: &usize| {
        let (id, author) = message(*place);
        !erased.channel
            && !erased.messages.contains(&id)
            && !author.is_some_and(|author| erased.authors.contains(author))
    };
    let before = found.new.len() + found.changed.len();
    found.new.retain(stays);
    found.changed.retain(stays);
    (before - found.new.len() - found.changed.len()) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Message n has the id n + 100 and is of author n % 3; every third has none.
    const AUTHORS: [Option<&str>; 3] = [None, Some("1"), Some("2")];

    fn left(erased: &Erased) -> (Vec<usize>, Vec<usize>, u64) {
        let mut found = Found { new: vec![0, 1, 2, 3, 5], changed: vec![4, 6, 7], ..Found::default() };
        let number = drop_erased(&mut found, erased, |place| {
            (Snowflake::new(place as u64 + 100), AUTHORS[place % AUTHORS.len()])
        });
        (found.new, found.changed, number)
    }

    #[test]
    fn nothing_erased_leaves_everything() {
        assert_eq!(left(&Erased::default()), (vec![0, 1, 2, 3, 5], vec![4, 6, 7], 0));
    }

    #[test]
    fn what_an_erased_author_wrote_is_neither_inserted_nor_replaced() {
        let erased = Erased { authors: ["1".to_owned()].into(), ..Erased::default() };
        assert_eq!(left(&erased), (vec![0, 2, 3, 5], vec![6], 3));
    }

    #[test]
    fn an_erased_message_is_left_out_whoever_wrote_it() {
        let ids = [100, 107, 999].map(Snowflake::new);
        let erased = Erased { messages: ids.into(), ..Erased::default() };
        assert_eq!(left(&erased), (vec![1, 2, 3, 5], vec![4, 6], 2));
    }

    #[test]
    fn of_an_erased_channel_nothing_is_left() {
        assert_eq!(left(&Erased { channel: true, ..Erased::default() }), (vec![], vec![], 8));
    }
}
