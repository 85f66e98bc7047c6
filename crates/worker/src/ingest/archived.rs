//! What is archived from a message on, so that the reader need not make rows of it.
//!
//! A hint that saves work: of a message that it does not know the writer finds out. Ids come in pieces, each asked for while
//! the one before is used. Nobody waits for the first one, so that what is new is read at once, and a few messages do not
//! pay for a question. A piece says what was archived when it was asked for: what is deleted while it is used, some 16,000
//! messages long, comes back with the next export.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use dce_core::export::conflict::OnConflict;
use dce_core::ids::Snowflake;
use dce_core::store::StoreError;
use dce_core::store::batches::archived;
use dce_core::store::transitions::ClaimedRun;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::id_range::IdRange;
use super::sessions::Sessions;

/// Ids asked for at once: 128 kB of them.
const PIECE: usize = 16 << 10;
/// Messages that are read without asking.
const FEW: usize = 500;
/// Questions beyond those that were worth asking: where few of the ids come up, as with a filter or in a document that is
/// not in the order of its ids, looking for each message is cheaper.
const SPARE_QUESTIONS: usize = 4;
/// Messages that were found archived make one more question worth asking.
const WORTH_ASKING: usize = 1 << 10;
/// How long the reader waits for a piece that it asked for ahead; then it reads in full.
const WAIT: Duration = Duration::from_secs(1);
/// How long one question may take.
const LIMIT: Duration = Duration::from_secs(10);

/// The reader's side.
#[derive(Debug)]
pub struct Archived {
    /// `None`: there is nothing to be asked any more.
    asking: Option<Asking>,
    piece: Option<Piece>,
    /// Messages that were read before the first question.
    unasked: usize,
    questions: usize,
    found: usize,
}

#[derive(Debug)]
struct Asking {
    questions: mpsc::UnboundedSender<Snowflake>,
    answers: Receiver<Piece>,
    /// The question that is under way.
    asked: Option<Snowflake>,
    /// It has been waited for in vain.
    is_late: bool,
}

/// Archived ids from one id on to another, in their order.
#[derive(Debug)]
struct Piece {
    from: Snowflake,
    to: Snowflake,
    /// There may be more beyond.
    is_full: bool,
    ids: Vec<Snowflake>,
    /// The next one that is likely to come.
    next: usize,
}

/// The database's side.
#[derive(Debug)]
pub struct Looks {
    channel_id: Snowflake,
    questions: mpsc::UnboundedReceiver<Snowflake>,
    answers: Sender<Piece>,
}

/// Both sides for a run. One that may change what is archived has to read everything.
pub fn archived_of(run: &ClaimedRun) -> (Archived, Looks) {
    let (questions, asked) = mpsc::unbounded_channel();
    let (answers, answered) = channel();
    let asking = (run.options.on_conflict == OnConflict::Ignore).then_some(Asking {
        questions,
        answers: answered,
        asked: None,
        is_late: false,
    });
    let looks = Looks { channel_id: run.channel_id, questions: asked, answers };
    (Archived { asking, ..Archived::unknown() }, looks)
}

impl Archived {
    /// Nothing is known.
    pub fn unknown() -> Self {
        Self { asking: None, piece: None, unasked: 0, questions: 0, found: 0 }
    }

    /// Whether a message is known to be archived.
    pub(super) fn has(&mut self, id: Snowflake) -> bool {
        if self.unasked < FEW {
            self.unasked += 1;
            return false;
        }
        if !self.covers(id) && !self.turn_to(id) {
            return false;
        }
        let has = self.piece.as_mut().is_some_and(|piece| piece.has(id));
        self.found += usize::from(has);
        has
    }

    fn covers(&self, id: Snowflake) -> bool {
        self.piece.as_ref().is_some_and(|piece| (piece.from..=piece.to).contains(&id))
    }

    /// Takes the piece that covers this id if it is there, and asks for it otherwise.
    fn turn_to(&mut self, id: Snowflake) -> bool {
        let Some(asking) = &mut self.asking else { return false };
        if let Some(from) = asking.asked {
            let is_next = self.piece.as_ref().is_some_and(|piece| piece.to < from && piece.to < id);
            match asking.answer(is_next) {
                Ok(Some(piece)) => self.piece = Some(piece),
                Ok(None) => return false,
                Err(Gone) => {
                    self.asking = None;
                    return false;
                }
            }
        }
        let covers = self.covers(id);
        self.ask(if covers { self.piece.as_ref().and_then(Piece::beyond) } else { Some(id) });
        covers
    }

