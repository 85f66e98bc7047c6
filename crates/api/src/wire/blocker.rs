//! What keeps exports from progressing.

use dce_core::store::reading::blockers;

use super::body;

body! {
    /// A condition that keeps runs from starting until somebody resolves it.
    #[schema(as = Obstacle)]
    Blocker from blocker: blockers::Blocker {
        /// `database_read_only`, `no_worker`, or the code of the failure that the workers encountered. Codes never change.
        code: &'static str,
        /// What is wrong, in one sentence.
        message: &'static str,
        /// The remedy, and what the service does on its own.
        action: &'static str,
    }
}

body! {
    /// A blocker and the number of workers it affects.
    ReadinessProblem from problem: blockers::Problem {
        #[serde(flatten)]
        blocker: Blocker = problem.blocker.into(),
        /// How many live workers it keeps from starting runs; absent if it does not concern single workers.
        #[serde(skip_serializing_if = "Option::is_none")]
        workers: Option<usize>,
    }
}
