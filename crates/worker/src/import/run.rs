//! The story of an import: one run for each source, begun, read, written and ended by this process alone.

use std::convert::Infallible;
use std::fmt;
use std::slice;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::Context;
use dce_core::db::{self, PgPool};
use dce_core::export::failure::FailureKind;
use dce_core::export::import::words;
use dce_core::export::state::RunStatus;
use dce_core::store::imports::{self, Begun, Counts, NewImport};
use dce_core::store::runs::{ClaimedRun, Fence, HEARTBEAT, RunOptions};
use dce_core::store::{StoreError, in_time};
use tokio::time::sleep;
use ulid::Ulid;
use uuid::Uuid;

use super::attempt::attempt;
use super::outcome::Outcome;
use super::parts::Source;
use super::progress::{Progress, grouped, messages_in_words, per_second, span};
use super::screen::Screen;
use super::settings::ImportSettings;
use super::survey::Survey;
use crate::ingest::sessions::Sessions;
use crate::lease::{Lease, Leases, Order};
use crate::shutdown::{AT_ONCE, Shutdown};

/// Pause before the database is asked again.
const PAUSE: Duration = Duration::from_millis(500);
/// For so long it is tried to record how a run ended; then its lease expires, and a worker records that.
const RECORD_PATIENCE: Duration = Duration::from_secs(30);

/// Imports what the survey found. Returns whether all of it went in. Errors only before the first run.
pub async fn import(
    settings: &ImportSettings,
    survey: &Survey,
    screen: &Screen,
    shutdown: &Shutdown,
) -> anyhow::Result<bool> {
    let database = settings.database.as_ref().context("DATABASE_URL is not set")?;
    tokio::select! {
        ready = db::prepare(database, settings.migrate) => { ready?; }
        () = shutdown.in_order.cancelled() => anyhow::bail!("interrupted before the database answered"),
    }
    let owner = format!("import-{}", Ulid::generate());
    let import = Import {
        pool: db::connect_control(database, &owner, 1),
        sessions: Sessions::new(database.clone(), owner.clone(), settings.ingest_connections),
        leases: Leases::default(),
        owner,
        job_id: Uuid::now_v7(),
        options: settings.options.clone(),
        progress: Arc::new(Progress::of(survey.sources.len(), survey.stored())),
        screen,
    };
    let started = Instant::now();
    let tally = tokio::select! {
        tally = import.all(&survey.sources) => tally,
        () = import.pass_on(shutdown) => {
            screen.end();
            anyhow::bail!("ended at once: what became of the last file is not recorded")
        }
        never = import.beat() => match never {},
        never = screen.follow(&import.progress, started) => match never {},
    };
    screen.end();
    import.summarise(&tally, started.elapsed());
    Ok(tally.completed == survey.sources.len())
}

struct Import<'a> {
    pool: PgPool,
    sessions: Sessions,
    leases: Leases,
    owner: String,
    job_id: Uuid,
    options: RunOptions,
    progress: Arc<Progress>,
    screen: &'a Screen,
}

/// A source whose run has begun.
struct Present<'a> {
    source: &'a Source,
    run: Box<ClaimedRun>,
    lease: Lease<'a>,
}

/// What became of the sources so far.
#[derive(Debug, Default)]
struct Tally {
    begun: usize,
    completed: usize,
    counts: Counts,
}

