//! The fence that keeps an attempt whose lease is over from writing.

use uuid::Uuid;

/// Identifies an attempt and its owner: each write of a worker takes effect only while both still hold the run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fence {
    pub run_id: Uuid,
    /// Only grows.
    pub attempt: i32,
    /// The worker's id, new at every process start.
    pub worker: String,
}
