//! Discord's ids. They travel as text and are compared as numbers: one channel holds ids of 18 and of 19 digits, so text
//! order is wrong.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, TimeZone, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Milliseconds between the Unix epoch and Discord's, 2015-01-01T00:00:00Z.
pub const DISCORD_EPOCH_MS: i64 = 1_420_070_400_000;

/// A Discord id: milliseconds since 2015 in the upper 42 bits, a counter in the lower 22.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Snowflake(u64);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a Discord id: 1 to 20 digits, at most 18446744073709551615")]
pub struct NotASnowflake;

impl Snowflake {
    pub const fn new(value: u64) -> Self {
        Self(value)
    }

    pub const fn get(self) -> u64 {
        self.0
    }

    /// The smallest id of this moment's millisecond; `None` before 2015 and beyond 2154.
    /// DCE wraps such a date to an id after everything (DCE 2.47: docs/dce.md).
    pub fn first_at(time: DateTime<Utc>) -> Option<Self> {
        let ms = u64::try_from(time.timestamp_millis().checked_sub(DISCORD_EPOCH_MS)?).ok()?;
        (ms < 1 << 42).then_some(Self(ms << 22))
    }

    /// The id just below this one; 0 stays 0.
    #[must_use]
    pub const fn before(self) -> Self {
        Self(self.0.saturating_sub(1))
    }

    /// Milliseconds since Discord's epoch. Only ids of different milliseconds are in a reliable order: Discord may list those
    /// of the same one in any.
    pub const fn millisecond(self) -> u64 {
        self.0 >> 22
    }

    /// The smallest id of this one's millisecond.
    #[must_use]
    pub const fn first_of_millisecond(self) -> Self {
        Self(self.millisecond() << 22)
    }

    /// Creation time, to the millisecond.
    pub fn time(self) -> DateTime<Utc> {
        // 42 bits of milliseconds end in the year 2154, well inside chrono's range.
        let ms = DISCORD_EPOCH_MS.saturating_add_unsigned(self.millisecond());
        Utc.timestamp_millis_opt(ms).single().unwrap_or(DateTime::<Utc>::MAX_UTC)
    }
}

impl FromStr for Snowflake {
    type Err = NotASnowflake;

    fn from_str(text: &str) -> Result<Self, NotASnowflake> {
        // u64's own parser takes a leading `+`.
        if text.is_empty() || text.len() > 20 || !text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(NotASnowflake);
        }
        text.parse().map(Self).map_err(|_| NotASnowflake)
    }
}

impl fmt::Display for Snowflake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Snowflake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Snowflake {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Snowflake {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_ordered_as_numbers_not_as_text() {
        let short: Snowflake = "999999999999999999".parse().unwrap();
        let long: Snowflake = "1000000000000000000".parse().unwrap();
        assert!(short < long);
    }

    #[test]
    fn what_is_no_id_is_refused() {
        for text in ["", "abc", "-1", "+1", " 1", "1 ", "1.5", "18446744073709551616", "١"] {
            assert_eq!(text.parse::<Snowflake>(), Err(NotASnowflake), "{text:?}");
        }
    }

    #[test]
    fn ids_of_one_millisecond_have_the_same_first_id() {
        let first = Snowflake::new(7 << 22);
        for id in [first, Snowflake::new((7 << 22) + 1), Snowflake::new((8 << 22) - 1)] {
            assert_eq!((id.millisecond(), id.first_of_millisecond()), (7, first));
        }
        assert_eq!(first.before().millisecond(), 6);
    }

    #[test]
    fn a_time_becomes_the_first_id_of_its_millisecond_and_back() {
        let time = "2024-07-03T09:50:40Z".parse::<DateTime<Utc>>().unwrap();
        let id = Snowflake::first_at(time).unwrap();
        assert_eq!(id.time(), time);
        assert!(id.before().time() < time);
        assert_eq!(Snowflake::first_at("2014-12-31T23:59:59Z".parse().unwrap()), None);
    }
}
