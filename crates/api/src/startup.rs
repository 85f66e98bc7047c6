//! Starts the server from its settings and stops it in order after a signal.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::middleware::{Compress, from_fn};
use actix_web::{App, HttpServer, web};
use dce_core::db::{self, DbError, PgPool};
use dce_core::schema;
use dce_core::store::reading::messages::Sessions;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;
use tracing_actix_web::TracingLogger;

use crate::cors::AllowedOrigins;
use crate::live::Hub;
use crate::reading::sessions::ReadSessions;
use crate::request_log::RequestSpan;
use crate::settings::Settings;
use crate::state::AppState;
use crate::{compression, problem, request_id, routes, security_headers};

/// Threads that serve requests. Postgres does the work, over few connections: more threads would only wait.
const HTTP_WORKERS: usize = 2;
/// How long idle connections stay open: longer than at common proxies, so that the proxy closes first.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// Connections per thread; further ones wait until one ends.
const MAX_CONNECTIONS: usize = 4096;
/// Sessions that read pages of the archive. None is held between pages, so that few serve many clients; with only one, a
/// page would wait for a long search.
const READ_SESSIONS: u32 = 2;
/// Seconds that responses may still take after a stop is requested: twice the limit of a query. Closing the connections
/// takes up to 2 s more. Platforms kill later (Render after 30 s, `docker/compose.yaml` after 25 s).
const SHUTDOWN_TIMEOUT: u64 = 20;

#[derive(Debug, thiserror::Error)]
pub enum StartupError {
    #[error(transparent)]
    Database(#[from] DbError),
    #[error("cannot listen on {address}: {source}")]
    Listen { address: SocketAddr, source: io::Error },
    #[error("the server failed: {0}")]
    Server(#[from] io::Error),
}

/// A server that is already listening.
pub struct Application {
    server: Server,
    address: SocketAddr,
    pool: PgPool,
    watcher: JoinHandle<()>,
    archive: Sessions,
}

impl Application {
    /// Waits for the database, migrates it if `MIGRATE_ON_START` is set, and listens. `stop` ends the server in order.
    pub async fn build(
        settings: Settings,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> Result<Self, StartupError> {
        schema::prepare(&settings.database_url, settings.migrate_on_start).await?;
        let pool = db::connect_control(&settings.database_url, "dce-api", settings.db_pool_size);
        let (live, watcher) = Hub::new(pool.clone(), settings.database_url.clone(), settings.events_ping);
        let read = db::connect_read(&settings.database_url, "dce-api", READ_SESSIONS);
        let archive = Sessions::new(read, pool.clone());
        let state = AppState {
            pool: pool.clone(),
            archive: ReadSessions::new(archive.clone()),
            keys: settings.keys,
            channels: settings.channels,
            max_attempts: settings.max_attempts,
            rate_limit: settings.rate_limit,
            request_timeout: settings.request_timeout,
            limit: settings.limit,
            live: live.clone(),
        };
        let requested = settings.address;
        let listen_error = |source| StartupError::Listen { address: requested, source };
        let listener = TcpListener::bind(requested).map_err(listen_error)?;
        let address = listener.local_addr().map_err(listen_error)?;
        // Event streams would never end on their own: they are stopped first.
        let stop = async move {
            stop.await;
            live.stop();
        };
        let server = serve(listener, state, settings.origins, stop)?;
        let watcher = tokio::spawn(watcher.run());
        tracing::info!(%address, "api.listening");
        Ok(Self { server, address, pool, watcher, archive })
    }

    /// The address that the server listens on; with `PORT=0` it has the port that the system chose.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop`, then lets pending responses finish.
    pub async fn run_until_stopped(self) -> Result<(), StartupError> {
        self.server.await?;
        self.watcher.abort(); // it has ended unless it is waiting for the database
        self.archive.close().await;
        self.pool.close().await;
        tracing::info!("api.stopped");
        Ok(())
    }
}

fn serve(
    listener: TcpListener,
    state: AppState,
    origins: AllowedOrigins,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<Server> {
    let request_timeout = state.request_timeout;
    let state = web::Data::new(state);
    let server = HttpServer::new(move || {
        // The last one is the outermost: the id exists before the span, the span before a problem is logged.
        App::new()
            .app_data(state.clone())
            .configure(routes::configure)
            .wrap(from_fn(compression::mark_exempt))
            .wrap(Compress::default())
            .wrap(from_fn(compression::remove_mark))
            .wrap(from_fn(problem::render))
            .wrap(from_fn(security_headers::add))
            .wrap(origins.middleware())
            .wrap(TracingLogger::<RequestSpan>::new())
            .wrap(from_fn(request_id::assign))
    });
    Ok(server
        .workers(HTTP_WORKERS)
        .keep_alive(KEEP_ALIVE)
        .client_request_timeout(request_timeout)
        .max_connections(MAX_CONNECTIONS)
        // A client that has closed its side is gone: work for it is cancelled.
        .h1_allow_half_closed(false)
        .shutdown_signal(stop)
        .shutdown_timeout(SHUTDOWN_TIMEOUT)
        .listen(listener)?
        .run())
}

/// Completes with the first SIGTERM or SIGINT; both mean an orderly stop.
pub fn stop_requested() -> Result<impl Future<Output = ()> + Send + 'static, StartupError> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        let name = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        };
        tracing::info!(signal = name, "api.stopping");
    })
}
