//! What is known of channels, from the head of DCE's documents.

use std::collections::HashMap;

use sqlx::postgres::{PgConnection, PgPool};
use uuid::Uuid;

use super::{StoreError, exactly_one};
use crate::ids::Snowflake;

/// A channel as DCE describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Channel {
    /// The channel or thread.
    pub channel_id: Snowflake,
    /// Its server; `0` for direct messages.
    pub guild_id: Option<String>,
    /// The server's name.
    pub guild_name: Option<String>,
    /// The channel's name.
    pub name: Option<String>,
    /// DCE's name for its type, or a number.
    pub kind: Option<String>,
    /// Its topic.
    pub topic: Option<String>,
    /// Its parent: a thread's channel or forum, a channel's category.
    pub category_id: Option<String>,
    /// The parent's name.
    pub category: Option<String>,
}

/// How a description relates to what is known already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Described {
    /// As the channel is now: replaces it.
    Now,
    /// As it was at some time: fills in what is not known.
    Once,
}

/// Writes the description and adds to the number of archived messages; inside the transaction that writes them.
pub async fn upsert(
    connection: &mut PgConnection,
    channel: &Channel,
    described: Described,
    archived: i64,
) -> Result<(), StoreError> {
    let written = sqlx::query!(
        "INSERT INTO channels AS c (channel_id, guild_id, guild_name, name, type, topic, category_id, category, archived_count)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
         ON CONFLICT (channel_id) DO UPDATE
            SET guild_id = CASE WHEN $10 THEN excluded.guild_id ELSE coalesce(c.guild_id, excluded.guild_id) END,
                guild_name = CASE WHEN $10 THEN excluded.guild_name ELSE coalesce(c.guild_name, excluded.guild_name) END,
                name = CASE WHEN $10 THEN excluded.name ELSE coalesce(c.name, excluded.name) END,
                type = CASE WHEN $10 THEN excluded.type ELSE coalesce(c.type, excluded.type) END,
                topic = CASE WHEN $10 THEN excluded.topic ELSE coalesce(c.topic, excluded.topic) END,
                category_id = CASE WHEN $10 THEN excluded.category_id ELSE coalesce(c.category_id, excluded.category_id) END,
                category = CASE WHEN $10 THEN excluded.category ELSE coalesce(c.category, excluded.category) END,
                archived_count = c.archived_count + excluded.archived_count, updated_at = clock_timestamp()",
        channel.channel_id.to_string(),
        channel.guild_id,
        channel.guild_name,
        channel.name,
        channel.kind,
        channel.topic,
        channel.category_id,
        channel.category,
        archived,
        described == Described::Now,
    )
    .execute(connection)
    .await?;
    exactly_one("upsert channel", written.rows_affected())
}

/// After a completed run: everything up to its cursor is archived without a gap, if the run was not filtered and began
/// at the channel's beginning or where it was covered already. Never backwards; ids compared as numbers.
pub(crate) async fn cover(connection: &mut PgConnection, run_id: Uuid) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE channels c SET covered_to_id = r.cursor_message_id, updated_at = clock_timestamp()
           FROM export_channels r JOIN exports e USING (job_id)
          WHERE r.id = $1 AND r.kind = 'channel' AND c.channel_id = r.channel_id AND r.cursor_message_id IS NOT NULL
            AND e.options ->> 'filter' IS NULL
            AND (c.covered_to_id IS NULL OR c.covered_to_id::numeric < r.cursor_message_id::numeric)
            AND (e.start_at IS NULL
                 OR c.covered_to_id::numeric >= trunc(extract(epoch FROM e.start_at) * 1000 - 1420070400000) * 4194304 - 1)",
        run_id
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Parents of those channels for which one is known: a thread counts as its parent.
pub async fn parents(
    pool: &PgPool,
    channels: &[Snowflake],
) -> Result<HashMap<Snowflake, Snowflake>, StoreError> {
    let ids: Vec<String> = channels.iter().map(Snowflake::to_string).collect();
    let rows = sqlx::query!(
        r#"SELECT channel_id, category_id AS "category_id!" FROM channels
            WHERE channel_id = ANY ($1) AND category_id IS NOT NULL AND type LIKE '%Thread%'"#,
        &ids
    )
    .fetch_all(pool)
    .await?;
    Ok(rows
        .into_iter()
        .filter_map(|row| Some((row.channel_id.parse().ok()?, row.category_id.parse().ok()?)))
        .collect())
}
