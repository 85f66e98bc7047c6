//! The parts that run the whole service on one machine: a private Postgres, and the launcher of API and workers, whose
//! processes end with the one that started them.

mod child_process;
mod launcher;
mod loopback;
mod parent_death;
mod port;
pub mod postgres;

pub use child_process::{ChildProcess, Output};
pub use launcher::{Launch, LaunchError, Program, ServiceProcess, built_program};
pub use loopback::loopback_client;
pub use port::free_port;
pub use postgres::{PostgresError, PrivatePostgres, Shutdown};
