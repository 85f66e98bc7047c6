//! Content negotiation: the format of messages according to the header `Accept` (RFC 9110, 12.5.1).

use actix_web::HttpRequest;
use actix_web::http::header::{Accept, Header as _, Quality};

use crate::problem::{Code, Problem};

/// A format of a list of messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageFormat {
    /// One page.
    Json,
    /// All messages, one object a line.
    JsonLines,
    /// All messages, as in RFC 4180.
    Csv,
}

/// The formats with their media types. The first of equally acceptable ones is chosen.
const OFFERED: [(MessageFormat, &str, &str); 3] = [
    (MessageFormat::Json, "application", "json"),
    (MessageFormat::JsonLines, "application", "x-ndjson"),
    (MessageFormat::Csv, "text", "csv"),
];

impl MessageFormat {
    /// The format that the client prefers; a page of JSON without the header. Invalid media ranges count as absent.
    ///
    /// # Errors
    /// `not_acceptable` if the client accepts none of them.
    pub fn negotiate(request: &HttpRequest) -> Result<Self, Problem> {
        let accept = Accept::parse(request).map_or_else(|_| Vec::new(), |accept| accept.0);
        if accept.is_empty() {
            return Ok(Self::Json);
        }
        let mut best = None;
        for (format, kind, subtype) in OFFERED {
            // The most specific range decides.
            let ranges = accept.iter().filter_map(|range| {
                let specificity = match (range.item.type_().as_str(), range.item.subtype().as_str()) {
                    ("*", "*") => 0,
                    (its_kind, "*") if its_kind == kind => 1,
                    (its_kind, its_subtype) if its_kind == kind && its_subtype == subtype => 2,
                    _ => return None,
                };
                Some((specificity, range.quality))
            });
            if let Some((_, quality)) = ranges.max_by_key(|(specificity, _)| *specificity)
                && quality > best.map_or(Quality::ZERO, |(_, quality)| quality)
            {
                best = Some((format, quality));
            }
        }
        best.map(|(format, _)| format).ok_or_else(|| {
            Problem::new(
                Code::NotAcceptable,
                "Accept application/json (pages), application/x-ndjson or text/csv (all messages).",
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

#[cfg(test)]
mod tests {
    use actix_web::http::header::ACCEPT;
    use actix_web::test::TestRequest;

    use super::*;

    fn negotiated(values: &[&str]) -> Option<MessageFormat> {
        let request = TestRequest::default();
        let request = values.iter().fold(request, |request, value| request.append_header((ACCEPT, *value)));
        MessageFormat::negotiate(&request.to_http_request()).ok()
    }

    #[test]
    fn the_acceptable_format_with_the_greatest_weight_is_chosen() {
        for (accept, format) in [
            ("", Some(MessageFormat::Json)),
            ("*/*", Some(MessageFormat::Json)),
            ("text/*", Some(MessageFormat::Csv)),
            ("application/*", Some(MessageFormat::Json)),
            ("text/html, application/x-ndjson", Some(MessageFormat::JsonLines)),
            ("Text/CSV;charset=utf-8", Some(MessageFormat::Csv)),
            ("application/json;q=0.5, text/csv;q=0.501", Some(MessageFormat::Csv)),
            ("application/json; Q=0.5, text/csv; q=0.5", Some(MessageFormat::Json)),
            ("*/*;q=0.1, application/json;q=0, text/csv;q=0", Some(MessageFormat::JsonLines)),
            ("application/json;q=0, */*", Some(MessageFormat::JsonLines)),
            ("text/html,application/xhtml+xml,*/*;q=0.8", Some(MessageFormat::Json)),
            ("text/html", None),
            ("application/json;q=0", None),
        ] {
            assert_eq!(negotiated(&[accept]), format, "{accept}");
        }
        assert_eq!(negotiated(&[]), Some(MessageFormat::Json));
        assert_eq!(negotiated(&["text/html", "text/csv"]), Some(MessageFormat::Csv));
    }

    #[test]
    fn a_range_with_an_invalid_weight_counts_as_absent() {
        for weight in ["2", "1.001", "-1", "0.1234", "x", "", "0.x", "65.536", "9"] {
            let accept = format!("text/csv;q={weight}, application/x-ndjson;q=0.1");
            assert_eq!(negotiated(&[&accept]), Some(MessageFormat::JsonLines), "{weight}");
        }
        for weight in ["0.2", "1", "1.000", "0.5", "0.101"] {
            let accept = format!("text/csv;q={weight}, application/x-ndjson;q=0.1");
            assert_eq!(negotiated(&[&accept]), Some(MessageFormat::Csv), "{weight}");
        }
    }
}
