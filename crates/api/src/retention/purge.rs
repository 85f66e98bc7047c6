//! Erases an author, a channel or a message for good.

use std::time::Duration;

use dce_core::db::{DatabaseUrl, PgConnection};
use dce_core::store::retention::batched_deletion::DeletedRows;
use dce_core::store::retention::erasures::{self, Subject};
use dce_core::store::retention::purge::{self, Purge};

use super::arguments::PurgeSettings;
use super::throttle::Throttle;
use super::{NOTHING_DONE, connect, format};
use crate::command_output::{CommandError, print};

/// A batch takes at most 30 s; the server ends one that was left open after a minute.
const BATCHES_END_WITHIN: Duration = Duration::from_secs(90);

/// Erases the subject, or counts what an erasure would delete.
pub async fn purge(url: &DatabaseUrl, settings: PurgeSettings) -> Result<(), CommandError> {
    let PurgeSettings { subject, yes } = settings;
    let connection = &mut connect(url).await?;
    if yes {
        let deleted = erase(connection, subject).await?;
        print(&format!("{subject}: {} erased.", format::rows(deleted)));
        print("Exports and imports skip its messages until its row in the table erasures is deleted.");
    } else {
        let found = purge::count(connection, subject).await?;
        let (rows, channels) = (format::rows(found.rows), format::count(found.channels, "channel"));
        print(&format!(
            "{subject}: {rows} in {channels} would be erased, and later exports and imports would skip them."
        ));
        print(NOTHING_DONE);
    }
    Ok(())
}

async fn erase(connection: &mut PgConnection, subject: Subject) -> Result<DeletedRows, CommandError> {
    erasures::record(connection, subject).await?;
    if !erasures::wait_for_batches(connection, BATCHES_END_WITHIN).await? {
        return Err(CommandError::BatchInProgress { subject, waited: BATCHES_END_WITHIN });
    }
    let mut throttle = Throttle::start();
    let mut deleted = DeletedRows::default();
    let mut purge = Purge::begin(connection, subject).await?;
    while let Some(more) = throttle.step(connection, async |session| purge.next(session).await).await? {
        deleted += more;
        throttle.report(|| format::rows(deleted));
    }
    Ok(deleted)
}
