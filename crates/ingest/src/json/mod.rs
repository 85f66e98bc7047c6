//! Reading JSON in chunks of any size: two loops and a walk.
//!
//! [`token_copier`] reads tokens and keeps a repaired, minified copy; its fast loop handles the tokens that need neither
//! repair nor a second chunk. [`walk`] finds members in that copy, which is valid JSON by then.

pub(crate) mod append;
pub(crate) mod grammar;
pub(crate) mod key_order;
pub(crate) mod scan;
pub(crate) mod string_copier;
pub(crate) mod token;
pub(crate) mod token_copier;
pub(crate) mod user_filter;
pub(crate) mod walk;
