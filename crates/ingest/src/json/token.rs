//! A token, as far as it was copied.

/// How far a token was copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Copied {
    /// Up to the chunk's end; the token may continue in the next chunk.
    Partly,
    /// A whole string.
    String,
    /// A whole number or literal.
    Scalar,
    /// A bracket, comma or colon.
    Mark(u8),
}
