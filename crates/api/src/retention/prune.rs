//! Deletes old messages and old exports.

use chrono::{DateTime, Utc};
use dce_core::db::{DatabaseUrl, PgConnection};
use dce_core::ids::Snowflake;
use dce_core::store::retention::batched_deletion::DeletedRows;
use dce_core::store::retention::prune::{self, DeletedExports, MessagePruning};

use super::arguments::PruneSettings;
use super::throttle::Throttle;
use super::{NOTHING_DONE, connect, format};
use crate::command_output::{CommandError, print};

/// Deletes what is older than the settings' ages, or counts it.
pub async fn prune(url: &DatabaseUrl, settings: &PruneSettings) -> Result<(), CommandError> {
    let connection = &mut connect(url).await?;
    let outcome = if settings.yes { "deleted" } else { "would be deleted" };
    if let Some(age) = &settings.messages {
        let before = prune::time_ago(connection, age.span).await?;
        let found = if settings.yes {
            delete_messages(connection, settings.channel, before).await?
        } else {
            prune::count_messages(connection, settings.channel, before).await?
        };
        let scope = settings.channel.map_or_else(String::new, |channel| format!(" of channel {channel}"));
        print(&format!("{}{scope}, sent more than {} ago: {outcome}.", format::rows(found), age.text));
    }
    if let Some(age) = &settings.exports {
        let before = prune::time_ago(connection, age.span).await?;
        let found = if settings.yes {
            delete_exports(connection, before).await?
        } else {
            prune::count_exports(connection, before).await?
        };
        print(&format!("{}, ended more than {} ago: {outcome}.", format::exports(found), age.text));
    }
    if !settings.yes {
        print(NOTHING_DONE);
    }
    Ok(())
}

async fn delete_messages(
    connection: &mut PgConnection,
    channel: Option<Snowflake>,
    before: DateTime<Utc>,
) -> Result<DeletedRows, CommandError> {
    let mut throttle = Throttle::start();
    let mut deleted = DeletedRows::default();
    let mut old = MessagePruning::begin(connection, channel, before).await?;
    while let Some(more) = throttle.step(connection, async |session| old.next(session).await).await? {
        deleted += more;
        throttle.report(|| format::rows(deleted));
    }
    Ok(deleted)
}

async fn delete_exports(
    connection: &mut PgConnection,
    before: DateTime<Utc>,
) -> Result<DeletedExports, CommandError> {
    let mut throttle = Throttle::start();
    let mut deleted = DeletedExports::default();
    loop {
        let more =
            throttle.step(connection, async |session| prune::delete_exports(session, before).await).await?;
        if more.exports == 0 {
            return Ok(deleted);
        }
        deleted += more;
        throttle.report(|| format::exports(deleted));
    }
}
