//! What the worker of a running run is doing.

/// The steps of an attempt in their order. Clients and tables see their names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// DCE runs, or its output is not committed yet.
    Reading,
    /// Everything is committed, and Discord is asked whether there is more.
    Verifying,
}

impl Phase {
    /// The name in tables and in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reading => "reading",
            Self::Verifying => "verifying",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [Self::Reading, Self::Verifying].into_iter().find(|phase| phase.as_str() == text)
    }
}
