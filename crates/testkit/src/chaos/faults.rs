//! The faults, done to a running service.

use std::time::{Duration, Instant};

use dce_local::Shutdown;
use dce_testkit::process::{Running, eventually};
use futures_util::future::join_all;
use nix::sys::signal::{Signal, kill};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions as _, PgConnection};
use tokio::time::sleep;

use crate::dce;
use crate::journal::Breach;
use crate::plan::{Fault, TimedFault};
use crate::random::index;
use crate::world::{OURSELVES, World};

/// Beyond its grace a worker may take so long to end on a busy machine.
const END_LIMIT: Duration = Duration::from_secs(25);
/// How often what was freed on the disk is taken away again.
const REFILL: Duration = Duration::from_millis(100);
/// More sessions than the server has.
const ALL_SESSIONS: usize = 60;

/// Does all of them at their times. Returns when the last one is over.
pub(crate) async fn perform_all(world: &World, faults: &[TimedFault]) -> anyhow::Result<()> {
    let done = join_all(faults.iter().map(async |timed| {
        tokio::time::sleep_until((world.journal.start() + timed.at).into()).await;
        world.journal.note(format_args!("fault {:?}", timed.fault));
        let from = Instant::now();
        let done = perform(world, &timed.fault).await;
        if timed.fault.disturbs_all() {
            world.journal.disturbed(from, from.elapsed());
        }
        done
    }));
    done.await.into_iter().collect()
}

async fn perform(world: &World, fault: &Fault) -> anyhow::Result<()> {
    match fault {
        Fault::KillWorker { worker, away } => kill_worker(world, *worker, *away).await,
        Fault::PauseWorker { worker, lasts } => pause_worker(world, *worker, *lasts).await,
        Fault::DrainWorker { worker, away, again } => drain_worker(world, *worker, *away, *again).await,
        Fault::KillApi { away } => {
            let mut process = world.api.lock().await;
            world.api.is_down();
            process.kill().await;
            sleep(*away).await;
            world.api.refill(&mut process);
        }
        Fault::KillDce { which } => kill_dce(world, *which),
        Fault::RestartPostgres { crash, away } => {
            let (how, away) = (if *crash { Shutdown::Immediate } else { Shutdown::Fast }, *away);
            world.with_postgres(move |postgres| postgres.stop(how)).await?;
            sleep(away).await;
            world.with_postgres(dce_local::PrivatePostgres::start_again).await?;
        }
        Fault::EndSessions { first, count } => end_sessions(world, *first, *count).await,
        Fault::TakeSessions { lasts } => take_sessions(world, *lasts).await,
        Fault::Cut => world.proxy.cut(),
        Fault::Refuse { lasts } => {
            world.proxy.refuse(true);
            sleep(*lasts).await;
            world.proxy.refuse(false);
        }
        Fault::Freeze { lasts } => {
            world.proxy.freeze(true);
            sleep(*lasts).await;
            world.proxy.freeze(false);
        }
        Fault::Delay { chunk, lasts } => {
            world.proxy.delay(*chunk);
            sleep(*lasts).await;
            world.proxy.delay(Duration::ZERO);
        }
        Fault::LoseCommits { lost, count } => {
            for _ in 0..*count {
                world.proxy.lose_commit(*lost);
            }
        }
        Fault::FillDisk { lasts } if world.disk.can_be_full() => {
            let until = Instant::now() + *lasts;
            let mut filled = 0;
            while Instant::now() < until {
                filled += u32::from(world.disk.fill()?); // again, since files go
                sleep(REFILL).await;
            }
            world.journal.note(format_args!("the disk was filled {filled} times"));
            world.disk.empty()?;
        }
        Fault::FillDisk { .. } => world.journal.note("no right to mount a disk: it is not filled"),
    }
    Ok(())
}

async fn kill_worker(world: &World, worker: usize, away: Duration) {
    let place = &world.workers[worker];
    let name = place.name();
    let mut process = place.lock().await;
    place.is_down();
    world.journal.departed(name);
    process.kill().await;
    sleep(away).await;
    place.refill(&mut process);
}

