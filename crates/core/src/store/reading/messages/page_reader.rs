//! Reads page after page, and keeps its position between them.
//!
//! If an index contains all conditions, a page is one statement. Otherwise channels are scanned in windows of so many
//! messages, each of which takes little time; matches so rare that an index on the text finds them sooner are searched
//! there. An export's filter is applied to the rows that come: no index knows it.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use dce_filter::Message;
use sqlx::postgres::PgRow;
use sqlx::{Postgres, QueryBuilder, Row as _};

use super::bounds::{self, KeyRange, Times};
use super::columns::{Column, Row};
use super::query::{MessageFilters, PageStart, Position, SortOrder};
use super::sessions::{ReadExtent, Session, Sessions};
use super::sources::Source;
use super::statement;
use super::text_search::TextSearch;
use crate::ids::Snowflake;
use crate::store::StoreError;

/// Messages in the first window: a few hundredths of a second.
const FIRST_WINDOW: i64 = 20_000;
/// Limits of a window's size.
const WINDOWS: std::ops::RangeInclusive<i64> = 1_000..=80_000;
/// Rows that a page reads at most to apply an export's filter.
const MAX_ROWS_READ: u32 = 10_000;
/// Rows of one statement whose rows are filtered: a page that is full soon has read few for nothing.
const FILTERED_ROWS: u32 = 1_000;
/// If a window takes less, the next one is four times as large.
const SHORT: Duration = Duration::from_millis(100);
/// If a window takes more, the next one is a quarter of its size.
const LONG: Duration = Duration::from_millis(500);

/// The limits of a page; the first one that is reached ends it.
#[derive(Debug, Clone, Copy)]
pub struct PageLimits {
    /// Number of messages.
    pub rows: u32,
    /// Bytes, as the sink counts them: the message that reaches this number is the last.
    pub bytes: usize,
    /// Checked between windows: a page may end without a message.
    pub time: Duration,
    /// Whether to check for a further message, so that a page with the last message is reported as the last one.
    pub checks_for_more: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// Number of messages.
    pub rows: u32,
    /// Start of the next page; `None`: this is the last one.
    pub next: Option<PageStart>,
}

/// Consumes a message and returns the number of bytes that it produced.
pub type RowSink<'t> = dyn FnMut(&Row<'_>) -> Result<usize, StoreError> + Send + 't;

/// Reads messages in pages.
#[derive(Debug)]
pub struct PageReader {
    /// Sources that have not been begun, in the order of the read.
    sources: std::vec::IntoIter<Source>,
    filters: MessageFilters,
    order: SortOrder,
    columns: Vec<Column>,
    /// The rest of the present source.
    range: Option<KeyRange>,
    start: Option<PageStart>,
    /// After the last message that was read.
    next: Option<PageStart>,
    window: i64,
    search: TextSearch,
}

/// The result of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// The page is full.
    Full,
    /// The bounds of the statement contain no further match.
    Exhausted,
    /// The statement has read as many rows as it may; the next one continues after them.
    More,
}

/// The page being read.
struct PageInProgress<'t> {
    limits: PageLimits,
    rows: u32,
    /// Rows to which the export's filter was applied.
    read: u32,
    bytes: usize,
    sink: &'t mut RowSink<'t>,
}

impl PageReader {
    /// Reads from the beginning, or from `start`. `None`: `start` is in none of these channels.
    pub fn new(
        mut sources: Vec<Source>,
        filters: MessageFilters,
        order: SortOrder,
        columns: Vec<Column>,
        start: Option<PageStart>,
    ) -> Option<Self> {
        if order == SortOrder::Desc {
            sources.reverse();
        }
        if let Some(PageStart { channel_id, .. }) = start {
            let first = sources.iter().position(|source| source.channel_id == channel_id)?;
            sources.drain(..first);
        }
        let search = TextSearch::new(filters.text.as_deref());
        Some(Self {
            sources: sources.into_iter(),
            filters,
            order,
            columns,
            range: None,
            start,
            next: start,
            window: FIRST_WINDOW,
            search,
        })
    }

