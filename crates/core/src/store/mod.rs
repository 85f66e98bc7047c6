//! All SQL on the service's own tables.
//!
//! - `transitions`: the state changes of exports and runs
//! - `batches`: the messages that a run writes, and the lookups that precede a write
//! - `reading`: exports, their changes, archived channels and messages, as clients read them
//! - `clients`: idempotency keys and rate limits
//! - `retention`: pruning by age, erasing for good
//!
//! Time is `clock_timestamp()`: `now()` is as old as its transaction.

pub mod batches;
pub mod clients;
pub mod discord_tokens;
mod error;
pub mod imports;
pub mod reading;
pub mod retention;
mod retry_transient;
pub mod search_index;
pub mod transitions;
pub mod workers;

pub use error::StoreError;
pub(crate) use error::exactly_one;
pub(crate) use retry_transient::repeated;
pub use retry_transient::{ANSWER_LIMIT, in_time};
