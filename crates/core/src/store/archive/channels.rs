//! What is archived: channels and threads as clients see them.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::postgres::PgPool;
use utoipa::ToSchema;

use super::statement::pattern;
use crate::ids::Snowflake;
use crate::store::StoreError;

/// An archived channel or thread; field names are column names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ChannelView {
    /// Its id.
    #[schema(example = "102938475647382910")]
    pub channel_id: String,
    /// Its server; `0` for direct messages.
    pub guild_id: Option<String>,
    /// The server's name.
    pub guild_name: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// DCE's name for its type, or a number.
    #[schema(example = "GuildTextChat")]
    pub r#type: Option<String>,
    /// Its topic.
    pub topic: Option<String>,
    /// Its parent: a thread's channel or forum, a channel's category.
    pub category_id: Option<String>,
    /// The parent's name.
    pub category: Option<String>,
    /// Messages that are archived.
    pub archived_count: i64,
    /// Archived without a gap up to this message.
    pub covered_to_id: Option<String>,
    /// When this was written last.
    pub updated_at: DateTime<Utc>,
}

/// Which channels are wanted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ChannelFilters {
    /// Of this server.
    pub guild_id: Option<Snowflake>,
    /// With this in the name, in whatever case.
    pub name: Option<String>,
}

/// Channels in the order of their ids as numbers, behind this one, at most so many.
pub async fn list(
    pool: &PgPool,
    filters: &ChannelFilters,
    behind: Option<Snowflake>,
    at_most: i64,
) -> Result<Vec<ChannelView>, StoreError> {
    let behind = behind.map(|id| id.to_string());
    let channels = sqlx::query_as!(
        ChannelView,
        r#"SELECT channel_id, guild_id, guild_name, name, type, topic, category_id, category, archived_count,
                  covered_to_id, updated_at
             FROM channels
            WHERE ($1::text IS NULL OR guild_id = $1) AND ($2::text IS NULL OR name ILIKE $2)
              AND ($3::text IS NULL OR (length(channel_id), channel_id COLLATE "C") > (length($3), $3))
            ORDER BY length(channel_id), channel_id COLLATE "C" LIMIT $4"#,
        filters.guild_id.map(|id| id.to_string()),
        filters.name.as_deref().map(pattern),
        behind,
        at_most,
    )
    .fetch_all(pool)
    .await?;
    Ok(channels)
}

/// One channel.
pub async fn find(pool: &PgPool, channel_id: Snowflake) -> Result<Option<ChannelView>, StoreError> {
    let channel = sqlx::query_as!(
        ChannelView,
        "SELECT channel_id, guild_id, guild_name, name, type, topic, category_id, category, archived_count,
                covered_to_id, updated_at
           FROM channels WHERE channel_id = $1",
        channel_id.to_string()
    )
    .fetch_optional(pool)
    .await?;
    Ok(channel)
}
