//! Everything that a request asks for, as a body that is read from Postgres while it is sent: page after page, the next one
//! while the one before is on its way. A client that leaves ends the query; an error ends the connection, so that nobody
//! takes what was sent for everything.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use actix_web::body::{BodySize, MessageBody};
use actix_web::http::Method;
use actix_web::http::header::{HeaderValue, VARY};
use actix_web::{HttpRequest, HttpResponse};
use bytes::Bytes;
use dce_core::store::StoreError;
use dce_core::store::reading::messages::{PageLimits, PageReader, Row};
use tokio::task::{JoinError, JoinSet};
use tracing::Span;

use super::archive::Archive;
use super::form::Form;
use super::parameters::Parameters;
use super::rows;
use crate::problem::Problem;

/// Messages of the first page: the first byte comes soon.
const FIRST_ROWS: u32 = 100;
/// Messages of a page at most.
const MAX_ROWS: u32 = 2000;
/// Bytes that a page should have.
const AIM: usize = 2 << 20;
/// Bytes at which a page ends, whatever it should have had: twice as many and one message more are in memory.
const BYTES: usize = 4 << 20;
/// A search without a hit looks so long in one session.
const TIME: Duration = Duration::from_secs(1);
/// Bytes that are handed to the connection at a time.
const PIECE: usize = 64 << 10;

/// What is still to be read.
struct Walk {
    reader: PageReader,
    archive: Archive,
    form: Form,
    /// Messages that the client still wants; `None`: all.
    remaining: Option<u32>,
    /// Messages that the next page should have.
    rows: u32,
}

/// A page as text.
struct Batch {
    text: Bytes,
    /// What comes after it; `None`: nothing.
    rest: Option<Walk>,
}

/// A stream that has begun, and whether there is nothing at all to read.
pub struct Answer {
    /// What to answer.
    pub response: HttpResponse,
    /// No message, and no more to come.
    pub is_empty: bool,
}

/// Reads the first page, so that what fails at once is answered as a problem, and answers with everything.
pub async fn answer(
    request: &HttpRequest,
    parameters: &Parameters,
    archive: &Archive,
    reader: PageReader,
) -> Result<Answer, Problem> {
    let form = parameters.form;
    let mut head = Vec::new();
    if form == Form::Csv {
        rows::csv_header(&mut head, &parameters.columns);
    }
    let header = head.len();
    let remaining = parameters.limit;
    let walk = Walk { reader, archive: archive.clone(), form, remaining, rows: FIRST_ROWS };
    let first = archive.read(walk.read(head)).await?;
    let is_empty = first.text.len() == header && first.rest.is_none();
    let mut response = HttpResponse::Ok();
    response.content_type(form.content_type()).append_header((VARY, HeaderValue::from_static("accept")));
    // The answer to HEAD has no body, and nothing is to be read for it.
    let rest = first.rest.filter(|_| request.method() != Method::HEAD);
    Ok(Answer { response: response.body(Body::new(first.text, rest)), is_empty })
}

impl Walk {
    /// Appends the next page to this text.
    async fn read(mut self, mut text: Vec<u8>) -> Result<Batch, StoreError> {
        let write = match self.form {
            Form::Json | Form::JsonLines => json_line,
            Form::Csv => rows::csv,
        };
        let rows = self.remaining.map_or(self.rows, |remaining| remaining.min(self.rows));
        let limits = PageLimits { rows, bytes: BYTES, time: TIME, checks_for_more: false };
        let page = self
            .reader
            .page(&self.archive.sessions, limits, &mut |row| {
                let start = text.len();
                write(&mut text, row)?;
                Ok(text.len() - start)
            })
            .await?;
        self.remaining = self.remaining.map(|remaining| remaining - page.rows);
        if let Some(average) = text.len().checked_div(page.rows as usize) {
            let rows = u32::try_from(AIM / average.max(1)).unwrap_or(MAX_ROWS);
            self.rows = rows.clamp(1, MAX_ROWS);
        }
        let is_over = page.next.is_none() || self.remaining == Some(0);
        Ok(Batch { text: text.into(), rest: (!is_over).then_some(self) })
    }
}

fn json_line(out: &mut Vec<u8>, row: &Row<'_>) -> Result<(), StoreError> {
    rows::json(out, row)?;
    out.push(b'\n');
    Ok(())
}

/// The connection ends without the mark of a complete answer; the log has said why.
#[derive(Debug, thiserror::Error)]
#[error("the answer could not be completed")]
struct Broken;

/// The body. Reading is a task of its own, so that it never waits for the client in the middle of a page; dropped with the
/// body, it cancels its query.
struct Body {
    text: Bytes,
    reading: JoinSet<Result<Batch, StoreError>>,
    span: Span,
}

impl Body {
    fn new(text: Bytes, rest: Option<Walk>) -> Self {
        let mut body = Self { text, reading: JoinSet::new(), span: Span::current() };
        body.read(rest);
        body
    }

    fn read(&mut self, rest: Option<Walk>) {
        if let Some(walk) = rest {
            let text = Vec::with_capacity(AIM + (AIM >> 2));
            let archive = walk.archive.clone();
            self.span.in_scope(|| archive.start(&mut self.reading, walk.read(text)));
        }
    }

    /// What the task brought: there is more text now, or nothing comes any more.
    fn take(&mut self, read: Result<Result<Batch, StoreError>, JoinError>) -> Result<(), Broken> {
        let cause = match read {
            Ok(Ok(batch)) => {
                self.text = batch.text;
                self.read(batch.rest);
                return Ok(());
            }
            Ok(Err(error)) => error.to_string(),
            Err(error) => error.to_string(),
        };
        self.span.in_scope(|| tracing::error!(error.cause = cause, "stream.broken"));
        Err(Broken)
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
            let Some(read) = ready!(self.reading.poll_join_next(context)) else { return Poll::Ready(None) };
            if let Err(broken) = self.take(read) {
                return Poll::Ready(Some(Err(broken.into())));
            }
        }
        let piece = self.text.len().min(PIECE);
        Poll::Ready(Some(Ok(self.text.split_to(piece))))
    }
}
