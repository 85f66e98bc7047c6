//! The end of a run whose DCE was through: Discord confirms that nothing was left unread, then the rest is marked as
//! missing and the run completes. Nothing here reads messages.

use std::pin::{Pin, pin};
use std::time::{Duration, Instant};

use dce_core::export::failure::{Failure, FailureKind};
use dce_core::export::phase::Phase;
use dce_core::ids::Snowflake;
use dce_core::store::StoreError;
use dce_core::store::transitions::{self, AttemptReport, ClaimedRun, Completion, Reread, Verified};
use tokio::time::timeout;

use crate::attempt_outcome::{AttemptOutcome, write_failure};
use crate::context::WorkerContext;
use crate::ingest::Ingest;
use crate::ingest::read::summary::ReadSummary;
use crate::ingest::write::window_end::WindowEnd;
use crate::lease::{Instruction, LAST_WRITES, Lease};
use crate::proof::confirm::needs_confirmation;
use crate::proof::judge::{Position, Seen};
use crate::proof::{Inquiry, Outcome, Proof, Question, Refusal};

/// How long clients see a run reading although it waits for Discord's answer. Most answers are faster.
const SILENT_WAIT: Duration = Duration::from_millis(250);

/// Ends the run of one attempt.
#[derive(Clone, Copy)]
pub(crate) struct Conclusion<'a> {
    pub(crate) context: &'a WorkerContext,
    pub(crate) run: &'a ClaimedRun,
    pub(crate) ingest: &'a Ingest<'a>,
}

/// What this attempt's DCE read, if it was through.
#[derive(Clone, Copy)]
pub(crate) struct Through<'a> {
    pub(crate) started: Instant,
    pub(crate) seen: &'a ReadSummary,
}

/// What comes of the proof.
enum Concluded {
    /// The attempt is over.
    Ended(AttemptOutcome),
    /// Discord has messages that were not read.
    Unread(Failure),
}

