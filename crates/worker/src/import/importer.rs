//! Imports the sources of a plan: one run for each source, which only this process executes.

use std::convert::Infallible;
use std::fmt;
use std::slice;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::Context;
use dce_core::db::{self, PgPool};
use dce_core::export::state::RunStatus;
use dce_core::schema;
use dce_core::store::imports::{self, Begun, ImportCounts, NewImport};
use dce_core::store::transitions::{ClaimedRun, Fence, HEARTBEAT_INTERVAL, RunOptions};
use dce_core::store::{StoreError, in_time};
use tokio::time::sleep;
use ulid::Ulid;
use uuid::Uuid;

use super::attempt::attempt;
use super::console::Console;
use super::group_parts::ImportSource;
use super::plan::ImportPlan;
use super::progress::ImportProgress;
use super::report::{describe_counts, describe_failure, reason_to_stop, summary};
use super::settings::ImportSettings;
use super::source_outcome::SourceOutcome;
use crate::ingest::write::sessions::Sessions;
use crate::lease::{Instruction, Lease, Leases};
use crate::shutdown::{AT_ONCE, Shutdown};

const RETRY_PAUSE: Duration = Duration::from_millis(500);
/// Time allowed to record the outcome of a run. Afterwards its lease expires, and a worker records that.
const RECORD_LIMIT: Duration = Duration::from_secs(30);

/// Imports the sources of the plan. Returns whether all of them were imported. Returns an error only before the first
/// run.
pub(super) async fn import(
    settings: &ImportSettings,
    plan: &ImportPlan,
    console: &Console,
    shutdown: &Shutdown,
) -> anyhow::Result<bool> {
    let database = settings.database.as_ref().context("DATABASE_URL is not set")?;
    tokio::select! {
        ready = schema::prepare(database, settings.migrate) => { ready?; }
        () = shutdown.in_order.cancelled() => anyhow::bail!("interrupted before the database answered"),
    }
    let owner = format!("import-{}", Ulid::generate());
    let importer = Importer {
        pool: db::connect_control(database, &owner, 1),
        sessions: Sessions::new(database.clone(), owner.clone(), settings.ingest_connections),
        leases: Leases::default(),
        owner,
        job_id: Uuid::now_v7(),
        options: settings.options.clone(),
        progress: Arc::new(ImportProgress::new(plan.sources.len(), plan.stored_bytes())),
        console,
    };
    let started = Instant::now();
    let tally = tokio::select! {
        tally = importer.import_all(&plan.sources) => tally,
        () = importer.forward(shutdown) => {
            console.clear_progress();
            anyhow::bail!("ended at once: the result of the last file is not recorded")
        }
        never = importer.run_heartbeat() => match never {},
        never = console.show_progress(&importer.progress, started) => match never {},
    };
    console.clear_progress();
    let read = importer.progress.read.load(Ordering::Relaxed);
    console.print(&summary(tally.completed, plan.sources.len(), tally.counts, read, started.elapsed()));
    if tally.begun > 0 {
        console.print(&format!("export {}", importer.job_id));
    }
    Ok(tally.completed == plan.sources.len())
}

struct Importer<'a> {
    pool: PgPool,
    sessions: Sessions,
    leases: Leases,
    owner: String,
    job_id: Uuid,
    options: RunOptions,
    progress: Arc<ImportProgress>,
    console: &'a Console,
}

struct ActiveRun<'a> {
    source: &'a ImportSource,
    run: Box<ClaimedRun>,
    lease: Lease<'a>,
}

#[derive(Debug, Default)]
struct Tally {
    begun: usize,
    completed: usize,
    counts: ImportCounts,
}