    fn ask(&mut self, from: Option<Snowflake>) {
        let (Some(asking), Some(from)) = (&mut self.asking, from) else { return };
        let is_worth_it = self.questions <= SPARE_QUESTIONS + self.found / WORTH_ASKING;
        if is_worth_it && asking.questions.send(from).is_ok() {
            asking.asked = Some(from);
            self.questions += 1;
        } else {
            self.asking = None;
        }
    }
}

/// Nobody answers any more.
struct Gone;

impl Asking {
    /// The answer, if it is there, or comes while it is waited for.
    fn answer(&mut self, is_worth_waiting: bool) -> Result<Option<Piece>, Gone> {
        let wait = if is_worth_waiting && !self.is_late { WAIT } else { Duration::ZERO };
        match self.answers.recv_timeout(wait) {
            Ok(piece) => {
                (self.asked, self.is_late) = (None, false);
                Ok(Some(piece))
            }
            Err(RecvTimeoutError::Timeout) => {
                self.is_late |= is_worth_waiting;
                Ok(None)
            }
            Err(RecvTimeoutError::Disconnected) => Err(Gone),
        }
    }
}

impl Piece {
    /// `ids`: the lowest ones of the range, at most [`PIECE`].
    fn new(range: IdRange, mut ids: Vec<Snowflake>) -> Self {
        ids.sort_unstable(); // as they come
        let full_to = ids.last().copied().filter(|_| ids.len() >= PIECE);
        Self {
            from: range.first(),
            to: full_to.unwrap_or(range.last()),
            is_full: full_to.is_some(),
            ids,
            next: 0,
        }
    }

    /// Where the next one begins; `None`: none is expected.
    fn beyond(&self) -> Option<Snowflake> {
        self.to.get().checked_add(1).filter(|_| self.is_full).map(Snowflake::new)
    }

    fn has(&mut self, id: Snowflake) -> bool {
        if self.ids.get(self.next) != Some(&id) {
            match self.ids.binary_search(&id) {
                Ok(at) => self.next = at,
                Err(_) => return false,
            }
        }
        self.next += 1;
        true
    }
}

impl Looks {
    /// Answers until nobody asks any more, or the database does not answer: then the reader goes on without.
    pub(super) async fn answer(mut self, sessions: &Sessions) {
        while let Some(from) = self.questions.recv().await {
            let looked = timeout(LIMIT, self.look(sessions, from)).await;
            match looked.unwrap_or(Err(StoreError::TimedOut(LIMIT))) {
                Ok(piece) => {
                    if self.answers.send(piece).is_err() {
                        return;
                    }
                }
                Err(error) => {
                    tracing::debug!(channel_id = %self.channel_id, error = %error, "archived.unknown");
                    return;
                }
            }
        }
    }

    async fn look(&self, sessions: &Sessions, from: Snowflake) -> Result<Piece, StoreError> {
        let range = IdRange::alike(from);
        let mut session = sessions.acquire().await?;
        let at_most = i64::try_from(PIECE).unwrap_or(i64::MAX);
        let ids =
            archived::archived_ids(&mut session.connection, &range.texts(self.channel_id), at_most).await?;
        session.give_back();
        Ok(Piece::new(range, ids.iter().filter_map(|id| id.parse().ok()).collect()))
    }
}

