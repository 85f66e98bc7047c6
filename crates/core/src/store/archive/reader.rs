//! Reads page after page, and remembers where it is between them.
//!
//! Where an index knows which messages are wanted, a page is one statement. Where none does, channels are scanned in windows
//! of so many messages, none of which takes long; what is found so seldom that an index on the text would find it sooner is
//! looked for there.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use super::edges::{self, Times};
use super::search::Search;
use super::sessions::{Read, Session};
use super::statement::{self, Stretch};
use super::{Column, Filters, Order, Place, Position, Row, Sessions, Source};
use crate::ids::Snowflake;
use crate::store::StoreError;
use chrono::{DateTime, Utc};
use sqlx::postgres::PgRow;
use sqlx::{Postgres, QueryBuilder, Row as _};

/// Messages that the first window scans: a few hundredths of a second.
const FIRST_WINDOW: i64 = 20_000;
/// Limits of a window.
const WINDOWS: std::ops::RangeInclusive<i64> = 1_000..=80_000;
/// A window that takes less is followed by one four times as large.
const SHORT: Duration = Duration::from_millis(100);
/// A window that takes more is followed by one four times as small.
const LONG: Duration = Duration::from_millis(500);

/// What ends a page, whichever comes first.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Messages.
    pub rows: u32,
    /// Bytes, as the taker counts them: the message that reaches so many is the last.
    pub bytes: usize,
    /// Time, looked at between windows: a page may end without a message.
    pub time: Duration,
    /// Whether to look if there is one more, so that a page that ends with the last message says so.
    pub looks_ahead: bool,
}

/// A page that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// Messages in it.
    pub rows: u32,
    /// Where the next one begins; `None`: all is read.
    pub next: Option<Place>,
}

/// Takes a message, and says how many bytes that made.
pub type Take<'t> = dyn FnMut(&Row<'_>) -> Result<usize, StoreError> + Send + 't;

/// A walk through messages.
#[derive(Debug)]
pub struct Reader {
    /// What has not been begun, in the order of reading.
    sources: std::vec::IntoIter<Source>,
    filters: Filters,
    order: Order,
    columns: Vec<Column>,
    /// What is being read.
    stretch: Option<Stretch>,
    /// For the first source.
    start: Option<Place>,
    place: Option<Place>,
    window: i64,
    search: Search,
}

/// How a statement ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// The page is full.
    Full,
    /// There are no more such messages in the bounds of the statement.
    Exhausted,
}

/// A page under way.
struct Progress<'t> {
    limits: Limits,
    rows: u32,
    bytes: usize,
    take: &'t mut Take<'t>,
}

impl Reader {
    /// From the beginning, or behind a place. `None`: the place is in no channel of these.
    pub fn begin(
        mut sources: Vec<Source>,
        filters: Filters,
        order: Order,
        columns: Vec<Column>,
        start: Option<Place>,
    ) -> Option<Self> {
        if order == Order::Desc {
            sources.reverse();
        }
        if let Some(Place { channel_id, .. }) = start {
            let first = sources.iter().position(|source| source.channel_id == channel_id)?;
            sources.drain(..first);
        }
        let search = Search::new(filters.text.as_deref());
        Some(Self {
            sources: sources.into_iter(),
            filters,
            order,
            columns,
            stretch: None,
            start,
            place: start,
            window: FIRST_WINDOW,
            search,
        })
    }

