//! Runs `DiscordChatExporter` (DCE): the only place that starts a process.
//!
//! A run of DCE is: [`command`] makes its arguments and [`environment`](mod@environment) its
//! environment, [`process`] starts, watches and stops it, [`output`] follows the files it writes
//! while it writes them, [`progress`] reads from its stdout how far it is, and [`errors`] from its stderr
//! why it failed. The facts about DCE
//! that are relied on were measured with 2.47; DCE tells success from failure by its exit code
//! (0 or 1) and one failure from another by its words alone.

pub mod command;
pub mod environment;
pub mod errors;
pub mod output;
pub mod process;
pub mod progress;
pub mod stderr;
pub mod version;

mod child;
mod detail;
mod exceptions;

pub use command::{CommandError, ExportCommand};
pub use environment::environment;
pub use errors::{classify, reported_empty};
pub use output::{ExitFlag, Followed, Follower, IdleWait, Parts};
pub use process::{Exit, Launch, Running, SpawnError, Spawner};
pub use progress::Progress;
pub use stderr::Stderr;
pub use version::{DceVersion, VersionError};
