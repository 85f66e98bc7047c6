//! Reasons why due runs do not start, for clients and operators.

use sqlx::postgres::PgPool;

use crate::export::failure::{FailureKind, INVALID_TOKEN_WAITS};
use crate::store::StoreError;
use crate::store::workers::{self, Readiness};

/// A reason why runs do not start, which an operator must remove.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Blocker {
    pub code: &'static str,
    pub message: &'static str,
    pub action: &'static str,
}

impl Blocker {
    const READ_ONLY: Self = Self {
        code: "database_read_only",
        message: "The database is read-only, for instance because its disk quota is used up.",
        action: "Free space in the database or raise its quota. Exports then resume automatically within a minute.",
    };
    const NO_WORKER: Self = Self {
        code: "no_worker",
        message: "No worker is running.",
        action: "Start a worker. If it does not start, read its log. Waiting exports then start automatically.",
    };
    /// As [`FailureKind::InvalidToken`], but waiting exports need not be submitted again.
    const INVALID_TOKEN: Self = Self {
        code: FailureKind::InvalidToken.code(),
        message: FailureKind::InvalidToken.message(),
        action: INVALID_TOKEN_WAITS,
    };

    const fn new(problem: FailureKind) -> Self {
        match problem {
            FailureKind::InvalidToken => Self::INVALID_TOKEN,
            kind => Self { code: kind.code(), message: kind.message(), action: kind.action() },
        }
    }
}

/// A problem of the service and the number of workers that have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Problem {
    pub blocker: Blocker,
    pub workers: Option<usize>,
}

/// The current state of everything that runs need to start.
#[derive(Debug, Clone)]
pub struct ServiceState {
    /// Whether the database accepts no writes.
    pub read_only: bool,
    /// The live workers.
    pub workers: Vec<Readiness>,
}

impl ServiceState {
    pub async fn read(pool: &PgPool) -> Result<Self, StoreError> {
        // Also on for a standby. A session's mode is fixed when it starts, so this asks a session that writes.
        let read_only =
            sqlx::query_scalar!(r#"SELECT current_setting('transaction_read_only')::bool AS "read_only!""#)
                .fetch_one(pool)
                .await?;
        Ok(Self { read_only, workers: workers::live(pool).await? })
    }

    /// The blocker of all due runs. `None`: a worker can claim them, so they only wait for their turn.
    pub fn blocker(&self) -> Option<Blocker> {
        // Comes first: workers that cannot record a heartbeat do not count as live.
        if self.read_only {
            return Some(Blocker::READ_ONLY);
        }
        let claiming: Vec<_> = self.workers.iter().filter(|worker| !worker.draining).collect();
        match claiming.first() {
            None => Some(Blocker::NO_WORKER),
            Some(_) if claiming.iter().any(|worker| worker.problem.is_none()) => None,
            // The first of several: once it is removed, the next one shows.
            Some(first) => first.problem.map(Blocker::new),
        }
    }

    /// All problems, each kind once. The absence of workers is none: exports wait.
    pub fn problems(&self) -> Vec<Problem> {
        let read_only = self.read_only.then_some(Problem { blocker: Blocker::READ_ONLY, workers: None });
        let of_workers = FailureKind::ALL.iter().filter_map(|kind| {
            let met = self.workers.iter().filter(|worker| worker.problem == Some(*kind)).count();
            (met > 0).then(|| Problem { blocker: Blocker::new(*kind), workers: Some(met) })
        });
        read_only.into_iter().chain(of_workers).collect()
    }
}

#[cfg(test)]
mod tests {
    use FailureKind::{DiskFull, InvalidToken};

    use super::*;
    use crate::store::discord_tokens::HALF_OPEN_INTERVAL;

    const FIT: Readiness = Readiness { draining: false, problem: None };
    const LEAVING: Readiness = Readiness { draining: true, problem: None };

    fn unfit(problem: FailureKind) -> Readiness {
        Readiness { draining: false, problem: Some(problem) }
    }

    fn service(workers: &[Readiness]) -> ServiceState {
        ServiceState { read_only: false, workers: workers.to_vec() }
    }

    fn blocker(workers: &[Readiness]) -> Option<&'static str> {
        service(workers).blocker().map(|blocker| blocker.code)
    }

    #[test]
    fn one_fit_worker_is_enough() {
        assert_eq!(blocker(&[FIT]), None);
        assert_eq!(blocker(&[unfit(InvalidToken), FIT]), None);
        assert_eq!(blocker(&[FIT, LEAVING, unfit(DiskFull)]), None);
    }

    #[test]
    fn without_a_fit_worker_the_blocker_is_reported() {
        assert_eq!(blocker(&[]), Some("no_worker"));
        assert_eq!(blocker(&[LEAVING]), Some("no_worker"));
        let leaving_unfit = Readiness { draining: true, ..unfit(DiskFull) };
        assert_eq!(blocker(&[leaving_unfit]), Some("no_worker"));
        assert_eq!(blocker(&[unfit(InvalidToken)]), Some("invalid_token"));
        assert_eq!(blocker(&[LEAVING, unfit(DiskFull), unfit(DiskFull)]), Some("disk_full"));
        assert_eq!(blocker(&[unfit(DiskFull), unfit(InvalidToken)]), Some("disk_full"));
    }

    #[test]
    fn a_read_only_database_is_reported_before_the_workers_that_it_stops() {
        let read_only = ServiceState { read_only: true, ..service(&[]) };
        assert_eq!(read_only.blocker(), Some(Blocker::READ_ONLY));
        assert_eq!(read_only.problems(), [Problem { blocker: Blocker::READ_ONLY, workers: None }]);
    }

    #[test]
    fn problems_are_counted_over_all_live_workers() {
        let leaving_unfit = Readiness { draining: true, ..unfit(InvalidToken) };
        let seen = service(&[FIT, unfit(DiskFull), leaving_unfit, unfit(InvalidToken)]).problems();
        let counts: Vec<_> = seen.iter().map(|problem| (problem.blocker.code, problem.workers)).collect();
        assert_eq!(counts, [("invalid_token", Some(2)), ("disk_full", Some(1))]);
        assert!(service(&[FIT, LEAVING]).problems().is_empty());
        assert!(service(&[]).problems().is_empty());
    }

    #[test]
    fn the_action_names_the_interval_between_attempts() {
        let interval = format!("every {} minutes", HALF_OPEN_INTERVAL.as_secs() / 60);
        assert!(Blocker::INVALID_TOKEN.action.contains(&interval));
    }
}
