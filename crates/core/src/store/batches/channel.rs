//! The description of a channel, from the head of DCE's documents.

use sqlx::postgres::PgConnection;

use crate::ids::Snowflake;
use crate::store::{StoreError, exactly_one};

/// A channel as DCE describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Channel {
    /// The channel or thread.
    pub channel_id: Snowflake,
    /// `0` for direct messages.
    pub guild_id: Option<String>,
    pub guild_name: Option<String>,
    pub name: Option<String>,
    /// DCE's name for the type, or a number.
    pub kind: Option<String>,
    pub topic: Option<String>,
    /// The parent: a thread's channel or forum, a channel's category.
    pub category_id: Option<String>,
    /// The parent's name.
    pub category: Option<String>,
}

/// The age of a description.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DescriptionAge {
    /// Describes the channel as it is: replaces the stored description.
    Current,
    /// Describes it as it was: fills in unknown fields only.
    Past,
}

/// Writes the description and adds to the number of archived messages, in the transaction that writes them.
pub async fn upsert(
    connection: &mut PgConnection,
    channel: &Channel,
    age: DescriptionAge,
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
        age == DescriptionAge::Current,
    )
    .execute(connection)
    .await?;
    exactly_one("upsert channel", written.rows_affected())
}