    /// Reads a page in one session, which nobody holds afterwards.
    pub async fn page<'t>(
        &mut self,
        sessions: &Sessions,
        limits: Limits,
        take: &'t mut Take<'t>,
    ) -> Result<Page, StoreError> {
        let began = Instant::now();
        let mut session = sessions.acquire().await?;
        let mut progress = Progress { limits, rows: 0, bytes: 0, take };
        loop {
            let Some(stretch) = self.stretch(&mut session).await? else {
                return Ok(Page { rows: progress.rows, next: None });
            };
            let step = if self.filters.needs_scan() {
                self.scan(&mut session, stretch, &mut progress).await?
            } else {
                let step = self.read(&mut session, stretch, &mut progress, statement::page).await?;
                if step == Step::Exhausted {
                    self.stretch = None;
                }
                step
            };
            let is_over = step == Step::Full || began.elapsed() >= limits.time;
            if is_over && self.place.is_some() {
                return Ok(Page { rows: progress.rows, next: self.place });
            }
        }
    }

    /// What is being read, or what comes next.
    async fn stretch(&mut self, session: &mut Session) -> Result<Option<Stretch>, StoreError> {
        while self.stretch.is_none() {
            let Some(source) = self.sources.next() else { return Ok(None) };
            let behind =
                self.start.filter(|start| start.channel_id == source.channel_id).map(|start| start.position);
            let times = times(session, source.channel_id, &edges::named(&source, &self.filters)).await?;
            self.stretch = edges::stretch(&source, &self.filters, &times, behind);
        }
        Ok(self.stretch)
    }

    /// Looks through the next window, or asks the index on the text.
    async fn scan(
        &mut self,
        session: &mut Session,
        stretch: Stretch,
        progress: &mut Progress<'_>,
    ) -> Result<Step, StoreError> {
        if self.search.is_promising(session).await? {
            self.search.open(session).await?;
            let before = progress.rows;
            let found = self.read(session, stretch, progress, statement::found).await;
            return match self.search.close(session, found, progress.rows - before).await? {
                Some(step) => {
                    if step == Step::Exhausted {
                        self.stretch = None;
                    }
                    Ok(step)
                }
                None => Ok(Step::Exhausted), // this way is closed; what was found is passed, scanning goes on there
            };
        }
        let began = Instant::now();
        let (end, messages) = window(session, &stretch, self.order, self.window).await?;
        let Some(end) = end else {
            self.stretch = None;
            return Ok(Step::Exhausted);
        };
        let bounded = match self.order {
            Order::Asc => Stretch { to: Some(end), ..stretch },
            Order::Desc => Stretch { from: Some(end), ..stretch },
        };
        let before = progress.rows;
        let step = self.read(session, bounded, progress, statement::page).await?;
        if step == Step::Full {
            return Ok(step);
        }
        self.pass(stretch.channel_id, Position::end_of(end, self.order));
        if messages < self.window {
            self.stretch = None;
        }
        self.search.scanned(progress.rows - before, messages);
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
        stretch: Stretch,
        progress: &mut Progress<'_>,
        statement: fn(&Stretch, &Filters, Order, &[Column], i64) -> QueryBuilder<Postgres>,
    ) -> Result<Step, StoreError> {
        let ahead = i64::from(progress.limits.looks_ahead);
        let wanted = i64::from(progress.limits.rows - progress.rows) + ahead;
        let mut sql = statement(&stretch, &self.filters, self.order, &self.columns, wanted);
        let columns = std::mem::take(&mut self.columns);
        let mut has_more = false;
        let read = session
            .each(&mut sql, |row: &PgRow| {
                if progress.rows == progress.limits.rows {
                    has_more = true;
                    return Ok(ControlFlow::Continue(()));
                }
                let row = Row::new(row, &columns);
                progress.bytes += (progress.take)(&row)?;
                progress.rows += 1;
                self.pass(stretch.channel_id, row.position()?);
                let is_enough = progress.bytes >= progress.limits.bytes;
                Ok(if is_enough { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
            })
            .await;
        self.columns = columns;
        let is_full = read? == Read::Some
            || has_more
            || (!progress.limits.looks_ahead && progress.rows == progress.limits.rows);
        Ok(if is_full { Step::Full } else { Step::Exhausted })
    }

    /// Everything up to here is read.
    fn pass(&mut self, channel_id: Snowflake, position: Position) {
        self.place = Some(Place { channel_id, position });
        if let Some(stretch) = &mut self.stretch {
            stretch.behind = Some(position);
        }
    }
}

/// One message with all its columns. Whether there is one.
pub async fn message(
    sessions: &Sessions,
    channel_id: Snowflake,
    message_id: Snowflake,
    take: &mut Take<'_>,
) -> Result<bool, StoreError> {
    let mut session = sessions.acquire().await?;
    let mut is_there = false;
    let mut sql = statement::message(channel_id, message_id, &Column::ALL);
    session
        .each(&mut sql, |row| {
            is_there = true;
            take(&Row::new(row, &Column::ALL))?;
            Ok(ControlFlow::Continue(()))
        })
        .await?;
    Ok(is_there)
}

/// When these messages were sent, of those that are archived.
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

/// Where the next window ends, and how many messages it has.
async fn window(
    session: &mut Session,
    stretch: &Stretch,
    order: Order,
    at_most: i64,
) -> Result<(Option<DateTime<Utc>>, i64), StoreError> {
    let mut window = (None, 0);
    let mut sql = statement::window(stretch, order, at_most);
    session
        .each(&mut sql, |row| {
            window = (row.try_get(0)?, row.try_get(1)?);
            Ok(ControlFlow::Continue(()))
        })
        .await?;
    Ok(window)
}