#[cfg(test)]
impl Archived {
    /// These are known, and nothing else.
    pub(super) fn known(ids: &[u64]) -> Self {
        let ids = ids.iter().copied().map(Snowflake::new).collect();
        let piece = IdRange::above(None, Snowflake::new(u64::MAX)).map(|all| Piece::new(all, ids));
        let piece = piece.map(|piece| Piece { to: Snowflake::new(u64::MAX), ..piece });
        Self { piece, unasked: FEW, ..Self::unknown() }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    const fn id(value: usize) -> Snowflake {
        Snowflake::new(value as u64)
    }

    fn both() -> (Archived, Looks) {
        let (questions, asked) = mpsc::unbounded_channel();
        let (answers, answered) = channel();
        let asking = Asking { questions, answers: answered, asked: None, is_late: false };
        let mut archived = Archived { asking: Some(asking), ..Archived::unknown() };
        assert!(!(0..FEW).any(|value| archived.has(id(value))));
        assert!(asked.is_empty(), "a few messages are read without asking");
        (archived, Looks { channel_id: id(1), questions: asked, answers })
    }

    impl Looks {
        /// Answers what was asked, as if these were archived. Returns from where on.
        fn answer_of(&mut self, archived: impl Iterator<Item = usize>) -> Option<usize> {
            let from = self.questions.try_recv().ok()?;
            let range = IdRange::above(Some(from.before()), id(usize::MAX))?;
            let ids = archived.map(id).filter(|id| *id >= from).take(PIECE).collect();
            self.answers.send(Piece { from, ..Piece::new(range, ids) }).ok()?;
            usize::try_from(from.get()).ok()
        }
    }

    #[test]
    fn what_is_there_is_known_from_the_first_answer_on() {
        let (mut archived, mut looks) = both();
        assert!(!archived.has(id(10)), "and nobody waits for it");
        assert_eq!(looks.answer_of((11..20).step_by(2)), Some(10));
        let has: Vec<_> = (11..25).filter(|value| archived.has(id(*value))).collect();
        assert_eq!(has, [11, 13, 15, 17, 19]);
        assert_eq!(looks.answer_of(0..0), None, "there is nothing beyond");
        assert!(!archived.has(id(9)), "it was not asked about");
        assert_eq!(looks.answer_of(9..10), Some(9));
        assert!(archived.has(id(9)));
    }

    #[test]
    fn each_piece_is_asked_for_while_the_one_before_is_used_and_then_waited_for() {
        let (mut archived, mut looks) = both();
        assert!(!archived.has(id(0)));
        assert_eq!(looks.answer_of(0..3 * PIECE), Some(0));
        assert!(archived.has(id(1)));
        let answering = thread::spawn(move || {
            let asked = [(), ()].map(|()| {
                loop {
                    if let Some(from) = looks.answer_of(0..3 * PIECE) {
                        break from;
                    }
                    thread::yield_now();
                }
            });
            (looks, asked)
        });
        assert!((2..3 * PIECE).all(|value| archived.has(id(value))));
        let (mut looks, asked) = answering.join().unwrap();
        assert_eq!(asked, [PIECE, 2 * PIECE]);
        assert_eq!(looks.answer_of(0..0), Some(3 * PIECE), "it was full, so there may be more");
    }

    #[test]
    fn nobody_goes_on_asking_where_few_of_the_ids_come_up() {
        for ids in [(1..100_000_000).step_by(PIECE).collect::<Vec<_>>(), (1..100_000).rev().collect()] {
            let (mut archived, mut looks) = both();
            let mut questions = 0;
            for value in ids {
                archived.has(id(value));
                questions += usize::from(looks.answer_of(0..100_000_000).is_some());
            }
            assert!((2..=SPARE_QUESTIONS + 2).contains(&questions), "{questions}");
        }
    }

    #[test]
    fn without_answers_nothing_is_known() {
        let (mut archived, looks) = both();
        assert!(!archived.has(id(1)));
        drop(looks);
        assert!(!archived.has(id(2)) && !archived.has(id(3)));
        assert!(archived.asking.is_none());
        assert!(!Archived::unknown().has(id(1)));
    }

    #[test]
    fn a_late_piece_is_waited_for_once() {
        let (mut archived, mut looks) = both();
        assert!(!archived.has(id(0)));
        assert_eq!(looks.answer_of(0..PIECE), Some(0));
        assert!(archived.has(id(1)));
        // Each wait would take a second.
        let known = (PIECE..PIECE + 10_000).filter(|value| archived.has(id(*value))).count();
        assert_eq!(known, 0);
        assert_eq!(looks.answer_of(0..2 * PIECE), Some(PIECE));
        assert!(archived.has(id(PIECE + 10_001)));
    }
}
