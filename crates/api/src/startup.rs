//! From settings to a listening server, and from a signal to its orderly end.

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

use crate::browser::{self, Origins};
use crate::compression;
use crate::config::Settings;
use crate::live::Hub;
use crate::problem;
use crate::reading::archive::Archive;
use crate::request_id;
use crate::request_log::RequestSpan;
use crate::routes;
use crate::state::AppState;

/// Threads that serve requests. The work is done in Postgres, over few connections: more threads would only wait.
const HTTP_WORKERS: usize = 2;
/// How long an idle connection is kept: longer than proxies keep theirs, so that they close first.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// Connections for each of the threads; more wait until one ends.
const MAX_CONNECTIONS: usize = 4096;
/// Sessions that read pages of the archive. None is held between pages, so that few serve many clients; one is not enough
/// to look at a page while a search goes on.
const READ_SESSIONS: u32 = 2;
/// Seconds that answers may still take after a stop is asked for: twice what a query may take. Closing the connections
/// takes 2 s more at most; platforms kill later (Render after 30 s, `docker/compose.yaml` after 25 s).
const SHUTDOWN_TIMEOUT: u64 = 20;

/// Why the server did not start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum StartupError {
    /// The database is away or cannot be set up.
    #[error(transparent)]
    Database(#[from] DbError),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// HOST and PORT.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The server or its signals failed.
    #[error("the server failed: {0}")]
    Server(#[from] io::Error),
}

/// A server that listens already.
pub struct Application {
    server: Server,
    address: SocketAddr,
    pool: PgPool,
    watcher: JoinHandle<()>,
    archive: Sessions,
}

impl Application {
    /// Waits for the database, migrates if the settings say so, and listens. `stop` ends the server in order.
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
            archive: Archive::new(archive.clone()),
            keys: settings.keys,
            channels: settings.channels,
            max_attempts: settings.max_attempts,
            rate_limit: settings.rate_limit,
            request_timeout: settings.request_timeout,
            limit: settings.limit,
            live: live.clone(),
        };
        let wanted = settings.address;
        let listen = |source| StartupError::Listen { address: wanted, source };
        let listener = TcpListener::bind(wanted).map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        // Streams of events would outlast every patience: they end first.
        let stop = async move {
            stop.await;
            live.stop();
        };
        let server = serve(listener, state, settings.origins, stop)?;
        let watcher = tokio::spawn(watcher.run());
        tracing::info!(%address, "api.listening");
        Ok(Self { server, address, pool, watcher, archive })
    }

    /// Where it listens; with `PORT=0` the port that the system chose.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop`, then lets answers under way finish.
    pub async fn run_until_stopped(self) -> Result<(), StartupError> {
        self.server.await?;
        self.watcher.abort(); // it has ended, unless it waits for the database
        self.archive.close().await;
        self.pool.close().await;
        tracing::info!("api.stopped");
        Ok(())
    }
}

fn serve(
    listener: TcpListener,
    state: AppState,
    origins: Origins,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<Server> {
    let request_timeout = state.request_timeout;
    let state = web::Data::new(state);
    let server = HttpServer::new(move || {
        // The last one is the outermost: the id is there before the span, the span before a problem is logged.
        App::new()
            .app_data(state.clone())
            .configure(routes::configure)
            .wrap(from_fn(compression::exempt))
            .wrap(Compress::default())
            .wrap(from_fn(compression::tidy))
            .wrap(from_fn(problem::render))
            .wrap(from_fn(browser::protect))
            .wrap(origins.middleware())
            .wrap(TracingLogger::<RequestSpan>::new())
            .wrap(from_fn(request_id::assign))
    });
    Ok(server
        .workers(HTTP_WORKERS)
        .keep_alive(KEEP_ALIVE)
        .client_request_timeout(request_timeout)
        .max_connections(MAX_CONNECTIONS)
        // A client that has closed its side is gone: what is done for it ends.
        .h1_allow_half_closed(false)
        .shutdown_signal(stop)
        .shutdown_timeout(SHUTDOWN_TIMEOUT)
        .listen(listener)?
        .run())
}

/// Ends with the first SIGTERM or SIGINT; both mean "finish what you are doing".
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
