//! Runs `DiscordChatExporter` (DCE): the only place that starts a process.
//!
//! [`identify`] finds out at start whether its version is supported. [`arguments`] and [`environment`](mod@environment)
//! make DCE's arguments and environment; [`process`] starts, watches and stops it; [`follower`] follows its files while
//! it writes them; [`progress`] parses its stdout; [`classify_stderr`] turns its stderr into a typed failure. The facts
//! about DCE were measured with 2.47 and 2.48. Its exit code (0 or 1) distinguishes only success from failure; the text
//! on stderr distinguishes the failures.

pub mod arguments;
pub mod classify_stderr;
pub mod environment;
pub mod exit;
pub mod follower;
pub mod identify;
pub mod parts;
pub mod process;
pub mod progress;
pub mod stderr;
pub mod version;

mod child;
mod classify_exception;
mod help;
mod sanitize;

pub use arguments::{ArgumentsError, ExportArguments};
pub use classify_stderr::classify;
pub use environment::environment;
pub use exit::Exit;
pub use follower::{ExitFlag, Follower};
pub use identify::IdentifyError;
pub use parts::Parts;
pub use process::{DceProcess, Launch, SpawnError, Spawner};
pub use progress::DceProgress;
pub use stderr::Stderr;
pub use version::{DceProgram, DceVersion, VersionError};
