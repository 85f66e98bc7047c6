//! A page of messages as one JSON document.

use std::time::Duration;

use actix_web::http::header::{HeaderValue, VARY};
use actix_web::{HttpRequest, HttpResponse};
use dce_core::store::StoreError;
use dce_core::store::reading::messages::{Page, PageLimits, PageReader, Sessions};

use super::archive::Archive;
use super::form::Form;
use super::parameters::Parameters;
use super::{next_page, rows};
use crate::problem::Problem;

/// A page ends with the message that reaches so many bytes.
const BYTES: usize = 8 << 20;
/// A page that has searched for so long ends with what it has.
const TIME: Duration = Duration::from_secs(5);

/// A page, and whether there is nothing at all to read.
pub struct Answer {
    /// What to answer.
    pub response: HttpResponse,
    /// No message, and no next page.
    pub is_empty: bool,
}

/// Reads a page.
pub async fn answer(
    request: &HttpRequest,
    parameters: &Parameters,
    archive: &Archive,
    reader: PageReader,
) -> Result<Answer, Problem> {
    let rows = parameters.limit.unwrap_or(u32::MAX);
    let (mut body, page) = archive.read(read(archive.sessions.clone(), reader, rows)).await?;
    let cursor = page.next.map(|place| parameters.cursor(place));
    body.extend_from_slice(b"],\"next_cursor\":");
    // Cursors are letters, digits, `-` and `_`.
    match &cursor {
        Some(cursor) => body.extend_from_slice(format!("\"{cursor}\"}}").as_bytes()),
        None => body.extend_from_slice(b"null}"),
    }
    let mut response = HttpResponse::Ok();
    response
        .content_type(Form::Json.content_type())
        .append_header((VARY, HeaderValue::from_static("accept")));
    if let Some(cursor) = &cursor {
        next_page::link(&mut response, request, cursor);
    }
    Ok(Answer { response: response.body(body), is_empty: page.rows == 0 && cursor.is_none() })
}

/// The body up to its last message.
async fn read(sessions: Sessions, mut reader: PageReader, rows: u32) -> Result<(Vec<u8>, Page), StoreError> {
    let limits = PageLimits { rows, bytes: BYTES, time: TIME, checks_for_more: true };
    let mut body = b"{\"messages\":[".to_vec();
    let mut is_first = true;
    let page = reader
        .page(&sessions, limits, &mut |row| {
            let start = body.len();
            if !is_first {
                body.push(b',');
            }
            is_first = false;
            rows::json(&mut body, row)?;
            Ok(body.len() - start)
        })
        .await?;
    Ok((body, page))
}
