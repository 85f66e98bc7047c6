//! Discord's ids as DCE reads and prints them: `Snowflake.TryParse` and `Snowflake.ToDate`.

use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};

/// Discord's epoch, 2015-01-01T00:00:00Z, in Unix milliseconds.
const EPOCH_MS: i64 = 1_420_070_400_000;

/// A message's or channel's id: milliseconds since Discord's epoch above 22 low bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Snowflake(pub u64);

/// Why a bound could not be read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SnowflakeError {
    /// Neither an id nor a date; DCE's own words.
    #[error("Invalid snowflake '{0}'.")]
    Invalid(String),
    /// DCE would read it in the zone of `TZ`, which this program does not support.
    #[error("'{0}' is a date without an offset, which is supported for TZ=UTC only")]
    Zone(String),
}

impl Snowflake {
    /// Parses digits as an id, anything else as an ISO 8601 or US date; without an offset it is in the zone of the process.
    pub fn parse(value: &str, zone_is_utc: bool) -> Result<Self, SnowflakeError> {
        if !value.is_empty()
            && value.bytes().all(|byte| byte.is_ascii_digit())
            && let Ok(id) = value.parse()
        {
            return Ok(Self(id));
        }
        let text = value.trim();
        if let Ok(date) = DateTime::parse_from_rfc3339(&text.replacen(' ', "T", 1)) {
            return Ok(Self::from_unix_ms(date.timestamp_millis()));
        }
        match naive_date(text) {
            Some(date) if zone_is_utc => Ok(Self::from_unix_ms(date.and_utc().timestamp_millis())),
            Some(_) => Err(SnowflakeError::Zone(value.into())),
            None => Err(SnowflakeError::Invalid(value.into())),
        }
    }

    /// The lowest id of a millisecond. Before 2015 it wraps to a huge one, as DCE's unchecked arithmetic does.
    pub fn from_unix_ms(ms: i64) -> Self {
        Self(ms.wrapping_sub(EPOCH_MS).cast_unsigned() << 22)
    }

    /// Milliseconds since Discord's epoch: two messages sent in the same one have equal timestamps.
    pub fn millisecond(self) -> u64 {
        self.0 >> 22
    }

    /// When the id was made.
    pub fn date(self) -> DateTime<Utc> {
        // 42 bits of milliseconds end in the year 2154: always in chrono's range.
        DateTime::from_timestamp_millis(self.millisecond().cast_signed() + EPOCH_MS).unwrap_or_default()
    }
}

fn naive_date(text: &str) -> Option<NaiveDateTime> {
    const TIMES: [&str; 6] = [
        "%Y-%m-%dT%H:%M:%S%.f",
        "%Y-%m-%dT%H:%M",
        "%Y-%m-%d %H:%M:%S%.f",
        "%Y-%m-%d %H:%M",
        "%m/%d/%Y %H:%M:%S",
        "%m/%d/%Y %H:%M",
    ];
    const DATES: [&str; 2] = ["%Y-%m-%d", "%m/%d/%Y"];
    TIMES.iter().find_map(|format| NaiveDateTime::parse_from_str(text, format).ok()).or_else(|| {
        DATES.iter().find_map(|format| NaiveDate::parse_from_str(text, format).ok()?.and_hms_opt(0, 0, 0))
    })
}

/// A time as DCE writes it with `--utc`: up to seven digits of a second without trailing zeros.
pub fn iso(time: DateTime<Utc>) -> String {
    let fraction = format!("{:07}", time.timestamp_subsec_nanos() / 100);
    let fraction = fraction.trim_end_matches('0');
    let dot = if fraction.is_empty() { "" } else { "." };
    format!("{}{dot}{fraction}+00:00", time.format("%Y-%m-%dT%H:%M:%S"))
}

#[cfg(test)]
mod tests {
    use super::{Snowflake, SnowflakeError, iso};

    #[test]
    fn digits_are_an_id_even_if_they_look_like_a_date() {
        assert_eq!(Snowflake::parse("20240101", true), Ok(Snowflake(20_240_101)));
    }

    #[test]
    fn dates_become_the_first_id_of_their_millisecond() {
        for text in [
            "2024-07-03T09:50:40Z",
            "2024-07-03T18:50:40+09:00",
            "2024-07-03T09:50:40",
            "07/03/2024 09:50:40",
        ] {
            let read = Snowflake::parse(text, true).unwrap();
            assert_eq!(
                (iso(read.date()).as_str(), read.0 % (1 << 22)),
                ("2024-07-03T09:50:40+00:00", 0),
                "{text}"
            );
        }
        assert!(matches!(Snowflake::parse("2024-07-03", false), Err(SnowflakeError::Zone(_))));
    }

    #[test]
    fn a_date_before_discord_wraps_far_into_the_future() {
        let wrapped = Snowflake::parse("2010-01-01T00:00:00Z", true).unwrap();
        assert_eq!(iso(wrapped.date()), "2149-05-15T07:35:11.104+00:00");
    }

    #[test]
    fn other_texts_are_refused_with_dces_error() {
        let refused = Snowflake::parse("yesterday", true).unwrap_err();
        assert_eq!(refused.to_string(), "Invalid snowflake 'yesterday'.");
    }
}
