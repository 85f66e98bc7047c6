//! Where the next page is, as a header (RFC 8288) that clients follow without knowing what is in it.

use actix_web::HttpRequest;
use actix_web::HttpResponseBuilder;
use actix_web::http::header::{HeaderValue, LINK};

use crate::cursor::CURSOR;

/// Adds the header `Link` with the relation `next`: the same request with this cursor.
pub fn link(response: &mut HttpResponseBuilder, request: &HttpRequest, cursor: &str) {
    let target = target(request.path(), request.query_string(), cursor);
    // Both come from the request's own line, which has no other bytes than a header may have.
    if let Ok(value) = HeaderValue::try_from(format!("<{target}>; rel=\"next\"")) {
        response.insert_header((LINK, value));
    }
}

fn target(path: &str, query: &str, cursor: &str) -> String {
    let mut target = format!("{path}?");
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        if pair.split('=').next() != Some(CURSOR) {
            // Brackets would end the reference; what else is odd in it was so before.
            target.push_str(&pair.replace('<', "%3C").replace('>', "%3E"));
            target.push('&');
        }
    }
    target + CURSOR + "=" + cursor
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_of_the_query_stays() {
        assert_eq!(target("/channels", "", "x"), "/channels?cursor=x");
        assert_eq!(
            target("/channels/1/messages", "limit=2&cursor=old&q=%EA%B8%B8>", "new_-"),
            "/channels/1/messages?limit=2&q=%EA%B8%B8%3E&cursor=new_-"
        );
    }
}
