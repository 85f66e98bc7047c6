//! Reads the parameters of a query string and collects every fault, as the parser of request bodies does.

use std::collections::HashMap;
use std::ops::RangeInclusive;

use actix_web::HttpRequest;
use chrono::{DateTime, Utc};
use dce_core::export::request::{Fault, FaultCode, parse_exact_time};
use dce_core::ids::Snowflake;
use percent_encoding::percent_decode;

use crate::problem::{Code, Problem};

/// Maximum number of faults that one answer lists.
const MAX_FAULTS: usize = 100;

#[derive(Debug, Default)]
pub struct QueryString {
    values: HashMap<&'static str, String>,
    faults: Vec<Fault>,
}

impl QueryString {
    /// Reads the parameters with these names. An unknown or repeated parameter is a fault: a client must not believe that
    /// the service applied a parameter that it ignored.
    ///
    /// # Errors
    /// `bad_request` for a query that is not UTF-8.
    pub fn read(request: &HttpRequest, known: &[&'static str]) -> Result<Self, Problem> {
        Self::parse(request.query_string(), known)
    }

    fn parse(text: &str, known: &[&'static str]) -> Result<Self, Problem> {
        let mut query = Self::default();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (name, value) = (decode(name)?, decode(value)?);
            let Some(known) = known.iter().find(|known| **known == name) else {
                let detail = if known.is_empty() {
                    "is not a parameter of this request, which has none".to_owned()
                } else {
                    format!("is not a parameter of this request; the parameters are {}", known.join(", "))
                };
                query.fault(&name, FaultCode::UnknownParameter, detail);
                continue;
            };
            if value.is_empty() {
                query.fault(known, FaultCode::TooShort, "is empty: give it a value, or omit it");
                continue;
            }
            if query.values.insert(known, value).is_some() {
                query.fault(known, FaultCode::Repeated, "is given more than once: send it once");
            }
        }
        Ok(query)
    }

    /// A text of at most `max_chars` characters, without control characters.
    pub fn text(&mut self, name: &'static str, max_chars: usize) -> Option<String> {
        let text = self.values.remove(name)?;
        if text.chars().count() > max_chars {
            self.fault(name, FaultCode::TooLong, format!("may have at most {max_chars} characters"));
            return None;
        }
        if text.chars().any(char::is_control) {
            self.fault(name, FaultCode::ControlCharacter, "must not contain control characters");
            return None;
        }
        Some(text)
    }

    /// A whole number in this range.
    pub fn number(&mut self, name: &'static str, range: RangeInclusive<u32>) -> Option<u32> {
        let text = self.values.remove(name)?;
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        let number = digits.then(|| text.parse().ok()).flatten().filter(|number| range.contains(number));
        if number.is_none() {
            let detail = format!("must be a whole number from {} to {}", range.start(), range.end());
            self.fault(name, FaultCode::OutOfRange, detail);
        }
        number
    }

    /// An ISO 8601 time with an offset.
    pub fn time(&mut self, name: &'static str) -> Option<DateTime<Utc>> {
        let text = self.values.remove(name)?;
        // A plus that was not percent-encoded has become a space; a time has no other space.
        parse_exact_time(&text.replace(' ', "+"))
            .map_err(|(code, detail)| self.fault(name, code, detail))
            .ok()
    }

    /// A Discord id.
    pub fn id(&mut self, name: &'static str) -> Option<Snowflake> {
        let text = self.values.remove(name)?;
        text.parse().map_err(|error| self.fault(name, FaultCode::InvalidId, format!("{error}"))).ok()
    }

    /// The value of one of these words.
    pub fn choice<T: Copy>(&mut self, name: &'static str, choices: &[(&str, T)]) -> Option<T> {
        let text = self.values.remove(name)?;
        let chosen = choices.iter().find(|(word, _)| *word == text).map(|(_, choice)| *choice);
        if chosen.is_none() {
            self.fault(name, FaultCode::InvalidValue, format!("must be one of {}", words(choices)));
        }
        chosen
    }

    /// The values of several of these words, separated by commas: each once, in the order given. Empty if the parameter is
    /// absent.
    pub fn choices<T: Copy + PartialEq>(&mut self, name: &'static str, choices: &[(&str, T)]) -> Vec<T> {
        let mut chosen = Vec::new();
        for word in self.values.remove(name).iter().flat_map(|text| text.split(',')) {
            match choices.iter().find(|(known, _)| *known == word) {
                Some((_, choice)) if chosen.contains(choice) => {}
                Some((_, choice)) => chosen.push(*choice),
                None => {
                    let detail = format!("must be one or several of {}, separated by commas", words(choices));
                    self.fault(name, FaultCode::InvalidValue, detail);
                    break;
                }
            }
        }
        chosen
    }

    /// Adds a fault that only the caller can detect.
    pub fn fault(&mut self, name: &str, code: FaultCode, detail: impl Into<String>) {
        if self.faults.len() < MAX_FAULTS {
            self.faults.push(Fault::in_parameter(name, code, detail));
        }
    }

    /// Reports all faults, if there are any.
    pub fn finish(self) -> Result<(), Problem> {
        if self.faults.is_empty() { Ok(()) } else { Err(self.faults.into()) }
    }
}

fn words<T>(choices: &[(&str, T)]) -> String {
    choices.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ")
}

fn decode(text: &str) -> Result<String, Problem> {
    let spaced = text.replace('+', " ");
    let decoded = percent_decode(spaced.as_bytes()).decode_utf8().map_err(|_| {
        Problem::new(Code::BadRequest, "The query is not valid UTF-8 after percent-decoding.")
    })?;
    Ok(decoded.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [&str; 5] = ["limit", "after", "q", "status", "at"];

    fn faults(query: &QueryString) -> Vec<FaultCode> {
        query.faults.iter().map(|fault| fault.code).collect()
    }

    #[test]
    fn values_are_decoded_and_parsed() {
        let mut query = QueryString::parse(
            "limit=7&after=999999999999999999&q=%EA%B8%B8+%26&status=a,b,a&at=2024-07-03T18:50:40+09:00",
            &KNOWN,
        )
        .unwrap();
        assert_eq!(query.number("limit", 1..=10), Some(7));
        assert_eq!(query.id("after"), Some(Snowflake::new(999_999_999_999_999_999)));
        assert_eq!(query.text("q", 3).as_deref(), Some("길 &"));
        assert_eq!(query.choices("status", &[("a", 1), ("b", 2)]), [1, 2]);
        assert_eq!(query.time("at").unwrap().to_rfc3339(), "2024-07-03T09:50:40+00:00");
        query.finish().unwrap();
    }

    #[test]
    fn every_fault_is_reported() {
        let mut query =
            QueryString::parse("limit=0&after=x&q=%00&status=a,c&at=1&colour=blue&limit=3", &KNOWN).unwrap();
        assert_eq!(query.number("limit", 1..=10), Some(3));
        assert_eq!(query.id("after"), None);
        assert_eq!(query.text("q", 9), None);
        assert_eq!(query.choices("status", &[("a", 1), ("b", 2)]), [1]);
        assert_eq!(query.time("at"), None);
        assert_eq!(
            faults(&query),
            [
                FaultCode::UnknownParameter,
                FaultCode::Repeated,
                FaultCode::InvalidId,
                FaultCode::ControlCharacter,
                FaultCode::InvalidValue,
                FaultCode::InvalidTime,
            ]
        );
    }

    #[test]
    fn a_number_is_digits_within_its_range() {
        for text in ["0", "11", "+7", "-1", "7.0", "99999999999999999999", "x"] {
            let mut query = QueryString::parse(&format!("limit={text}"), &KNOWN).unwrap();
            assert_eq!(query.number("limit", 1..=10), None, "{text}");
            assert_eq!(faults(&query).len(), 1, "{text}");
        }
    }

    #[test]
    fn an_empty_value_and_invalid_utf8_are_refused() {
        let mut query = QueryString::parse("&&limit=&q", &KNOWN).unwrap();
        assert_eq!((query.number("limit", 1..=2), query.text("q", 9)), (None, None));
        assert_eq!(faults(&query), [FaultCode::TooShort, FaultCode::TooShort]);
        assert!(QueryString::parse("q=%ff", &KNOWN).is_err());
    }
}