impl Import<'_> {
    /// One source after the other, until there is a reason to begin no more; then the rest is named.
    async fn all(&self, sources: &[Source]) -> Tally {
        let mut tally = Tally::default();
        let mut waiting = sources.iter();
        let (mut next, ()) = tokio::join!(self.begin_next(&mut waiting), self.sessions.open_ahead());
        let reason = loop {
            let mut present = match next {
                Ok(Some(present)) => present,
                Ok(None) => return tally,
                Err(reason) => break reason,
            };
            tally.begun += 1;
            let outcome =
                attempt(&self.sessions, present.source, &present.run, &mut present.lease, &self.progress)
                    .await;
            // Begun before the present one ends, so that the export does not look ended in between.
            next = match reason_to_stop(&outcome) {
                Some(reason) => Err(reason),
                None => self.begin_next(&mut waiting).await,
            };
            self.end(&present, &outcome, &mut tally).await;
        };
        for source in waiting {
            self.not_imported(source, &reason);
        }
        tally
    }

    fn not_imported(&self, source: &Source, reason: &dyn fmt::Display) {
        self.screen.warn(&format!("{}: not imported: {reason}", source.name()));
    }

    /// The next one whose run can be begun. An error is a reason to begin no more.
    async fn begin_next<'a>(
        &'a self,
        waiting: &mut slice::Iter<'a, Source>,
    ) -> Result<Option<Present<'a>>, String> {
        for source in waiting {
            let Some(head) = source.parts.first() else { continue };
            let new = NewImport {
                job_id: self.job_id,
                run_id: Uuid::now_v7(),
                owner: self.owner.clone(),
                source: within_index(source.name()),
                channel_id: head.header.channel.id,
                options: self.options.clone(),
            };
            let reason = match imports::begin(&self.pool, &new).await {
                Ok(Begun::Run(run)) => {
                    if let Some(part) = source.missing {
                        self.screen.warn(&format!("{}: part {part} of it is not there", source.name()));
                    }
                    return Ok(Some(Present { source, lease: self.leases.hold(&run.fence), run }));
                }
                Ok(Begun::Cancelled) => "the import was cancelled".to_owned(),
                Err(error) if error.is_passing() || error.is_read_only() => error.to_string(),
                Err(error) => {
                    self.not_imported(source, &error);
                    continue;
                }
            };
            self.not_imported(source, &reason);
            return Err(reason);
        }
        Ok(None)
    }

    /// Records what became of a source, and tells.
    async fn end(&self, present: &Present<'_>, outcome: &Outcome, tally: &mut Tally) {
        let fence = &present.run.fence;
        let recorded = self.record(fence, outcome).await;
        // Only told; what counts is in the row.
        let counts = in_time(imports::counts(&self.pool, fence.run_id)).await.unwrap_or_default();
        self.progress.end_source(counts.messages);
        tally.counts.messages += counts.messages;
        tally.counts.inserted += counts.inserted;
        tally.counts.updated += counts.updated;
        tally.counts.erased += counts.erased;
        let said = match (recorded, outcome) {
            (Ok(RunStatus::Completed), _) => {
                tally.completed += 1;
                if self.screen.tells_each {
                    self.screen.tell(&format!("{}: {}", present.source.name(), told(counts)));
                }
                return;
            }
            (Ok(RunStatus::Cancelled), _) => "cancelled".to_owned(),
            (Ok(_), Outcome::Failed(failure)) => {
                let (message, action) = words(failure.kind);
                let detail = failure.detail.as_ref().map(|detail| format!(" ({detail})")).unwrap_or_default();
                format!("{}: {message}{detail} {action}", failure.kind.code())
            }
            (Err(StoreError::Lost) | Ok(_), _) => {
                "was taken from this process, which had not been heard of for 20 s".to_owned()
            }
            (Err(error), _) => format!("its end is not recorded: {error}"),
        };
        self.screen.warn(&format!("{}: {said} Kept: {}.", present.source.name(), told(counts)));
    }

    async fn record(&self, fence: &Fence, outcome: &Outcome) -> Result<RunStatus, StoreError> {
        let since = Instant::now();
        loop {
            let recorded = match outcome {
                Outcome::Completed => imports::complete(&self.pool, fence).await,
                Outcome::Failed(failure) => imports::fail(&self.pool, fence, failure).await,
                Outcome::Lost => Err(StoreError::Lost),
            };
            match recorded {
                Err(error) if error.is_passing() && since.elapsed() < RECORD_PATIENCE => sleep(PAUSE).await,
                recorded => return recorded,
            }
        }
    }

    /// Renews the leases, which brings word of a cancel.
    async fn beat(&self) -> Infallible {
        loop {
            let pause = match in_time(self.leases.renew(&self.pool, &self.owner)).await {
                Ok(false) => HEARTBEAT,
                Ok(true) => PAUSE,
                Err(error) => {
                    tracing::warn!(error = %error, "heartbeat.failed");
                    PAUSE
                }
            };
            sleep(pause).await;
        }
    }

    /// Tells the present run, and one that has just begun, of signals. Returns when there is no more time.
    async fn pass_on(&self, shutdown: &Shutdown) {
        shutdown.in_order.cancelled().await;
        self.leases.hand_back_all(Order::HandBack);
        shutdown.at_once.cancelled().await;
        self.leases.hand_back_all(Order::HandBackNow);
        sleep(AT_ONCE).await;
    }

    fn summarise(&self, tally: &Tally, elapsed: Duration) {
        let Progress { sources, read, .. } = &*self.progress;
        self.screen.tell(&format!(
            "{} of {sources} files imported in {}: {}, {}/s",
            tally.completed,
            span(elapsed),
            told(tally.counts),
            per_second(read.load(Ordering::Relaxed), elapsed),
        ));
        if tally.begun > 0 {
            self.screen.tell(&format!("export {}", self.job_id));
        }
    }
}

/// What an index of Postgres can hold of a name: its end, which tells more than its beginning.
fn within_index(name: &str) -> String {
    const MOST_CHARACTERS: usize = 500;
    match name.char_indices().rev().nth(MOST_CHARACTERS) {
        Some((before, _)) => format!("…{}", &name[before..]),
        None => name.to_owned(),
    }
}

fn told(counts: Counts) -> String {
    let replaced = match counts.updated {
        0 => String::new(),
        updated => format!(", {} updated", grouped(updated.unsigned_abs())),
    };
    let left_out = match counts.erased {
        0 => String::new(),
        erased => format!(", {} erased before and left out", grouped(erased)),
    };
    let messages = messages_in_words(counts.messages.unsigned_abs());
    format!("{messages}, {} new{replaced}{left_out}", grouped(counts.inserted.unsigned_abs()))
}

/// Why nothing more is begun after this, if so.
fn reason_to_stop(outcome: &Outcome) -> Option<String> {
    let Outcome::Failed(failure) = outcome else { return None };
    match failure.kind {
        FailureKind::ImportInterrupted => Some("the import was stopped".to_owned()),
        kind @ (FailureKind::DatabaseUnavailable | FailureKind::DatabaseReadOnly) => {
            Some(words(kind).0.to_owned())
        }
        _ => None,
    }
}
