//! Lookup of messages that are neither archived nor erased.

use sqlx::postgres::PgPool;

use crate::ids::Snowflake;
use crate::store::StoreError;

/// Returns those of the messages (each with its author) that the archive has no row of and that nobody erased.
pub async fn absent_ids(
    pool: &PgPool,
    channel_id: Snowflake,
    messages: impl IntoIterator<Item = (Snowflake, Option<Snowflake>)>,
) -> Result<Vec<Snowflake>, StoreError> {
    let (ids, authors): (Vec<_>, Vec<_>) = messages
        .into_iter()
        .map(|(id, author)| (id.to_string(), author.map_or_else(String::new, |author| author.to_string())))
        .unzip();
    let absent = sqlx::query_scalar!(
        r#"SELECT m.id AS "id!" FROM unnest($2::text[], $3::text[]) AS m (id, author)
            WHERE NOT EXISTS (SELECT FROM messages a WHERE a.channel_id = $1 AND a.message_id = m.id)
              AND NOT EXISTS (SELECT FROM erasures e
                               WHERE (e.kind = 'channel' AND e.subject_id = $1) OR (e.kind = 'message' AND e.subject_id = m.id)
                                  OR (e.kind = 'author' AND e.subject_id = m.author))"#,
        channel_id.to_string(),
        &ids,
        &authors,
    )
    .fetch_all(pool)
    .await?;
    absent
        .iter()
        .map(|id| {
            id.parse().map_err(|error: crate::ids::NotASnowflake| sqlx::Error::Decode(error.into()).into())
        })
        .collect()
}
