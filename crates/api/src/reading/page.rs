//! Reads one page of messages as one JSON document.

use std::time::Duration;

use actix_web::HttpRequest;
use dce_core::store::StoreError;
use dce_core::store::reading::messages::{Page, PageLimits, PageReader, Sessions};

use super::answer::{Answer, builder};
use super::parameters::Parameters;
use super::sessions::ReadSessions;
use crate::formats::json;
use crate::pagination::link_next_page;
use crate::problem::Problem;

/// A page ends with the message that reaches this size in bytes.
const MAX_BYTES: usize = 8 << 20;
/// A page ends early after a search of this duration.
const MAX_TIME: Duration = Duration::from_secs(5);

pub(super) async fn answer(
    request: &HttpRequest,
    parameters: &Parameters,
    sessions: &ReadSessions,
    reader: PageReader,
) -> Result<Answer, Problem> {
    let rows = parameters.limit.unwrap_or(u32::MAX);
    let (mut body, page) = sessions.read(read(sessions.pool.clone(), reader, rows)).await?;
    let cursor = page.next.map(|start| parameters.cursor(start));
    body.extend_from_slice(b"],\"next_cursor\":");
    // Cursors are letters, digits, `-` and `_`.
    match &cursor {
        Some(cursor) => body.extend_from_slice(format!("\"{cursor}\"}}").as_bytes()),
        None => body.extend_from_slice(b"null}"),
    }
    let mut response = builder(parameters.format);
    if let Some(cursor) = &cursor {
        link_next_page(&mut response, request, cursor);
    }
    Ok(Answer { response: response.body(body), is_empty: page.rows == 0 && cursor.is_none() })
}

/// The body up to its last message.
async fn read(sessions: Sessions, mut reader: PageReader, rows: u32) -> Result<(Vec<u8>, Page), StoreError> {
    let limits = PageLimits { rows, bytes: MAX_BYTES, time: MAX_TIME, checks_for_more: true };
    let mut body = b"{\"messages\":[".to_vec();
    let mut is_first = true;
    let page = reader
        .page(&sessions, limits, &mut |row| {
            let start = body.len();
            if !is_first {
                body.push(b',');
            }
            is_first = false;
            json::append(&mut body, row)?;
            Ok(body.len() - start)
        })
        .await?;
    Ok((body, page))
}
