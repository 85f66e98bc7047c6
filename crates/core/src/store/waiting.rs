//! Why nothing starts although runs are due: for whoever waits for an export, and for whoever looks after the service.

use serde::Serialize;
use sqlx::postgres::PgPool;
use utoipa::ToSchema;

use super::StoreError;
use super::workers::{self, Readiness};
use crate::export::failure::{FailureKind, INVALID_TOKEN_WAITS};

/// Something that keeps runs from starting until somebody does something about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct Obstacle {
    /// `database_read_only`, `no_worker`, or that of the failure which the workers met; never changes.
    pub code: &'static str,
    /// What is the matter, one sentence.
    pub message: &'static str,
    /// What to do about it, and what happens by itself.
    pub action: &'static str,
}

impl Obstacle {
    const READ_ONLY: Self = Self {
        code: "database_read_only",
        message: "The database takes no writes, for instance because its disk quota is used up.",
        action: "Make room in the database or raise its quota; exports go on by themselves within a minute.",
    };
    const NO_WORKER: Self = Self {
        code: "no_worker",
        message: "No worker is there to run exports.",
        action: "Start a worker, or see in its log why it does not start; exports begin by themselves then.",
    };
    /// As [`FailureKind::InvalidToken`], but what waits need not be submitted again.
    const INVALID_TOKEN: Self = Self {
        code: FailureKind::InvalidToken.code(),
        message: FailureKind::InvalidToken.message(),
        action: INVALID_TOKEN_WAITS,
    };

    const fn of(problem: FailureKind) -> Self {
        match problem {
            FailureKind::InvalidToken => Self::INVALID_TOKEN,
            kind => Self { code: kind.code(), message: kind.message(), action: kind.action() },
        }
    }
}

/// An obstacle and how far it reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = ReadinessProblem)]
pub struct Problem {
    /// What it is.
    #[serde(flatten)]
    pub obstacle: Obstacle,
    /// How many of the live workers it keeps from starting runs; `None`: it is not a worker's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workers: Option<usize>,
}

/// What runs need to start, as it is now.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// Whether the database takes no writes.
    pub read_only: bool,
    /// The live workers.
    pub workers: Vec<Readiness>,
}

impl Surroundings {
    /// Looks.
    pub async fn look(pool: &PgPool) -> Result<Self, StoreError> {
        // On for a standby too. What a session may do is decided at its start: asked on the sessions that write.
        let read_only =
            sqlx::query_scalar!(r#"SELECT current_setting('transaction_read_only')::bool AS "read_only!""#)
                .fetch_one(pool)
                .await?;
        Ok(Self { read_only, workers: workers::live(pool).await? })
    }

    /// What keeps every due run from starting. `None`: a worker can take them, so they wait for their turn only.
    pub fn obstacle(&self) -> Option<Obstacle> {
        // First: workers that cannot record their heartbeat do not count as live.
        if self.read_only {
            return Some(Obstacle::READ_ONLY);
        }
        let takers: Vec<_> = self.workers.iter().filter(|worker| !worker.draining).collect();
        match takers.first() {
            None => Some(Obstacle::NO_WORKER),
            Some(_) if takers.iter().any(|worker| worker.problem.is_none()) => None,
            // Of several the first will do: when it is gone the next one shows.
            Some(first) => first.problem.map(Obstacle::of),
        }
    }

    /// Everything that is not as it should be, each kind once; without workers exports wait, which is none.
    pub fn problems(&self) -> Vec<Problem> {
        let read_only = self.read_only.then_some(Problem { obstacle: Obstacle::READ_ONLY, workers: None });
        let of_workers = FailureKind::ALL.iter().filter_map(|kind| {
            let met = self.workers.iter().filter(|worker| worker.problem == Some(*kind)).count();
            (met > 0).then(|| Problem { obstacle: Obstacle::of(*kind), workers: Some(met) })
        });
        read_only.into_iter().chain(of_workers).collect()
    }
}

#[cfg(test)]
mod tests {
    use FailureKind::{DiskFull, InvalidToken};

    use super::*;
    use crate::store::tokens::TRIAL_PAUSE;

    const FIT: Readiness = Readiness { draining: false, problem: None };
    const LEAVING: Readiness = Readiness { draining: true, problem: None };

    fn unfit(problem: FailureKind) -> Readiness {
        Readiness { draining: false, problem: Some(problem) }
    }

    fn surroundings(workers: &[Readiness]) -> Surroundings {
        Surroundings { read_only: false, workers: workers.to_vec() }
    }

    fn obstacle(workers: &[Readiness]) -> Option<&'static str> {
        surroundings(workers).obstacle().map(|obstacle| obstacle.code)
    }

    #[test]
    fn one_fit_worker_is_enough() {
        assert_eq!(obstacle(&[FIT]), None);
        assert_eq!(obstacle(&[unfit(InvalidToken), FIT]), None);
        assert_eq!(obstacle(&[FIT, LEAVING, unfit(DiskFull)]), None);
    }

    #[test]
    fn without_one_the_reason_is_told() {
        assert_eq!(obstacle(&[]), Some("no_worker"));
        assert_eq!(obstacle(&[LEAVING]), Some("no_worker"));
        let leaving_unfit = Readiness { draining: true, ..unfit(DiskFull) };
        assert_eq!(obstacle(&[leaving_unfit]), Some("no_worker"));
        assert_eq!(obstacle(&[unfit(InvalidToken)]), Some("invalid_token"));
        assert_eq!(obstacle(&[LEAVING, unfit(DiskFull), unfit(DiskFull)]), Some("disk_full"));
        assert_eq!(obstacle(&[unfit(DiskFull), unfit(InvalidToken)]), Some("disk_full"));
    }

    #[test]
    fn a_read_only_database_is_named_before_the_workers_that_it_silences() {
        let read_only = Surroundings { read_only: true, ..surroundings(&[]) };
        assert_eq!(read_only.obstacle(), Some(Obstacle::READ_ONLY));
        assert_eq!(read_only.problems(), [Problem { obstacle: Obstacle::READ_ONLY, workers: None }]);
    }

    #[test]
    fn problems_are_counted_over_all_live_workers() {
        let leaving_unfit = Readiness { draining: true, ..unfit(InvalidToken) };
        let seen = surroundings(&[FIT, unfit(DiskFull), leaving_unfit, unfit(InvalidToken)]).problems();
        let counts: Vec<_> = seen.iter().map(|problem| (problem.obstacle.code, problem.workers)).collect();
        assert_eq!(counts, [("invalid_token", Some(2)), ("disk_full", Some(1))]);
        assert!(surroundings(&[FIT, LEAVING]).problems().is_empty());
        assert!(surroundings(&[]).problems().is_empty());
    }

    #[test]
    fn the_sentence_names_the_pause_between_trials() {
        let pause = format!("every {} minutes", TRIAL_PAUSE.as_secs() / 60);
        assert!(Obstacle::INVALID_TOKEN.action.contains(&pause));
    }
}
