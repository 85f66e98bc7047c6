//! The checks after a seed.

mod archive;
mod leftovers;
mod tables;
#[cfg(test)]
mod tests;

use sqlx::AssertSqlSafe;
use sqlx::postgres::PgExecutor;

use crate::event_log::{Violation, ViolationKind};
use crate::system::SystemUnderTest;

pub(crate) use leftovers::{panics, processes_files_and_sessions};
pub(crate) use tables::failed_without_cause;

/// Number of offenders that a message lists; there may be thousands.
const NAMED: usize = 5;

/// A rule, as the query that returns one line of text for each offender.
struct Rule {
    kind: ViolationKind,
    description: &'static str,
    offenders: &'static str,
}

impl Rule {
    async fn check(&self, database: impl PgExecutor<'_>) -> sqlx::Result<Option<Violation>> {
        let offenders: Vec<String> =
            sqlx::query_scalar(AssertSqlSafe(self.offenders)).fetch_all(database).await?;
        Ok((!offenders.is_empty()).then(|| {
            let named = offenders.iter().take(NAMED).cloned().collect::<Vec<_>>().join("; ");
            Violation::new(self.kind, format!("{} ({}): {named}", self.description, offenders.len()))
        }))
    }
}

/// Checks all tables once all exports have ended. `accepted`: the exports that the API answered with 202.
pub(crate) async fn tables_and_archive(system: &SystemUnderTest, accepted: &[String]) -> anyhow::Result<()> {
    archive::load_sources(system).await?;
    for rule in tables::RULES.iter().chain(archive::RULES) {
        if let Some(violation) = rule.check(&system.pool).await? {
            system.log.violation(violation.kind, violation.what);
        }
    }
    tables::accepted_are_there(system, accepted).await?;
    Ok(())
}
