//! Injects the faults into the running service.

use std::time::{Duration, Instant};

use dce_local::Shutdown;
use dce_testkit::process::eventually;
use futures_util::future::join_all;
use nix::sys::signal::{Signal, kill};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, PgConnection};
use tokio::time::sleep;

use crate::dce_processes;
use crate::discord;
use crate::event_log::ViolationKind;
use crate::plan::{Fault, TimedFault};
use crate::random::index;
use crate::system::{OWN_SESSIONS, SystemUnderTest};

/// Time allowed for a worker's end, including its grace, on a busy machine.
const END_LIMIT: Duration = Duration::from_secs(25);
/// How often freed space on the disk is taken again.
const REFILL: Duration = Duration::from_millis(100);
/// More than the server's sessions.
const ALL_SESSIONS: usize = 60;

/// Injects each fault at its time. Returns when the last one is over.
pub(crate) async fn inject_all(system: &SystemUnderTest, faults: &[TimedFault]) -> anyhow::Result<()> {
    let done = join_all(faults.iter().map(async |timed| {
        tokio::time::sleep_until((system.log.start() + timed.at).into()).await;
        system.log.note(format_args!("fault {:?}", timed.fault));
        let from = Instant::now();
        let done = inject(system, &timed.fault).await;
        if timed.fault.affects_all_workers() {
            system.log.outage(from, from.elapsed());
        }
        done
    }));
    done.await.into_iter().collect()
}

async fn inject(system: &SystemUnderTest, fault: &Fault) -> anyhow::Result<()> {
    match fault {
        Fault::KillWorker { worker, away } => kill_worker(system, *worker, *away).await?,
        Fault::PauseWorker { worker, lasts } => pause_worker(system, *worker, *lasts).await,
        Fault::DrainWorker { worker, away, again } => drain_worker(system, *worker, *away, *again).await?,
        Fault::KillApi { away } => {
            let mut process = system.api.lock().await;
            system.api.mark_down();
            process.kill().await?;
            sleep(*away).await;
            system.api.restart(&mut process)?;
        }
        Fault::KillDce { which } => kill_dce(system, *which),
        Fault::RestartPostgres { crash, away } => {
            let (how, away) = (if *crash { Shutdown::Immediate } else { Shutdown::Fast }, *away);
            system.with_postgres(move |postgres| postgres.stop(how)).await?;
            sleep(away).await;
            system.with_postgres(dce_local::PrivatePostgres::start_again).await?;
        }
        Fault::EndSessions { first, count } => end_sessions(system, *first, *count).await,
        Fault::TakeSessions { lasts } => take_sessions(system, *lasts).await,
        Fault::Cut => system.proxy.cut(),
        Fault::Refuse { lasts } => {
            system.proxy.refuse(true);
            sleep(*lasts).await;
            system.proxy.refuse(false);
        }
        Fault::Freeze { lasts } => {
            system.proxy.freeze(true);
            sleep(*lasts).await;
            system.proxy.freeze(false);
        }
        Fault::Delay { chunk, lasts } => {
            system.proxy.delay(*chunk);
            sleep(*lasts).await;
            system.proxy.delay(Duration::ZERO);
        }
        Fault::LoseCommits { lost, count } => {
            for _ in 0..*count {
                system.proxy.lose_commit(*lost);
            }
        }
        Fault::FillDisk { lasts } if system.disk.can_be_full() => {
            let until = Instant::now() + *lasts;
            let mut filled = 0;
            while Instant::now() < until {
                filled += u32::from(system.disk.fill()?); // again, since files go
                sleep(REFILL).await;
            }
            system.log.note(format_args!("disk filled {filled} times"));
            system.disk.empty()?;
        }
        Fault::DiscordAway { lasts } => {
            system.discord.away();
            sleep(*lasts).await;
            system.discord.back();
        }
        Fault::HideHistory { which, lasts } => {
            let Some(channel) = system.channels.get(index(*which, system.channels.len())) else {
                return Ok(());
            };
            system.discord.hide_history(channel, true);
            sleep(*lasts).await;
            system.discord.hide_history(channel, false);
        }
        Fault::FillDisk { .. } => system.log.note("no permission to mount a disk: it is not filled"),
    }
    Ok(())
}