impl Importer<'_> {
    /// Imports one source after another until there is a reason to stop; then prints the names of the others.
    async fn import_all(&self, sources: &[ImportSource]) -> Tally {
        let mut tally = Tally::default();
        let mut waiting = sources.iter();
        let (mut next, ()) = tokio::join!(self.begin_next(&mut waiting), self.sessions.open_ahead());
        let reason = loop {
            let mut active = match next {
                Ok(Some(active)) => active,
                Ok(None) => return tally,
                Err(reason) => break reason,
            };
            tally.begun += 1;
            let outcome =
                attempt(&self.sessions, active.source, &active.run, &mut active.lease, &self.progress).await;
            // Begun before the current run ends, so that the export does not look ended in between.
            next = match reason_to_stop(&outcome) {
                Some(reason) => Err(reason),
                None => self.begin_next(&mut waiting).await,
            };
            self.end(&active, &outcome, &mut tally).await;
        };
        for source in waiting {
            self.print_not_imported(source, &reason);
        }
        tally
    }

    fn print_not_imported(&self, source: &ImportSource, reason: &dyn fmt::Display) {
        self.console.print_error(&format!("{}: not imported: {reason}", source.name()));
    }

    /// Begins the run of the next source for which that is possible. An error is the reason to begin no more.
    async fn begin_next<'a>(
        &'a self,
        waiting: &mut slice::Iter<'a, ImportSource>,
    ) -> Result<Option<ActiveRun<'a>>, String> {
        for source in waiting {
            let Some(first) = source.parts.first() else { continue };
            let new = NewImport {
                job_id: self.job_id,
                run_id: Uuid::now_v7(),
                owner: self.owner.clone(),
                source: truncate_for_index(source.name()),
                channel_id: first.header.channel.id,
                options: self.options.clone(),
            };
            let reason = match imports::begin(&self.pool, &new).await {
                Ok(Begun::Run(run)) => {
                    if let Some(part) = source.missing {
                        self.console.print_error(&format!("{}: part {part} is missing", source.name()));
                    }
                    return Ok(Some(ActiveRun { source, lease: self.leases.hold(&run.fence), run }));
                }
                Ok(Begun::Cancelled) => "the import was cancelled".to_owned(),
                Err(error) if error.is_transient() || error.is_read_only() => error.to_string(),
                Err(error) => {
                    self.print_not_imported(source, &error);
                    continue;
                }
            };
            self.print_not_imported(source, &reason);
            return Err(reason);
        }
        Ok(None)
    }

    /// Records and prints the outcome of a source.
    async fn end(&self, active: &ActiveRun<'_>, outcome: &SourceOutcome, tally: &mut Tally) {
        let fence = &active.run.fence;
        let recorded = self.record(fence, outcome).await;
        // Only printed; the row has the counts that matter.
        let counts = in_time(imports::counts(&self.pool, fence.run_id)).await.unwrap_or_default();
        self.progress.end_source(counts.messages);
        tally.counts.messages += counts.messages;
        tally.counts.inserted += counts.inserted;
        tally.counts.updated += counts.updated;
        tally.counts.erased += counts.erased;
        let error = match (recorded, outcome) {
            (Ok(RunStatus::Completed), _) => {
                tally.completed += 1;
                if self.console.prints_each_file {
                    self.console.print(&format!("{}: {}", active.source.name(), describe_counts(counts)));
                }
                return;
            }
            (Ok(RunStatus::Cancelled), _) => "cancelled.".to_owned(),
            (Ok(_), SourceOutcome::Failed(failure)) => describe_failure(failure),
            (Err(StoreError::Lost) | Ok(_), _) => {
                "another process took the run over, because this one had sent no heartbeat for 20 s."
                    .to_owned()
            }
            (Err(error), _) => format!("its outcome could not be recorded: {error}."),
        };
        self.console.print_error(&format!(
            "{}: {error} Kept: {}.",
            active.source.name(),
            describe_counts(counts)
        ));
    }

    async fn record(&self, fence: &Fence, outcome: &SourceOutcome) -> Result<RunStatus, StoreError> {
        let since = Instant::now();
        loop {
            let recorded = match outcome {
                SourceOutcome::Completed => imports::complete(&self.pool, fence).await,
                SourceOutcome::Failed(failure) => imports::fail(&self.pool, fence, failure).await,
                SourceOutcome::Lost => Err(StoreError::Lost),
            };
            match recorded {
                Err(error) if error.is_transient() && since.elapsed() < RECORD_LIMIT => {
                    sleep(RETRY_PAUSE).await;
                }
                recorded => return recorded,
            }
        }
    }

    /// Renews the leases; the answer contains cancels.
    async fn run_heartbeat(&self) -> Infallible {
        loop {
            let pause = match in_time(self.leases.renew(&self.pool, &self.owner)).await {
                Ok(false) => HEARTBEAT_INTERVAL,
                Ok(true) => RETRY_PAUSE,
                Err(error) => {
                    tracing::warn!(error = %error, "heartbeat.failed");
                    RETRY_PAUSE
                }
            };
            sleep(pause).await;
        }
    }

    /// Forwards signals to the current run, and to one that has just begun. Returns when the time is over.
    async fn forward(&self, shutdown: &Shutdown) {
        shutdown.in_order.cancelled().await;
        self.leases.instruct_all(Instruction::HandBack);
        shutdown.at_once.cancelled().await;
        self.leases.instruct_all(Instruction::HandBackNow);
        sleep(AT_ONCE).await;
    }
}

/// Truncates a name to the length that an index of Postgres can hold. Keeps the end, which is more specific.
fn truncate_for_index(name: &str) -> String {
    const MAX_CHARACTERS: usize = 500;
    match name.char_indices().rev().nth(MAX_CHARACTERS) {
        Some((before, _)) => format!("…{}", &name[before..]),
        None => name.to_owned(),
    }
}