impl Conclusion<'_> {
    /// Asks Discord, instead of starting DCE again, if DCE was through in an earlier attempt and nothing must be read again.
    /// `None`: DCE must start.
    pub(crate) async fn before_reading(
        self,
        lease: &mut Lease<'_>,
        report: &mut AttemptReport,
    ) -> Option<AttemptOutcome> {
        self.run.through?;
        // Messages that became visible late lie below the cursor: DCE must read them again, whatever is newest.
        let may_be_complete = self.run.reread_from.is_none() && self.context.discord.verifier().is_some();
        if may_be_complete
            && let Concluded::Ended(outcome) =
                self.unless_instructed(lease, Box::pin(self.conclude(None, report))).await
        {
            return Some(outcome);
        }
        report.through = false;
        let begun = transitions::begin_reading(&self.context.control, &self.run.fence).await;
        match begun {
            Ok(()) => None,
            Err(StoreError::Lost) => Some(AttemptOutcome::Lost),
            Err(error) => Some(AttemptOutcome::HandedBack(Some(
                Failure::new(FailureKind::DatabaseUnavailable).with_detail(error.to_string()),
            ))),
        }
    }

    /// Asks Discord after this attempt's DCE was through.
    pub(crate) async fn after_reading(
        self,
        lease: &mut Lease<'_>,
        through: Through<'_>,
        report: &mut AttemptReport,
    ) -> AttemptOutcome {
        match self.unless_instructed(lease, Box::pin(self.conclude(Some(through), report))).await {
            Concluded::Ended(outcome) => outcome,
            Concluded::Unread(failure) => AttemptOutcome::Failed(failure),
        }
    }

    /// The failure that DCE reported, once Discord has confirmed it, if it needs that.
    pub(crate) async fn confirm(
        self,
        lease: &mut Lease<'_>,
        reported: Failure,
        report: &mut AttemptReport,
    ) -> AttemptOutcome {
        let Some(client) = self.context.discord.verifier().filter(|_| needs_confirmation(reported.kind))
        else {
            return AttemptOutcome::Failed(reported);
        };
        let confirmed = async {
            let mut inquiry = Inquiry::new(client, &self.context.control);
            let failure = self.announced(inquiry.confirm(reported, self.run.channel_id)).await;
            report.discord_requests += i64::from(inquiry.requests());
            Concluded::Ended(AttemptOutcome::Failed(failure))
        };
        match self.unless_instructed(lease, Box::pin(confirmed)).await {
            Concluded::Ended(outcome) => outcome,
            Concluded::Unread(failure) => AttemptOutcome::Failed(failure),
        }
    }

    /// Waits for the conclusion, but not for long once the run is to be handed back: another worker asks again.
    async fn unless_instructed(
        self,
        lease: &mut Lease<'_>,
        mut conclusion: Pin<Box<impl Future<Output = Concluded>>>,
    ) -> Concluded {
        let instruction = tokio::select! {
            concluded = &mut conclusion => return concluded,
            new = lease.instruction_beyond(Instruction::Continue) => new,
        };
        let unfinished = match instruction {
            Instruction::Abandon => return Concluded::Ended(AttemptOutcome::Lost),
            _ => AttemptOutcome::HandedBack(None),
        };
        timeout(LAST_WRITES, conclusion).await.unwrap_or(Concluded::Ended(unfinished))
    }

    /// Asks Discord whether the run has read everything, and completes it if so. `through`: of this attempt, if it started
    /// DCE.
    async fn conclude(self, through: Option<Through<'_>>, report: &mut AttemptReport) -> Concluded {
        let Some(client) = self.context.discord.verifier() else {
            return Concluded::Ended(self.complete(None).await);
        };
        // However the attempt ends from now on, the next one asks before it starts DCE.
        report.through = true;
        if let Some((through, late)) = through.zip(self.run.reread_from)
            && !through.seen.lacks(late)
        {
            // Read by now: the next attempt may ask, too, instead of reading it again.
            report.reread = Reread::Nothing;
        }
        let position = Position {
            cursor: self.ingest.final_checkpoint().await.cursor,
            start: self.run.start_at.and_then(Snowflake::first_at).map(Snowflake::before),
            unrecorded: self.run.options.filter.is_some().then(|| self.run.after()).flatten(),
            seen: through.map(|through| through.seen as &dyn Seen),
        };
        let started = through.map(|through| through.started);
        let question = Question { channel_id: self.run.channel_id, upper: self.run.upper, position, started };
        let mut inquiry = Inquiry::new(client, &self.context.control);
        let mut answer = self.announced(inquiry.prove(question)).await;
        if let Err(Refusal::Failed(failure)) = &answer
            && needs_confirmation(failure.kind)
        {
            // DCE has just read with this token: a single refusal must not end the run, or stop every worker.
            let confirmed = inquiry.confirm(failure.clone(), self.run.channel_id).await;
            answer = Err(Refusal::Failed(confirmed));
        }
        report.discord_requests += i64::from(inquiry.requests());
        Concluded::Ended(match answer {
            Ok(Outcome::Proven(proof)) => {
                report.upper = Some(proof.bound);
                self.complete(Some(proof)).await
            }
            Ok(Outcome::NotVerified) | Err(Refusal::NotAllowed) => self.complete(None).await,
            Ok(Outcome::Short(short)) => {
                report.upper = Some(short.bound);
                if through.is_some() {
                    report.reread = short.late.map_or(Reread::Nothing, Reread::From);
                }
                return Concluded::Unread(short.into());
            }
            Err(Refusal::Failed(failure)) => AttemptOutcome::Failed(failure),
            Err(Refusal::Later(failure)) => AttemptOutcome::ProofPending(failure),
        })
    }

    /// Shows clients that the run waits for Discord if the answer takes longer than usual.
    async fn announced<T>(self, asking: impl Future<Output = T>) -> T {
        let mut asking = pin!(asking);
        if let Ok(answer) = timeout(SILENT_WAIT, &mut asking).await {
            return answer;
        }
        let announce = async {
            let set = transitions::set_phase(&self.context.control, &self.run.fence, Phase::Verifying).await;
            if let Err(error) = set {
                tracing::debug!(error = %error, "phase.not_set");
            }
        };
        tokio::join!(asking, announce).0
    }

    /// Completes the run. Without a proof, because there can be none, DCE's word counts; but only a proof shows that the rest
    /// is missing.
    async fn complete(self, proof: Option<Proof>) -> AttemptOutcome {
        if let Some(Proof { bound, answered_at, .. }) = proof {
            let end = WindowEnd { upper: bound, as_of: answered_at };
            if let Err(error) = self.ingest.mark_rest(&end).await {
                return write_failure(&error);
            }
        }
        let mut last = self.ingest.final_checkpoint().await;
        last.cursor = last.cursor.max(proof.and_then(|proof| proof.cursor));
        AttemptOutcome::Completed(Box::new(Completion {
            verified: proof.map(|proof| Verified { newest: proof.newest }),
            warn_not_verified: proof.is_none(),
            last: Some(last),
        }))
    }
}

impl Seen for ReadSummary {
    fn lacks(&self, id: Snowflake) -> bool {
        self.lacks(id)
    }

    fn saw_placeholder(&self, id: Snowflake, stands_for: Option<Snowflake>) -> bool {
        self.saw_placeholder(id, stands_for)
    }
}
