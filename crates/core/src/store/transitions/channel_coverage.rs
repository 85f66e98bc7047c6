//! How far a channel is archived without a gap (`channels.covered_to_id`).

use sqlx::postgres::PgConnection;
use uuid::Uuid;

use crate::store::StoreError;

/// Moves a channel's coverage to the cursor of a completed run, if the run was not filtered and began at the channel's
/// beginning or below its present coverage. Never moves it backwards; ids are compared as numbers.
pub(super) async fn extend_coverage(connection: &mut PgConnection, run_id: Uuid) -> Result<(), StoreError> {
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
