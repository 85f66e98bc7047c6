//! In which form messages are wanted: the header `Accept` (RFC 9110, 12.5.1).

use actix_web::HttpRequest;
use actix_web::http::header::ACCEPT;

use crate::problem::{Code, Problem};

/// A form of a list of messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A page.
    Json,
    /// Everything, one object a line.
    JsonLines,
    /// Everything, as RFC 4180 has it.
    Csv,
}

/// The forms with their media types; of equally good ones the first is taken.
const OFFERED: [(Form, &str, &str); 3] = [
    (Form::Json, "application", "json"),
    (Form::JsonLines, "application", "x-ndjson"),
    (Form::Csv, "text", "csv"),
];

impl Form {
    /// The form that the client likes best. Without the header a page.
    ///
    /// # Errors
    /// `not_acceptable` if it likes none of them.
    pub fn of(request: &HttpRequest) -> Result<Self, Problem> {
        let mut accept = String::new();
        for value in request.headers().get_all(ACCEPT) {
            accept.push_str(value.to_str().unwrap_or_default());
            accept.push(',');
        }
        best(&accept).ok_or_else(|| {
            Problem::new(
                Code::NotAcceptable,
                "Accept one of application/json (pages), application/x-ndjson or text/csv (everything).",
            )
        })
    }

    /// The value of `Content-Type`.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::JsonLines => "application/x-ndjson",
            Self::Csv => "text/csv; charset=utf-8; header=present",
        }
    }
}

fn best(accept: &str) -> Option<Form> {
    let ranges: Vec<_> = accept.split(',').filter_map(Range::parse).collect();
    if ranges.is_empty() {
        return Some(Form::Json);
    }
    let mut best = None;
    for (form, kind, subtype) in OFFERED {
        // The most specific range decides.
        let weight =
            ranges.iter().filter_map(|range| range.fits(kind, subtype)).max_by_key(|(depth, _)| *depth);
        if let Some((_, weight)) = weight
            && weight > best.map_or(0, |(_, weight)| weight)
        {
            best = Some((form, weight));
        }
    }
    best.map(|(form, _)| form)
}

/// A media range with its weight in thousandths.
struct Range<'a> {
    kind: &'a str,
    subtype: &'a str,
    weight: u16,
}

impl<'a> Range<'a> {
    /// What is no media range counts as not there.
    fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let (kind, subtype) = parts.next()?.split_once('/')?;
        let weight = parts
            .filter_map(|part| part.split_once('='))
            .find(|(name, _)| name.trim().eq_ignore_ascii_case("q"));
        let weight = match weight {
            None => 1000,
            Some((_, value)) => thousandths(value.trim())?,
        };
        Some(Self { kind, subtype, weight })
    }

    /// How specific it is and what it weighs, if it includes this type.
    fn fits(&self, kind: &str, subtype: &str) -> Option<(u8, u16)> {
        let same_kind = self.kind.eq_ignore_ascii_case(kind);
        match (self.kind, self.subtype) {
            ("*", "*") => Some((0, self.weight)),
            (_, "*") if same_kind => Some((1, self.weight)),
            (_, text) if same_kind && text.eq_ignore_ascii_case(subtype) => Some((2, self.weight)),
            _ => None,
        }
    }
}

/// `0`, `1`, `0.7`, `0.123`.
fn thousandths(text: &str) -> Option<u16> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() > 3 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let weight = whole.parse::<u16>().ok()? * 1000 + format!("{fraction:0<3}").parse::<u16>().ok()?;
    (whole.len() == 1 && weight <= 1000).then_some(weight)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_with_the_greatest_weight_is_taken() {
        for (accept, form) in [
            ("", Some(Form::Json)),
            ("*/*", Some(Form::Json)),
            ("text/*", Some(Form::Csv)),
            ("application/*", Some(Form::Json)),
            ("text/html, application/x-ndjson", Some(Form::JsonLines)),
            ("Text/CSV;charset=utf-8", Some(Form::Csv)),
            ("application/json;q=0.5, text/csv;q=0.501", Some(Form::Csv)),
            ("application/json; Q=0.5, text/csv; q=0.5", Some(Form::Json)),
            ("*/*;q=0.1, application/json;q=0, text/csv;q=0", Some(Form::JsonLines)),
            ("application/json;q=0, */*", Some(Form::JsonLines)),
            ("text/html,application/xhtml+xml,*/*;q=0.8", Some(Form::Json)),
            ("text/html", None),
            ("application/json;q=0", None),
        ] {
            assert_eq!(best(accept), form, "{accept}");
        }
    }

    #[test]
    fn what_is_no_weight_makes_no_range() {
        for text in ["2", "1.001", "-1", "0.1234", "x", "", "0.x", "65.536", "9"] {
            assert_eq!(thousandths(text), None, "{text}");
        }
        assert_eq!(["0", "1", "1.000", "0.5", "0.05"].map(thousandths), [0, 1000, 1000, 500, 50].map(Some));
    }
}
