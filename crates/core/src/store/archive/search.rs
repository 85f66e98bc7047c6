//! When a page is looked for by an index on the text: if there is one, and scanning finds too little.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use sqlx::{QueryBuilder, Row as _};

use super::sessions::Session;
use crate::store::StoreError;

/// Characters below which no trigram is whole.
const SHORTEST: usize = 3;
/// One message in so many found by a scan is enough to go on scanning.
const SPARSE: i64 = 100;
/// A page that the index takes longer for, although there are enough, is found sooner by a scan.
const SLOW: Duration = Duration::from_millis(500);

/// Plans that an index on the text can have, and no others, and not for long: a text that is common elsewhere is no
/// matter for it.
const PLANS: &str = "SELECT set_config('enable_bitmapscan', 'on', true), set_config('enable_sort', 'on', true), \
                            set_config('enable_seqscan', 'off', true), set_config('enable_indexscan', 'off', true), \
                            set_config('statement_timeout', '2s', true)";

/// What is known of this way so far.
#[derive(Debug, Clone, Copy)]
pub(super) struct Search {
    /// There may be an index, and it may help.
    is_possible: bool,
    /// The index is there.
    is_there: bool,
    /// The last window had less than one in a hundred.
    is_sparse: bool,
    opened: Option<Instant>,
}

impl Search {
    pub(super) fn new(text: Option<&str>) -> Self {
        let is_possible = text.is_some_and(|text| text.chars().count() >= SHORTEST);
        Self { is_possible, is_there: false, is_sparse: false, opened: None }
    }

    /// A window of so many messages had so many that were wanted.
    pub(super) fn scanned(&mut self, found: u32, messages: i64) {
        self.is_sparse = i64::from(found) * SPARSE < messages;
    }

    /// Whether to ask the index. Looks once whether there is one.
    pub(super) async fn is_promising(&mut self, session: &mut Session) -> Result<bool, StoreError> {
        if !self.is_possible || !self.is_sparse {
            return Ok(false);
        }
        if !self.is_there {
            self.is_there = is_there(session).await?;
            self.is_possible = self.is_there;
        }
        Ok(self.is_there)
    }

    /// Begins a transaction in which nothing but such an index is used.
    pub(super) async fn open(&mut self, session: &mut Session) -> Result<(), StoreError> {
        session.execute("BEGIN").await?;
        session.execute(PLANS).await?;
        self.opened = Some(Instant::now());
        Ok(())
    }

    /// Ends it, and gives what came out. `None`: it took too long.
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

async fn is_there(session: &mut Session) -> Result<bool, StoreError> {
    let mut sql = QueryBuilder::new(
        "SELECT EXISTS (SELECT FROM pg_index
                         WHERE indexrelid = to_regclass('messages_content_trgm') AND indisvalid)",
    );
    let mut is_there = false;
    session
        .each(&mut sql, |row| {
            is_there = row.try_get(0)?;
            Ok(ControlFlow::Continue(()))
        })
        .await?;
    Ok(is_there)
}
