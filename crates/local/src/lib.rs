//! The pieces that let the whole service run on one machine with nothing set up:
//! a private Postgres, and processes that do not outlive whoever started them.

mod port;
pub mod postgres;
mod tether;

pub use port::free_port;
pub use postgres::{PostgresError, PrivatePostgres, Shutdown};
pub use tether::tethered;
