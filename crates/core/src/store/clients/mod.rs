//! What is kept for each client of the API.

pub mod idempotency_keys;
pub mod rate_limits;
