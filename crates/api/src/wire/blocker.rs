//! Why exports do not go on.

use dce_core::store::reading::blockers;

use super::body;

body! {
    /// Something that keeps runs from starting until somebody does something about it.
    #[schema(as = Obstacle)]
    Blocker from blocker: blockers::Blocker {
        /// `database_read_only`, `no_worker`, or that of the failure which the workers met; never changes.
        code: &'static str,
        /// What is the matter, one sentence.
        message: &'static str,
        /// What to do about it, and what happens by itself.
        action: &'static str,
    }
}

body! {
    /// An obstacle and how far it reaches.
    ReadinessProblem from problem: blockers::Problem {
        /// What it is.
        #[serde(flatten)]
        obstacle: Blocker = problem.blocker.into(),
        /// How many of the live workers it keeps from starting runs; `None`: it is not a worker's.
        #[serde(skip_serializing_if = "Option::is_none")]
        workers: Option<usize>,
    }
}
