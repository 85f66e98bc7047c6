//! What must hold after a seed, whatever was done to the service.

mod archive;
mod left_over;
mod tables;
#[cfg(test)]
mod tests;

use std::path::Path;

use dce_testkit::scenario::Scenario;
use sqlx::AssertSqlSafe;
use sqlx::postgres::PgExecutor;

use crate::journal::{Breach, Violation};
use crate::world::World;

pub(crate) use left_over::{panics, processes_files_and_sessions};
pub(crate) use tables::failed_without_cause;

/// Offenders that a message names; there may be thousands.
const NAMED: usize = 5;

/// A rule as the query of those that break it, one line of text for each.
struct Rule {
    breach: Breach,
    says: &'static str,
    offenders: &'static str,
}

impl Rule {
    async fn check(&self, database: impl PgExecutor<'_>) -> sqlx::Result<Option<Violation>> {
        let offenders: Vec<String> =
            sqlx::query_scalar(AssertSqlSafe(self.offenders)).fetch_all(database).await?;
        Ok((!offenders.is_empty()).then(|| {
            let named = offenders.iter().take(NAMED).cloned().collect::<Vec<_>>().join("; ");
            Violation::new(self.breach, format!("{} ({}): {named}", self.says, offenders.len()))
        }))
    }
}

/// Everything that tables say, once all exports have ended. `accepted`: the exports that the API answered 202 for.
pub(crate) async fn tables_and_archive(
    world: &World,
    scenario: &Scenario,
    accepted: &[String],
    directory: &Path,
) -> anyhow::Result<()> {
    archive::load_sources(world, scenario, directory).await?;
    for rule in tables::RULES.iter().chain(archive::RULES) {
        if let Some(violation) = rule.check(&world.pool).await? {
            world.journal.violated(violation.breach, violation.what);
        }
    }
    tables::accepted_are_there(world, accepted).await?;
    Ok(())
}
