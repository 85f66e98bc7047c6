//! Times in requests.

use chrono::{DateTime, DurationRound, NaiveDate, NaiveDateTime, TimeDelta, Utc};

use super::fault::FaultCode;
use crate::ids::Snowflake;

/// With and without seconds; the offset is `Z`, `+09:00`, `+0900` or `+09`.
const WITH_OFFSET: [&str; 2] = ["%Y-%m-%dT%H:%M:%S%.f%#z", "%Y-%m-%dT%H:%M%#z"];
/// The same without an offset.
const NAIVE: [&str; 2] = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M"];

/// Parses an ISO 8601 time with an explicit offset, as UTC, for messages.
///
/// Discord's times and ids have milliseconds. A finer time is rounded up, which selects the same messages for an
/// inclusive start and for an exclusive end.
///
/// # Errors
/// The class of the mistake and a sentence about it.
pub fn parse_time(text: &str) -> Result<DateTime<Utc>, (FaultCode, String)> {
    let time = parse(text)?;
    // A leap second is 23:59:60.5 in chrono and the first half second of the next day elsewhere.
    time.duration_round_up(TimeDelta::milliseconds(1))
        .ok()
        .and_then(|time| DateTime::from_timestamp_millis(time.timestamp_millis()))
        .filter(is_in_range)
        .ok_or_else(out_of_range)
}

/// Does the same without rounding, for times that the service itself records in microseconds.
///
/// # Errors
/// As [`parse_time`].
pub fn parse_exact_time(text: &str) -> Result<DateTime<Utc>, (FaultCode, String)> {
    let time = parse(text)?;
    if is_in_range(&time) { Ok(time) } else { Err(out_of_range()) }
}

fn parse(text: &str) -> Result<DateTime<Utc>, (FaultCode, String)> {
    let Some(day) = day(text) else {
        return Err((
            FaultCode::InvalidTime,
            "must be an ISO 8601 time with an offset, such as 2024-07-03T09:50:40Z".into(),
        ));
    };
    let time = WITH_OFFSET.iter().find_map(|format| DateTime::parse_from_str(text, format).ok());
    let Some(time) = time else {
        return Err(without_offset(text, day));
    };
    Ok(time.to_utc())
}

fn is_in_range(time: &DateTime<Utc>) -> bool {
    Snowflake::first_at(*time).is_some()
}

fn out_of_range() -> (FaultCode, String) {
    (
        FaultCode::OutOfRange,
        "must be between 2015-01-01T00:00:00Z, when Discord's ids begin, and the year 2154".into(),
    )
}

/// The leading `YYYY-MM-DD`, if there is one. chrono alone would also accept signs, spaces and years of any length.
fn day(text: &str) -> Option<&str> {
    let day = text.get(..10)?;
    let shaped = day.bytes().enumerate().all(|(at, byte)| match at {
        4 | 7 => byte == b'-',
        _ => byte.is_ascii_digit(),
    });
    (shaped && !text.contains(' ')).then_some(day)
}

/// The mistake in a text that begins with a day but is not a time with an offset.
fn without_offset(text: &str, day: &str) -> (FaultCode, String) {
    if NaiveDate::parse_from_str(day, "%Y-%m-%d").is_err() {
        return (FaultCode::InvalidTime, format!("{day} is not a date in the calendar"));
    }
    if text == day {
        let detail = format!("has no time or offset: write {day}T00:00:00Z for the start of the day in UTC");
        return (FaultCode::MissingOffset, detail);
    }
    if NAIVE.iter().any(|format| NaiveDateTime::parse_from_str(text, format).is_ok()) {
        let detail =
            format!("has no offset: write {text}Z for UTC, or add your own offset, such as {text}+09:00");
        return (FaultCode::MissingOffset, detail);
    }
    (FaultCode::InvalidTime, "is not a valid time: write it like 2024-07-03T09:50:40Z".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_usual_spellings_of_a_time_are_the_same_time() {
        let moment: DateTime<Utc> = "2024-07-03T09:50:00Z".parse().unwrap();
        for text in [
            "2024-07-03T09:50:00Z",
            "2024-07-03T09:50Z",
            "2024-07-03T09:50:00.000Z",
            "2024-07-03T09:50:00+00:00",
            "2024-07-03T18:50:00+09:00",
            "2024-07-03T18:50:00+0900",
            "2024-07-03T18:50+09",
            "2024-07-02T23:50:00-10:00",
        ] {
            assert_eq!(parse_time(text), Ok(moment), "{text}");
        }
    }

    #[test]
    fn text_that_is_no_time_is_refused_with_its_reason() {
        use FaultCode::{InvalidTime, MissingOffset, OutOfRange};
        for (text, code) in [
            ("", InvalidTime),
            ("yesterday", InvalidTime),
            ("1720000000", InvalidTime),
            ("03/07/2024", InvalidTime),
            ("+2024-07-03T00:00:00Z", InvalidTime),
            ("2024-07-03 00:00:00Z", InvalidTime),
            ("2024-07-03T00:00:00 Z", InvalidTime),
            ("2024-02-30T00:00:00Z", InvalidTime),
            ("2023-02-29", InvalidTime),
            ("2024-13-01T00:00:00Z", InvalidTime),
            ("2024-07-03T25:00:00Z", InvalidTime),
            ("2024-07-03T00:00:00+25:00", InvalidTime),
            ("2024-07-03Tnoon", InvalidTime),
            ("２０２４-07-03T00:00:00Z", InvalidTime),
            ("2024-07-03", MissingOffset),
            ("2024-07-03T09:50", MissingOffset),
            ("2024-07-03T09:50:40.123", MissingOffset),
            ("2014-12-31T23:59:59Z", OutOfRange),
            ("2015-01-01T00:00:00+09:00", OutOfRange),
            ("9999-12-31T23:59:59Z", OutOfRange),
        ] {
            assert_eq!(parse_time(text).map_err(|(code, _)| code), Err(code), "{text}");
        }
        assert!(parse_time("2015-01-01T00:00:00Z").is_ok());
    }

    #[test]
    fn an_exact_time_is_not_rounded() {
        let time = parse_exact_time("2024-07-03T18:50:40.123456+09:00").unwrap();
        assert_eq!(time.to_rfc3339(), "2024-07-03T09:50:40.123456+00:00");
        for (text, code) in [
            ("2024-07-03T09:50", FaultCode::MissingOffset),
            ("2014-12-31T23:59:59.9999Z", FaultCode::OutOfRange),
        ] {
            assert_eq!(parse_exact_time(text).map_err(|(code, _)| code), Err(code), "{text}");
        }
    }

    #[test]
    fn finer_than_a_millisecond_is_rounded_up() {
        let rounded = parse_time("2024-07-03T09:50:40.123000001Z").unwrap();
        assert_eq!(rounded, "2024-07-03T09:50:40.124Z".parse::<DateTime<Utc>>().unwrap());
        let exact = parse_time("2024-07-03T09:50:40.123Z").unwrap();
        assert_eq!(exact, "2024-07-03T09:50:40.123Z".parse::<DateTime<Utc>>().unwrap());
    }

    #[test]
    fn a_leap_second_is_the_next_second_so_that_windows_stay_in_order() {
        let start = parse_time("2024-07-03T09:50:60.5Z").unwrap();
        let end = parse_time("2024-07-03T09:51:00.2Z").unwrap();
        assert!(start > end, "{start} {end}");
    }
}
