//! Archived channels and threads.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sqlx::postgres::PgPool;

use super::like::contains_pattern;
use crate::ids::Snowflake;
use crate::store::StoreError;

/// An archived channel or thread; field names are column names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchivedChannel {
    pub channel_id: String,
    pub guild_id: Option<String>,
    pub guild_name: Option<String>,
    pub name: Option<String>,
    pub r#type: Option<String>,
    pub topic: Option<String>,
    pub category_id: Option<String>,
    pub category: Option<String>,
    pub archived_count: i64,
    pub covered_to_id: Option<String>,
    pub updated_at: DateTime<Utc>,
}

/// The filter of a list; all conditions hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ChannelFilters {
    pub guild_id: Option<Snowflake>,
    /// Part of the name, case-insensitive.
    pub name: Option<String>,
}

/// Lists channels in the order of their ids as numbers, after this one, at most so many.
pub async fn list(
    pool: &PgPool,
    filters: &ChannelFilters,
    after: Option<Snowflake>,
    at_most: i64,
) -> Result<Vec<ArchivedChannel>, StoreError> {
    let after = after.map(|id| id.to_string());
    let channels = sqlx::query_as!(
        ArchivedChannel,
        r#"SELECT channel_id, guild_id, guild_name, name, type, topic, category_id, category, archived_count,
                  covered_to_id, updated_at
             FROM channels
            WHERE ($1::text IS NULL OR guild_id = $1) AND ($2::text IS NULL OR name ILIKE $2)
              AND ($3::text IS NULL OR (length(channel_id), channel_id COLLATE "C") > (length($3), $3))
            ORDER BY length(channel_id), channel_id COLLATE "C" LIMIT $4"#,
        filters.guild_id.map(|id| id.to_string()),
        filters.name.as_deref().map(contains_pattern),
        after,
        at_most,
    )
    .fetch_all(pool)
    .await?;
    Ok(channels)
}

pub async fn find(pool: &PgPool, channel_id: Snowflake) -> Result<Option<ArchivedChannel>, StoreError> {
    let channel = sqlx::query_as!(
        ArchivedChannel,
        "SELECT channel_id, guild_id, guild_name, name, type, topic, category_id, category, archived_count,
                covered_to_id, updated_at
           FROM channels WHERE channel_id = $1",
        channel_id.to_string()
    )
    .fetch_optional(pool)
    .await?;
    Ok(channel)
}

/// Finds the known parents of threads among these channels: a thread counts as its parent.
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
