//! The times in DCE's documents.

use chrono::{DateTime, NaiveDate, Utc};

/// Parses ISO 8601 with an offset and a fraction of a second. With DCE's `--utc` the offset is nearly always zero; those
/// texts take the fast path.
pub(crate) fn parse(text: &str) -> Option<DateTime<Utc>> {
    parse_utc(text.as_bytes()).or_else(|| Some(DateTime::parse_from_rfc3339(text).ok()?.to_utc()))
}

/// The fast path. `None`: another format, or no time.
fn parse_utc(text: &[u8]) -> Option<DateTime<Utc>> {
    let text = text.strip_suffix(b"+00:00").or_else(|| text.strip_suffix(b"Z"))?;
    let (second, fraction) = text.split_at_checked("2024-07-03T09:46:40".len())?;
    let [y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1, b'T', h0, h1, b':', i0, i1, b':', s0, s1] = *second
    else {
        return None;
    };
    let date = NaiveDate::from_ymd_opt(
        i32::try_from(number(&[y0, y1, y2, y3])?).ok()?,
        number(&[m0, m1])?,
        number(&[d0, d1])?,
    )?;
    let nanos = match fraction {
        [] => 0,
        [b'.', digits @ ..] if (1..=9).contains(&digits.len()) => {
            digits.iter().try_fold(0, |all, digit| Some(all * 10 + self::digit(*digit)?))?
                * 10_u32.pow(9 - u32::try_from(digits.len()).ok()?)
        }
        _ => return None,
    };
    // `and_hms_nano_opt` refuses leap seconds: chrono's parser reads them.
    Some(date.and_hms_nano_opt(number(&[h0, h1])?, number(&[i0, i1])?, number(&[s0, s1])?, nanos)?.and_utc())
}

fn number(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |all, digit| Some(all * 10 + self::digit(*digit)?))
}

fn digit(byte: u8) -> Option<u32> {
    byte.is_ascii_digit().then(|| u32::from(byte - b'0'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn by_chrono(text: &str) -> Option<DateTime<Utc>> {
        Some(DateTime::parse_from_rfc3339(text).ok()?.to_utc())
    }

    proptest! {
        #[test]
        fn times_are_parsed_as_by_chrono(
            text in r"[0-9]{4}-[01][0-9]-[0-3][0-9][Tt ][0-2][0-9]:[0-6][0-9]:[0-6][0-9](\.[0-9]{0,11})?(Z|z|[+-]0[02]:[03]0)",
        ) {
            prop_assert_eq!(parse(&text), by_chrono(&text));
        }

        #[test]
        fn text_that_is_no_time_is_none(text in "[0-9TZ:+. é-]{0,34}") {
            prop_assert_eq!(parse(&text), by_chrono(&text));
        }
    }

    #[test]
    fn utc_times_take_the_fast_path() {
        for text in [
            "2024-07-03T09:46:40+00:00",
            "2024-07-03T09:46:40.123+00:00",
            "2024-07-03T09:46:40.1234567+00:00",
        ] {
            assert_eq!(parse_utc(text.as_bytes()), by_chrono(text), "{text}");
            assert!(parse_utc(text.as_bytes()).is_some(), "{text}");
        }
        for text in [
            "2024-07-03T09:46:60Z",
            "2024-02-30T09:46:40Z",
            "2024-07-03T09:46:40+02:00",
            "2024-07-03T09:46:40.+00:00",
        ] {
            assert_eq!(parse_utc(text.as_bytes()), None, "{text}");
        }
    }
}
