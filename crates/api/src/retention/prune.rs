//! Deleting what is old.

use chrono::{DateTime, Utc};
use dce_core::db::{DatabaseUrl, PgConnection};
use dce_core::ids::Snowflake;
use dce_core::store::retention::batched_deletion::DeletedRows;
use dce_core::store::retention::prune::{self, DeletedExports, MessagePruning};

use super::arguments::PruneSettings;
use super::pace::Pace;
use super::{NOTHING_DONE, RetentionError, connect, tell, words};

/// Deletes what is older than asked for, or counts it.
pub async fn prune(url: &DatabaseUrl, settings: &PruneSettings) -> Result<(), RetentionError> {
    let connection = &mut connect(url).await?;
    let done = if settings.yes { "deleted" } else { "would be deleted" };
    if let Some(age) = &settings.messages {
        let before = prune::time_ago(connection, age.span).await?;
        let found = if settings.yes {
            delete_messages(connection, settings.channel, before).await?
        } else {
            prune::count_messages(connection, settings.channel, before).await?
        };
        let place = settings.channel.map_or_else(String::new, |channel| format!(" of channel {channel}"));
        tell(&format!("{}{place}, sent more than {} ago: {done}.", words::rows(found), age.text));
    }
    if let Some(age) = &settings.exports {
        let before = prune::time_ago(connection, age.span).await?;
        let found = if settings.yes {
            delete_exports(connection, before).await?
        } else {
            prune::count_exports(connection, before).await?
        };
        tell(&format!("{}, ended more than {} ago: {done}.", words::exports(found), age.text));
    }
    if !settings.yes {
        tell(NOTHING_DONE);
    }
    Ok(())
}

async fn delete_messages(
    connection: &mut PgConnection,
    channel: Option<Snowflake>,
    before: DateTime<Utc>,
) -> Result<DeletedRows, RetentionError> {
    let mut pace = Pace::begin();
    let mut removed = DeletedRows::default();
    let mut old = MessagePruning::begin(connection, channel, before).await?;
    while let Some(more) = pace.step(connection, async |session| old.next(session).await).await? {
        removed += more;
        pace.tell(|| words::rows(removed));
    }
    Ok(removed)
}

async fn delete_exports(
    connection: &mut PgConnection,
    before: DateTime<Utc>,
) -> Result<DeletedExports, RetentionError> {
    let mut pace = Pace::begin();
    let mut removed = DeletedExports::default();
    loop {
        let more =
            pace.step(connection, async |session| prune::delete_exports(session, before).await).await?;
        if more.exports == 0 {
            return Ok(removed);
        }
        removed += more;
        pace.tell(|| words::exports(removed));
    }
}
