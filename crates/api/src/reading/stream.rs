//! Streams all messages that a request asks for. The body is read from Postgres while it is sent: page after page, each one
//! while the previous one is being sent. A client that disconnects cancels the query. An error closes the connection, so
//! that no client mistakes a partial body for a complete one.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::body::{BodySize, MessageBody};
use actix_web::http::Method;
use bytes::Bytes;
use dce_core::store::StoreError;
use dce_core::store::reading::messages::{PageLimits, PageReader};
use tokio::task::{JoinError, JoinSet};
use tracing::Span;

use super::answer::{Answer, builder};
use super::negotiation::MessageFormat;
use super::parameters::Parameters;
use super::sessions::ReadSessions;
use crate::formats::{csv, json};
use crate::problem::Problem;

/// Rows of the first page: few, so that the first byte is sent early.
const FIRST_ROWS: u32 = 100;
/// Maximum number of rows of a page.
const MAX_ROWS: u32 = 2000;
/// Target size of a page, in bytes.
const TARGET_BYTES: usize = 2 << 20;
/// Maximum size of a page, in bytes. Twice as many bytes and one message are in memory.
const MAX_BYTES: usize = 4 << 20;
/// A search without a match releases its session after this time.
const MAX_TIME: Duration = Duration::from_secs(1);
/// Maximum size of one chunk that is passed to the connection, in bytes.
const CHUNK: usize = 64 << 10;

/// The part that is still to be read.
struct Remainder {
    reader: PageReader,
    sessions: ReadSessions,
    format: MessageFormat,
    /// Messages left until the client's limit; `None`: no limit.
    limit: Option<u32>,
    /// Rows of the next page.
    rows: u32,
}

/// A page as text.
struct Page {
    text: Bytes,
    /// What follows the page; `None`: it is the last one.
    rest: Option<Remainder>,
}

/// Reads the first page, so that an early failure is reported as a problem, and streams the rest.
pub(super) async fn answer(
    request: &HttpRequest,
    parameters: &Parameters,
    sessions: &ReadSessions,
    reader: PageReader,
) -> Result<Answer, Problem> {
    let format = parameters.format;
    let mut head = Vec::new();
    if format == MessageFormat::Csv {
        csv::append_header(&mut head, &parameters.columns);
    }
    let header = head.len();
    let limit = parameters.limit;
    let all = Remainder { reader, sessions: sessions.clone(), format, limit, rows: FIRST_ROWS };
    let first = sessions.read(all.read(head)).await?;
    let is_empty = first.text.len() == header && first.rest.is_none();
    // A response to HEAD has no body: nothing more is read for it.
    let rest = first.rest.filter(|_| request.method() != Method::HEAD);
    Ok(Answer { response: builder(format).body(Body::new(first.text, rest)), is_empty })
}

impl Remainder {
    /// Appends the next page to `text`.
    async fn read(mut self, mut text: Vec<u8>) -> Result<Page, StoreError> {
        let write = match self.format {
            MessageFormat::Json | MessageFormat::JsonLines => json::append_line,
            MessageFormat::Csv => csv::append_line,
        };
        let rows = self.limit.map_or(self.rows, |limit| limit.min(self.rows));
        let limits = PageLimits { rows, bytes: MAX_BYTES, time: MAX_TIME, checks_for_more: false };
        let page = self
            .reader
            .page(&self.sessions.pool, limits, &mut |row| {
                let start = text.len();
                write(&mut text, row)?;
                Ok(text.len() - start)
            })
            .await?;
        self.limit = self.limit.map(|limit| limit - page.rows);
        if let Some(average) = text.len().checked_div(page.rows as usize) {
            let rows = u32::try_from(TARGET_BYTES / average.max(1)).unwrap_or(MAX_ROWS);
            self.rows = rows.clamp(1, MAX_ROWS);
        }
        let is_over = page.next.is_none() || self.limit == Some(0);
        Ok(Page { text: text.into(), rest: (!is_over).then_some(self) })
    }
}

/// Closes the connection before the response is complete. The log has the reason.
#[derive(Debug, thiserror::Error)]
#[error("the response could not be completed")]
struct Aborted;

/// The body. A task of its own reads, so that a page is never interrupted to wait for the client. Dropping the body cancels
/// the task and its query.
struct Body {
    text: Bytes,
    task: JoinSet<Result<Page, StoreError>>,
    span: Span,
}

impl Body {
    fn new(text: Bytes, rest: Option<Remainder>) -> Self {
        let mut body = Self { text, task: JoinSet::new(), span: Span::current() };
        body.read(rest);
        body
    }

    fn read(&mut self, rest: Option<Remainder>) {
        if let Some(rest) = rest {
            let text = Vec::with_capacity(TARGET_BYTES + (TARGET_BYTES >> 2));
            let sessions = rest.sessions.clone();
            self.span.in_scope(|| sessions.spawn(&mut self.task, rest.read(text)));
        }
    }

    /// Handles the result of the task: stores the page and starts reading the next one.
    fn receive(&mut self, read: Result<Result<Page, StoreError>, JoinError>) -> Result<(), Aborted> {
        let cause = match read {
            Ok(Ok(page)) => {
                self.text = page.text;
                self.read(page.rest);
                return Ok(());
            }
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        self.span.in_scope(|| tracing::error!(error.cause = cause, "stream.broken"));
        Err(Aborted)
    }
}

impl MessageBody for Body {
    type Error = Box<dyn std::error::Error>;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        while self.text.is_empty() {
            let Some(read) = ready!(self.task.poll_join_next(context)) else { return Poll::Ready(None) };
            if let Err(aborted) = self.receive(read) {
                return Poll::Ready(Some(Err(aborted.into())));
            }
        }
        let chunk = self.text.len().min(CHUNK);
        Poll::Ready(Some(Ok(self.text.split_to(chunk))))
    }
}
