//! Mistakes in filters, with their position and the remedy.

use std::fmt;

use crate::condition::Feature;
use crate::parse::MAX_DEPTH;

/// A filter that cannot be parsed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("column {column}: {mistake}")]
pub struct SyntaxError {
    /// The character, from 1. At the end of the filter: its length + 1.
    pub column: usize,
    pub mistake: Mistake,
}

/// What is wrong at a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mistake {
    /// A condition must start here. `None`: the filter ends.
    NoCondition(Option<char>),
    /// A condition must follow the negation directly.
    NothingNegated(char),
    /// A value must follow the keyword directly.
    NoValue(&'static str),
    /// `has:` without one of its words.
    UnknownFeature,
    /// A condition ends here, but neither the filter nor the bracket does.
    NoOperator(char),
    /// A quotation mark or a bracket is not closed.
    NotClosed(char),
    /// The filter ends with a backslash.
    NothingEscaped,
    TooDeep,
}

impl fmt::Display for Mistake {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCondition(None) => formatter.write_str(
                "a condition is missing at the end: write a word, or remove the operator before it",
            ),
            Self::NoCondition(Some(found)) => write!(
                formatter,
                "a condition must start here instead of `{found}`: write a word, a text in quotation marks, \
                 from:, mentions:, reaction:, has:, ~ or a bracket"
            ),
            Self::NothingNegated(sign) => {
                write!(formatter, "a condition or a bracket must follow `{sign}` directly")
            }
            Self::NoValue(keyword) => write!(
                formatter,
                "a value must follow `{keyword}` directly: write a word, or a text in quotation marks"
            ),
            Self::UnknownFeature => {
                let words = Feature::ALL.map(|(word, _)| word);
                write!(
                    formatter,
                    "`has:` must be followed by one of {}; to search for a text, put all of it in quotation marks",
                    words.join(", ")
                )
            }
            Self::NoOperator(found) => write!(
                formatter,
                "`{found}` cannot continue a condition: separate conditions with a space, | or &, \
                 and put a text that contains `{found}` in quotation marks"
            ),
            Self::NotClosed('(') => formatter
                .write_str("a closing bracket is missing: write `)` directly after the last condition in it"),
            Self::NotClosed(quote) => write!(formatter, "a closing {quote} is missing"),
            Self::NothingEscaped => formatter
                .write_str("a character must follow the backslash: write \\\\ to search for a backslash"),
            Self::TooDeep => write!(formatter, "brackets can be nested {MAX_DEPTH} deep at most"),
        }
    }
}
