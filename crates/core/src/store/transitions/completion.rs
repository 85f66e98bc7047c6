//! The completion of a run: its last checkpoint, and the proof that Discord has nothing more.

use sqlx::postgres::PgConnection;
use uuid::Uuid;

use super::checkpoint::Checkpoint;
use crate::export::warnings::WarningKind;
use crate::ids::Snowflake;
use crate::store::{StoreError, exactly_one};

/// Everything that is written in the transaction that completes a run, besides its end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Completion {
    /// `None`: nobody asked Discord.
    pub verified: Option<Verified>,
    /// Whether clients are warned that nobody asked.
    pub warn_not_verified: bool,
    /// The final cursor and counts; `None`: an earlier transaction wrote them.
    pub last: Option<Checkpoint>,
}

/// Discord's answer that it has nothing beyond what the run has read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified {
    /// Its newest message below the run's end; `None`: there is none.
    pub newest: Option<Snowflake>,
}

/// Records proof and warning of a run that this transaction has completed.
pub(super) async fn record_verification(
    connection: &mut PgConnection,
    run_id: Uuid,
    completion: &Completion,
) -> Result<(), StoreError> {
    if let Some(Verified { newest }) = completion.verified {
        let verified = sqlx::query!(
            "UPDATE export_channels SET verified_at = clock_timestamp(), verified_newest_id = $2 WHERE id = $1",
            run_id,
            newest.map(|id| id.to_string()),
        )
        .execute(&mut *connection)
        .await?;
        exactly_one("record proof", verified.rows_affected())?;
    }
    if completion.warn_not_verified {
        let warned = sqlx::query!(
            "UPDATE export_channels SET warnings = warnings || $2::jsonb WHERE id = $1",
            run_id,
            WarningKind::NotVerified.to_json(),
        )
        .execute(connection)
        .await?;
        exactly_one("warn of missing proof", warned.rows_affected())?;
    }
    Ok(())
}
