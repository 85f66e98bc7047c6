//! The proof of an end: asks Discord itself whether anything below a run's bound was left unread.
//!
//! DCE alone proves nothing: since mid-2026 it takes refused requests for an empty channel, and Discord lists nothing to a
//! bot that may not read the history (docs/dce.md). [`judge`] decides from one page; [`confirm`] checks refusals that DCE
//! reports.

pub mod confirm;
mod discord_clock;
mod failure;
pub mod judge;
mod readable;
#[cfg(test)]
mod simulation;

use std::iter;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use dce_core::db::PgPool;
use dce_core::export::failure::{Failure, FailureKind};
use dce_core::ids::Snowflake;
use dce_core::store::batches::absent;
use dce_core::store::in_time;
use dce_discord::{Answer, Client, Error, MessageStub, MessagesQuery, Position as Place};

use discord_clock::DiscordClock;
pub use failure::Refusal;
use judge::{Bounds, Listed, PAGE, Position, Verdict, judge};
use readable::Access;

/// How long a question may take while the run keeps its slot.
const PATIENCE: Duration = Duration::from_secs(60);

/// The question about the end of one run.
#[derive(Clone, Copy)]
pub struct Question<'a> {
    pub channel_id: Snowflake,
    /// The run's bound, exclusive.
    pub upper: Snowflake,
    pub position: Position<'a>,
    /// When this attempt began to start DCE, if it did.
    pub started: Option<Instant>,
}

/// The answer to a [`Question`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Proven(Proof),
    /// Nothing can be proven with this token: DCE's word counts.
    NotVerified,
    /// Discord has messages that were not read.
    Short(Shortfall),
}

/// Discord says that nothing below the bound was left unread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proof {
    /// The run's bound, which Discord's clock may have lowered.
    pub bound: Snowflake,
    /// The newest message below it.
    pub newest: Option<Snowflake>,
    /// The run's cursor, which a thread's placeholder may have moved.
    pub cursor: Option<Snowflake>,
    /// When Discord answered, by its own clock.
    pub answered_at: Option<DateTime<Utc>>,
}

/// Messages that were not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shortfall {
    pub bound: Snowflake,
    pub cursor: Option<Snowflake>,
    /// The newest one above the cursor.
    pub newest: Option<Snowflake>,
    /// The oldest one below the cursor: it became visible after later ones had been read.
    pub late: Option<Snowflake>,
}

/// Asks Discord on behalf of one attempt and counts the requests.
#[derive(Debug)]
pub struct Inquiry<'a> {
    client: &'a Client,
    archive: &'a PgPool,
    deadline: Instant,
    requests: u32,
}

impl<'a> Inquiry<'a> {
    /// Begins to ask; waits a minute for answers.
    pub fn new(client: &'a Client, archive: &'a PgPool) -> Self {
        Self { client, archive, deadline: Instant::now() + PATIENCE, requests: 0 }
    }

    /// HTTP requests so far.
    pub const fn requests(&self) -> u32 {
        self.requests
    }

    /// Asks whether the run has read everything.
    pub async fn prove(&mut self, question: Question<'_>) -> Result<Outcome, Refusal> {
        let mut upper = question.upper;
        let mut is_readable = false;
        loop {
            let answer = self.messages(question.channel_id, PAGE, Place::Before(upper)).await?;
            let cursor = question.position.cursor;
            if has_unplaced_news(&answer.value, cursor.max(question.position.start)) {
                return Ok(Outcome::Short(Shortfall { bound: upper, cursor, newest: None, late: None }));
            }
            let page = listed(&answer.value);
            let newest = page.iter().map(|message| message.id).max();
            let clock = answer.date.map(DiscordClock::new);
            let elapsed = question.started.map(|started| answer.received.saturating_duration_since(started));
            let bounds = Bounds {
                upper,
                now: clock.and_then(|clock| clock.bound(newest)),
                attempt_start: clock
                    .zip(elapsed)
                    .and_then(|(clock, elapsed)| clock.start_of_attempt(elapsed)),
            };
            let proof = Proof { bound: upper, newest, cursor, answered_at: answer.date };
            return match judge(&page, bounds, question.position) {
                Verdict::AskBelow(bound) => {
                    upper = bound;
                    continue;
                }
                Verdict::Empty { bound } if is_readable => {
                    Ok(Outcome::Proven(Proof { bound, newest: None, ..proof }))
                }
                // The list may have been empty only while the history was hidden, so it is asked for again.
                Verdict::Empty { .. } => match self.access(question).await? {
                    Access::Readable => {
                        is_readable = true;
                        continue;
                    }
                    Access::Unknown => Ok(Outcome::NotVerified),
                },
                Verdict::Proven { bound, newest, cursor, suspects } => {
                    Ok(match self.late(question.channel_id, &suspects).await? {
                        None => Outcome::Proven(Proof { bound, newest, cursor, ..proof }),
                        late => {
                            let bound = bounds.above(bound, late);
                            Outcome::Short(Shortfall { bound, cursor, newest: None, late })
                        }
                    })
                }
                Verdict::Short { bound, newest, suspects } => {
                    let late = self.late(question.channel_id, &suspects).await?;
                    let bound = bounds.above(bound, late);
                    Ok(Outcome::Short(Shortfall { bound, cursor, newest: Some(newest), late }))
                }
            };
        }
    }