async fn kill_worker(system: &SystemUnderTest, worker: usize, away: Duration) -> anyhow::Result<()> {
    let worker = &system.workers[worker];
    let id = worker.announced();
    let mut process = worker.lock().await;
    worker.mark_down();
    system.log.worker_exit(id);
    process.kill().await?;
    sleep(away).await;
    worker.restart(&mut process)
}

async fn pause_worker(system: &SystemUnderTest, worker: usize, lasts: Duration) {
    let worker = &system.workers[worker];
    let process = worker.lock().await;
    worker.mark_down();
    process.signal(Signal::SIGSTOP);
    sleep(lasts).await;
    process.signal(Signal::SIGCONT);
}

/// The worker ends in order: with exit code 0, within its grace. A second signal shortens that.
async fn drain_worker(
    system: &SystemUnderTest,
    worker: usize,
    away: Duration,
    again: Option<Duration>,
) -> anyhow::Result<()> {
    let worker = &system.workers[worker];
    let id = worker.announced();
    let mut process = worker.lock().await;
    worker.mark_down();
    let was_ready = id.is_some();
    system.log.worker_exit(id);
    process.signal(Signal::SIGTERM);
    if let Some(pause) = again {
        sleep(pause).await;
        if process.is_running() {
            process.signal(Signal::SIGTERM);
        }
    }
    let status = match &mut process.running {
        Some(running) => running.child.wait(END_LIMIT).await?,
        None => None,
    };
    match status {
        Some(status) if !was_ready || again.is_some() || status.code() == Some(0) => process.keep_log(),
        Some(status) => {
            system.log.violation(ViolationKind::Misbehaved, format!("a drained worker ended with {status}"));
            process.keep_log();
        }
        None => {
            let what = format!("a worker did not end within {END_LIMIT:?} of SIGTERM");
            system.log.violation(ViolationKind::Stuck, what);
            process.kill().await?;
        }
    }
    sleep(away).await;
    worker.restart(&mut process)
}

fn kill_dce(system: &SystemUnderTest, which: u64) {
    let all = dce_processes::find(system.scenario.dir());
    if let Some(pid) = all.get(index(which, all.len())) {
        let _ = kill(*pid, Signal::SIGKILL); // it may have ended by itself
    }
}

/// Terminates `count` of the service's sessions after the `first`. The server may be away.
async fn end_sessions(system: &SystemUnderTest, first: u64, count: u64) {
    let ended: sqlx::Result<i64> = sqlx::query_scalar(
        "SELECT count(pg_terminate_backend(pid)) FROM (
             SELECT pid FROM (
                 SELECT pid, row_number() OVER (ORDER BY pid) AS number, count(*) OVER () AS number_of
                   FROM pg_stat_activity WHERE datname = current_database() AND application_name <> $1) s
              WHERE (number + $2) % number_of < $3) picked",
    )
    .bind(OWN_SESSIONS)
    .bind((first % 1000).cast_signed())
    .bind(count.cast_signed())
    .fetch_one(&system.pool)
    .await;
    match ended {
        Ok(ended) => system.log.note(format_args!("{ended} sessions ended")),
        Err(error) => system.log.note(format_args!("no session ended: {error}")),
    }
}

/// Ends all sessions of the service and occupies all sessions of the server for a while.
async fn take_sessions(system: &SystemUnderTest, lasts: Duration) {
    let until = Instant::now() + lasts;
    let options: PgConnectOptions = (*system.pool.connect_options()).clone();
    let mut taken: Vec<PgConnection> = Vec::new();
    take_rest(&options, &mut taken).await;
    end_sessions(system, 0, u64::from(u16::MAX)).await;
    while Instant::now() < until {
        take_rest(&options, &mut taken).await;
        sleep(Duration::from_millis(50)).await;
    }
    system.log.note(format_args!("{} sessions were taken", taken.len()));
}

async fn take_rest(options: &PgConnectOptions, taken: &mut Vec<PgConnection>) {
    while taken.len() < ALL_SESSIONS {
        match options.connect().await {
            Ok(connection) => taken.push(connection),
            Err(_) => return,
        }
    }
}

/// Ends all faults and waits until every process is ready.
pub(crate) async fn end_all(system: &SystemUnderTest) -> anyhow::Result<()> {
    system.proxy.restore();
    discord::make_reliable(&system.discord, &system.channels);
    if system.disk.can_be_full() {
        system.disk.empty()?;
    }
    for process in system.processes() {
        let is_ready = async || process.announced();
        eventually(Duration::from_secs(90), "every process is ready", is_ready).await;
    }
    Ok(())
}