    /// Reads a page in one session, which is released afterwards.
    pub async fn page<'t>(
        &mut self,
        sessions: &Sessions,
        limits: PageLimits,
        sink: &'t mut RowSink<'t>,
    ) -> Result<Page, StoreError> {
        let began = Instant::now();
        let mut session = sessions.acquire().await?;
        let mut page = PageInProgress { limits, rows: 0, read: 0, bytes: 0, sink };
        loop {
            let Some(range) = self.range(&mut session).await? else {
                return Ok(Page { rows: page.rows, next: None });
            };
            let step = if self.filters.needs_scan() {
                self.scan(&mut session, range, &mut page).await?
            } else {
                let step = self.read(&mut session, range, &mut page, statement::page).await?;
                if step == Step::Exhausted {
                    self.range = None;
                }
                step
            };
            let is_over = step == Step::Full || page.read >= MAX_ROWS_READ || began.elapsed() >= limits.time;
            if is_over && self.next.is_some() {
                return Ok(Page { rows: page.rows, next: self.next });
            }
        }
    }

    /// The rest of the present source, or the next source.
    async fn range(&mut self, session: &mut Session) -> Result<Option<KeyRange>, StoreError> {
        while self.range.is_none() {
            let Some(source) = self.sources.next() else { return Ok(None) };
            let after =
                self.start.filter(|start| start.channel_id == source.channel_id).map(|start| start.position);
            let times =
                times(session, source.channel_id, &bounds::bounding_ids(&source, &self.filters)).await?;
            self.range = bounds::key_range(&source, &self.filters, &times, after);
        }
        Ok(self.range)
    }

    /// Scans the next window, or searches the index on the text.
    async fn scan(
        &mut self,
        session: &mut Session,
        range: KeyRange,
        page: &mut PageInProgress<'_>,
    ) -> Result<Step, StoreError> {
        if self.search.is_promising(session).await? {
            self.search.open(session).await?;
            let before = page.rows;
            let found = self.read(session, range, page, statement::page_by_text_index).await;
            return match self.search.close(session, found, page.rows - before).await? {
                Some(step) => {
                    if step == Step::Exhausted {
                        self.range = None;
                    }
                    Ok(step)
                }
                None => Ok(Step::Exhausted), // the index is given up; scanning continues after the messages that it found
            };
        }
        let began = Instant::now();
        let (end, messages) = window(session, &range, self.order, self.window).await?;
        let Some(end) = end else {
            self.range = None;
            return Ok(Step::Exhausted);
        };
        let bounded = match self.order {
            SortOrder::Asc => KeyRange { to: Some(end), ..range },
            SortOrder::Desc => KeyRange { from: Some(end), ..range },
        };
        let before = page.rows;
        let step = self.read(session, bounded, page, statement::page).await?;
        if step != Step::Exhausted {
            return Ok(step);
        }
        self.advance(range.channel_id, Position::end_of(end, self.order));
        if messages < self.window {
            self.range = None;
        }
        self.search.record_window(page.rows - before, messages);
        let took = began.elapsed();
        let next = if took < SHORT {
            self.window * 4
        } else if took > LONG {
            self.window / 4
        } else {
            self.window
        };
        self.window = next.clamp(*WINDOWS.start(), *WINDOWS.end());
        Ok(Step::Exhausted)
    }

    /// Runs one statement.
    async fn read(
        &mut self,
        session: &mut Session,
        range: KeyRange,
        page: &mut PageInProgress<'_>,
        statement: fn(&KeyRange, &MessageFilters, SortOrder, &[Column], i64) -> QueryBuilder<Postgres>,
    ) -> Result<Step, StoreError> {
        let columns = std::mem::take(&mut self.columns);
        let filter = self.filters.export_filter.take();
        let wanted = if filter.is_some() {
            FILTERED_ROWS.min(MAX_ROWS_READ.saturating_sub(page.read))
        } else {
            (page.limits.rows - page.rows).saturating_add(page.limits.checks_for_more.into())
        };
        let mut selected = columns.clone();
        selected.extend(filter.is_some().then_some(Column::Raw));
        let mut sql = statement(&range, &self.filters, self.order, &selected, wanted.into());
        let (mut has_more, mut rows) = (false, 0);
        let read = session
            .each(&mut sql, |row: &PgRow| {
                rows += 1;
                if has_more {
                    return Ok(ControlFlow::Continue(()));
                }
                let row = Row::new(row, &columns);
                if let Some(filter) = &filter
                    && !filter.matches(&Message::read(row.json_after_columns()?))
                {
                    self.advance(range.channel_id, row.position()?);
                    return Ok(ControlFlow::Continue(()));
                }
                if page.rows == page.limits.rows {
                    has_more = true;
                    return Ok(ControlFlow::Continue(()));
                }
                page.bytes += (page.sink)(&row)?;
                page.rows += 1;
                self.advance(range.channel_id, row.position()?);
                let is_enough = page.bytes >= page.limits.bytes;
                Ok(if is_enough { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
            })
            .await;
        self.columns = columns;
        let may_follow = filter.is_some() && rows == wanted;
        if filter.is_some() {
            page.read += rows;
        }
        self.filters.export_filter = filter;
        let is_full = read? == ReadExtent::SomeRows
            || has_more
            || (!page.limits.checks_for_more && page.rows == page.limits.rows);
        Ok(match (is_full, may_follow) {
            (true, _) => Step::Full,
            (false, true) => Step::More,
            (false, false) => Step::Exhausted,
        })
    }

    /// Records the position up to which everything is read.
    fn advance(&mut self, channel_id: Snowflake, position: Position) {
        self.next = Some(PageStart { channel_id, position });
        if let Some(range) = &mut self.range {
            range.after = Some(position);
        }
    }
}

/// Reads one message with all its columns. `false`: it is not archived.
pub async fn read_message(
    sessions: &Sessions,
    channel_id: Snowflake,
    message_id: Snowflake,
    sink: &mut RowSink<'_>,
) -> Result<bool, StoreError> {
    let mut session = sessions.acquire().await?;
    let mut exists = false;
    let mut sql = statement::message(channel_id, message_id, &Column::ALL);
    session
        .each(&mut sql, |row| {
            exists = true;
            sink(&Row::new(row, &Column::ALL))?;
            Ok(ControlFlow::Continue(()))
        })
        .await?;
    Ok(exists)
}

/// Reads the times of those messages that are archived.
async fn times(session: &mut Session, channel_id: Snowflake, ids: &[Snowflake]) -> Result<Times, StoreError> {
    let mut times = Times::new();
    if !ids.is_empty() {
        let mut sql = statement::times(channel_id, ids);
        session
            .each(&mut sql, |row| {
                if let Ok(id) = row.try_get::<&str, _>(0)?.parse() {
                    times.insert(id, row.try_get(1)?);
                }
                Ok(ControlFlow::Continue(()))
            })
            .await?;
    }
    Ok(times)
}

/// Reads the end of the next window and its number of messages.
async fn window(
    session: &mut Session,
    range: &KeyRange,
    order: SortOrder,
    at_most: i64,
) -> Result<(Option<DateTime<Utc>>, i64), StoreError> {
    let mut window = (None, 0);
    let mut sql = statement::window(range, order, at_most);
    session
        .each(&mut sql, |row| {
            window = (row.try_get(0)?, row.try_get(1)?);
            Ok(ControlFlow::Continue(()))
        })
        .await?;
    Ok(window)
}
