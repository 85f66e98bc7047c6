//! Decides whether a page is searched by the index on the text: if the index exists and scanning finds too few messages.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use sqlx::{QueryBuilder, Row as _};

use super::sessions::Session;
use crate::store::StoreError;

/// Characters of a trigram: a shorter text cannot use the index.
const TRIGRAM_CHARS: usize = 3;
/// Scanning continues while at least one message in so many matches.
const SPARSE: i64 = 100;
/// If a page takes the index longer although it finds messages, a scan is faster.
const SLOW: Duration = Duration::from_millis(500);

/// Permits only plans that use an index on the text, and only briefly: the index is no help for a text that is common in
/// other channels.
const PLAN_SETTINGS: &str = "SELECT set_config('enable_bitmapscan', 'on', true), set_config('enable_sort', 'on', true), \
                            set_config('enable_seqscan', 'off', true), set_config('enable_indexscan', 'off', true), \
                            set_config('statement_timeout', '2s', true)";

/// The state of that decision during a read.
#[derive(Debug, Clone, Copy)]
pub(super) struct TextSearch {
    /// The index may exist and may help.
    is_possible: bool,
    index_exists: bool,
    /// Fewer than one message in a hundred of the last window matched.
    is_sparse: bool,
    opened: Option<Instant>,
}

impl TextSearch {
    pub(super) fn new(text: Option<&str>) -> Self {
        let is_possible = text.is_some_and(|text| text.chars().count() >= TRIGRAM_CHARS);
        Self { is_possible, index_exists: false, is_sparse: false, opened: None }
    }

    /// Records that so many messages of a window matched.
    pub(super) fn record_window(&mut self, found: u32, messages: i64) {
        self.is_sparse = i64::from(found) * SPARSE < messages;
    }

    /// Whether to use the index. Checks its existence once.
    pub(super) async fn is_promising(&mut self, session: &mut Session) -> Result<bool, StoreError> {
        if !self.is_possible || !self.is_sparse {
            return Ok(false);
        }
        if !self.index_exists {
            self.index_exists = index_exists(session).await?;
            self.is_possible = self.index_exists;
        }
        Ok(self.index_exists)
    }

    /// Begins a transaction that uses only an index on the text.
    pub(super) async fn open(&mut self, session: &mut Session) -> Result<(), StoreError> {
        session.execute("BEGIN").await?;
        session.execute(PLAN_SETTINGS).await?;
        self.opened = Some(Instant::now());
        Ok(())
    }

    /// Ends the transaction and returns the result. `None`: the search took too long.
    pub(super) async fn close<T>(
        &mut self,
        session: &mut Session,
        found: Result<T, StoreError>,
        rows: u32,
    ) -> Result<Option<T>, StoreError> {
        let is_slow = self.opened.take().is_some_and(|opened| opened.elapsed() > SLOW);
        match found {
            Ok(found) => {
                session.execute("COMMIT").await?;
                self.is_possible = !(is_slow && rows > 0);
                Ok(Some(found))
            }
            Err(error) if error.is_cancelled() => {
                session.execute("ROLLBACK").await?;
                self.is_possible = false;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

async fn index_exists(session: &mut Session) -> Result<bool, StoreError> {
    let mut sql = QueryBuilder::new(
        "SELECT EXISTS (SELECT FROM pg_index
                         WHERE indexrelid = to_regclass('messages_content_trgm') AND indisvalid)",
    );
    let mut index_exists = false;
    session
        .each(&mut sql, |row| {
            index_exists = row.try_get(0)?;
            Ok(ControlFlow::Continue(()))
        })
        .await?;
    Ok(index_exists)
}