    /// The oldest suspect that is neither archived nor erased. A placeholder is archived if its message is, too.
    async fn late(&self, channel_id: Snowflake, suspects: &[Listed]) -> Result<Option<Snowflake>, Refusal> {
        if suspects.is_empty() {
            return Ok(None);
        }
        let messages = suspects.iter().flat_map(|suspect| {
            let stood_for = suspect.stands_for().map(|id| (id, None));
            iter::once((suspect.id, suspect.author_id)).chain(stood_for)
        });
        let absent = in_time(absent::absent_ids(self.archive, channel_id, messages)).await?;
        let is_absent = |suspect: &&Listed| {
            absent.contains(&suspect.id) && suspect.stands_for().is_none_or(|id| absent.contains(&id))
        };
        Ok(suspects.iter().filter(is_absent).map(|suspect| suspect.id).min())
    }

    async fn messages(
        &mut self,
        channel_id: Snowflake,
        limit: usize,
        position: Place,
    ) -> Result<Answer<Vec<MessageStub>>, Refusal> {
        let query = MessagesQuery { limit: u8::try_from(limit).unwrap_or(u8::MAX), position };
        let answer = self.client.messages(channel_id, &query, self.deadline).await;
        self.count(answer)
    }

    fn count<T>(&mut self, answer: Result<Answer<T>, Error>) -> Result<Answer<T>, Refusal> {
        self.requests += match &answer {
            Ok(answer) => answer.requests,
            Err(error) => error.requests(),
        };
        Ok(answer?)
    }
}

/// Whether Discord lists a message without an id before any message that was read or not asked for, the newest first. It is
/// newer than what was read, then; `reach`: the newest id that was read or not asked for.
fn has_unplaced_news(page: &[MessageStub], reach: Option<Snowflake>) -> bool {
    page.iter().map(|message| message.id).take_while(|id| id.is_none() || *id > reach).any(|id| id.is_none())
}

/// The messages of a page that have an id. One without an id cannot be placed; DCE cannot read it either.
fn listed(page: &[MessageStub]) -> Vec<Listed> {
    let listed = |stub: &MessageStub| {
        let MessageStub { id, kind, author_id, reference } = *stub;
        Some(Listed { id: id?, kind, author_id, reference })
    };
    page.iter().filter_map(listed).collect()
}

impl From<Shortfall> for Failure {
    fn from(short: Shortfall) -> Self {
        let Shortfall { cursor, newest, late, .. } = short;
        let end = cursor
            .map_or_else(|| "nothing was read".to_owned(), |cursor| format!("reading ended at {cursor}"));
        let unread = match (newest, late) {
            (Some(newest), Some(late)) => {
                format!("Discord has message {newest}, and message {late} became visible late")
            }
            (Some(newest), None) => format!("Discord has message {newest}"),
            (None, Some(late)) => format!("message {late} became visible after later ones were read"),
            (None, None) => "Discord lists a message without an id".to_owned(),
        };
        Self::new(FailureKind::OutputShort).with_detail(format!("{unread}; {end}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_without_an_id_is_news_unless_a_read_one_is_listed_before_it() {
        let page = |ids: &[Option<u64>]| -> Vec<MessageStub> {
            let stub =
                |id: &Option<u64>| MessageStub { id: id.map(Snowflake::new), ..MessageStub::default() };
            ids.iter().map(stub).collect()
        };
        let read = Some(Snowflake::new(5));
        for (ids, is_news) in [
            (vec![None], true),
            (vec![None, Some(5)], true),
            (vec![Some(7), None, Some(5)], true),
            (vec![Some(5), None, Some(3)], false),
            (vec![Some(7), Some(6)], false),
            (vec![], false),
        ] {
            assert_eq!(has_unplaced_news(&page(&ids), read), is_news, "{ids:?}");
        }
        assert!(has_unplaced_news(&page(&[Some(7), None]), None), "nothing was read");
    }
}
