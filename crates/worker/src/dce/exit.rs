use super::stderr::Stderr;

/// How a process ended, with its stderr.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exit {
    /// `None` if a signal ended it.
    pub code: Option<i32>,
    pub signal: Option<i32>,
    pub stderr: Stderr,
}
