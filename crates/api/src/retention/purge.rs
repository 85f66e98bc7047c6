//! Erasing for good.

use std::time::Duration;

use dce_core::db::{DatabaseUrl, PgConnection};
use dce_core::store::retention::batched_deletion::DeletedRows;
use dce_core::store::retention::erasures::{self, Subject};
use dce_core::store::retention::purge::{self, Purge};

use super::arguments::PurgeSettings;
use super::pace::Pace;
use super::{NOTHING_DONE, RetentionError, connect, tell, words};

/// A batch takes 30 s at most, and one that was left open is ended by the server after a minute.
const BATCHES_END_WITHIN: Duration = Duration::from_secs(90);

/// Erases the subject, or counts what that would delete.
pub async fn purge(url: &DatabaseUrl, settings: PurgeSettings) -> Result<(), RetentionError> {
    let PurgeSettings { subject, yes } = settings;
    let connection = &mut connect(url).await?;
    if yes {
        let removed = erase(connection, subject).await?;
        tell(&format!("{subject}: {} erased.", words::rows(removed)));
        tell(
            "Exports and imports leave out what they find of it, until its row in the table erasures is deleted.",
        );
    } else {
        let found = purge::count(connection, subject).await?;
        let (rows, channels) = (words::rows(found.rows), words::number(found.channels, "channel"));
        tell(&format!(
            "{subject}: {rows} in {channels} would be erased, and left out by later exports and imports."
        ));
        tell(NOTHING_DONE);
    }
    Ok(())
}

async fn erase(connection: &mut PgConnection, subject: Subject) -> Result<DeletedRows, RetentionError> {
    erasures::record(connection, subject).await?;
    if !erasures::wait_for_batches(connection, BATCHES_END_WITHIN).await? {
        return Err(RetentionError::BatchUnderWay { subject, limit: BATCHES_END_WITHIN });
    }
    let mut pace = Pace::begin();
    let mut removed = DeletedRows::default();
    let mut purge = Purge::begin(connection, subject).await?;
    while let Some(more) = pace.step(connection, async |session| purge.next(session).await).await? {
        removed += more;
        pace.tell(|| words::rows(removed));
    }
    Ok(removed)
}