async fn pause_worker(world: &World, worker: usize, lasts: Duration) {
    let place = &world.workers[worker];
    let process = place.lock().await;
    place.is_down();
    process.signal(Signal::SIGSTOP);
    sleep(lasts).await;
    process.signal(Signal::SIGCONT);
}

/// The worker ends in order: with exit code 0, within its grace. A second signal shortens that.
async fn drain_worker(world: &World, worker: usize, away: Duration, again: Option<Duration>) {
    let place = &world.workers[worker];
    let name = place.name();
    let mut process = place.lock().await;
    place.is_down();
    let was_ready = name.is_some();
    world.journal.departed(name);
    process.signal(Signal::SIGTERM);
    if let Some(pause) = again {
        sleep(pause).await;
        if process.running.as_mut().is_some_and(Running::is_running) {
            process.signal(Signal::SIGTERM);
        }
    }
    let status = match &mut process.running {
        Some(running) => running.ended(END_LIMIT).await,
        None => None,
    };
    match status {
        Some(status) if !was_ready || again.is_some() || status.code() == Some(0) => process.empty(),
        Some(status) => {
            world.journal.violated(Breach::Misbehaved, format!("a drained worker ended with {status}"));
            process.empty();
        }
        None => {
            let what = format!("a worker did not end within {END_LIMIT:?} of SIGTERM");
            world.journal.violated(Breach::Stuck, what);
            process.kill().await;
        }
    }
    sleep(away).await;
    place.refill(&mut process);
}

fn kill_dce(world: &World, which: u64) {
    let all = dce::processes(world.scenario.dir());
    if let Some(pid) = all.get(index(which, all.len())) {
        let _ = kill(*pid, Signal::SIGKILL); // it may have ended by itself
    }
}

/// Terminates `count` of the service's sessions, those after the `first`. The server may be away.
async fn end_sessions(world: &World, first: u64, count: u64) {
    let ended: sqlx::Result<i64> = sqlx::query_scalar(
        "SELECT count(pg_terminate_backend(pid)) FROM (
             SELECT pid FROM (
                 SELECT pid, row_number() OVER (ORDER BY pid) AS number, count(*) OVER () AS number_of
                   FROM pg_stat_activity WHERE datname = current_database() AND application_name <> $1) s
              WHERE (number + $2) % number_of < $3) picked",
    )
    .bind(OURSELVES)
    .bind((first % 1000).cast_signed())
    .bind(count.cast_signed())
    .fetch_one(&world.pool)
    .await;
    match ended {
        Ok(ended) => world.journal.note(format_args!("{ended} sessions ended")),
        Err(error) => world.journal.note(format_args!("no session ended: {error}")),
    }
}

/// Ends all sessions of the service and takes all places that the server has, for a while.
async fn take_sessions(world: &World, lasts: Duration) {
    let until = Instant::now() + lasts;
    let options: PgConnectOptions = (*world.pool.connect_options()).clone();
    let mut taken: Vec<PgConnection> = Vec::new();
    take_rest(&options, &mut taken).await;
    end_sessions(world, 0, u64::from(u16::MAX)).await;
    while Instant::now() < until {
        take_rest(&options, &mut taken).await;
        sleep(Duration::from_millis(50)).await;
    }
    world.journal.note(format_args!("{} sessions were taken", taken.len()));
}

async fn take_rest(options: &PgConnectOptions, taken: &mut Vec<PgConnection>) {
    while taken.len() < ALL_SESSIONS {
        match options.connect().await {
            Ok(connection) => taken.push(connection),
            Err(_) => return,
        }
    }
}

/// Ends all faults: everything is there and answers.
pub(crate) async fn make_honest(world: &World) -> anyhow::Result<()> {
    world.proxy.restore();
    if world.disk.can_be_full() {
        world.disk.empty()?;
    }
    for place in world.places() {
        let is_there = async || place.name();
        eventually(Duration::from_secs(90), "the process of every place is ready", is_there).await;
    }
    Ok(())
}
