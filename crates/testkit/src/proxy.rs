//! A way to Postgres that can be cut, refused, frozen, slowed down, and cut in the very moment of a COMMIT.

use std::io;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// A simple query `COMMIT` as it stands in the stream: its type, its length, its text.
const COMMIT: &[u8] = b"Q\0\0\0\x0bCOMMIT\0";
/// Bytes that are passed on at once, which is what a delay delays.
const CHUNK: usize = 16 << 10;
/// How long the server may take to answer a COMMIT whose answer is to be lost.
const COMMIT_LIMIT: Duration = Duration::from_secs(5);

/// What gets lost when a connection is cut at a COMMIT. The client cannot tell one from the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// The COMMIT itself: the server rolls back.
    Request,
    /// The answer: the server has committed.
    Answer,
}

/// How connections are treated, those that are open and those to come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Conduct {
    refuses: bool,
    is_frozen: bool,
    delay: Duration,
}

/// A proxy in front of a Postgres on a Unix socket. Ends with all its connections when dropped.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    upstream: PathBuf,
    conduct: watch::Sender<Conduct>,
    /// Connections end when it changes.
    cuts: watch::Sender<u64>,
    /// What to do with the next COMMITs, last one first.
    commits: Mutex<Vec<Lost>>,
    commits_lost: AtomicU32,
    open: AtomicUsize,
}

impl Proxy {
    /// Listens on a free port of 127.0.0.1 and passes on to this socket.
    pub async fn start(upstream: PathBuf) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        let shared = Arc::new(Shared {
            upstream,
            conduct: watch::Sender::new(Conduct::default()),
            cuts: watch::Sender::new(0),
            commits: Mutex::default(),
            commits_lost: AtomicU32::new(0),
            open: AtomicUsize::new(0),
        });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self { port, shared, accepting })
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Ends all connections; new ones are taken.
    pub fn cut(&self) {
        self.shared.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// Closes new connections as soon as they are there, or takes them again.
    pub fn refuse(&self, refuses: bool) {
        self.shared.conduct.send_modify(|conduct| conduct.refuses = refuses);
    }

    /// Passes nothing on, in no direction, not even an end, as a network that has gone; or all of it again.
    pub fn freeze(&self, is_frozen: bool) {
        self.shared.conduct.send_modify(|conduct| conduct.is_frozen = is_frozen);
    }

    /// Holds up every chunk by this much, in each direction.
    pub fn delay(&self, delay: Duration) {
        self.shared.conduct.send_modify(|conduct| conduct.delay = delay);
    }

    /// The connection of the next COMMIT that comes along is cut in the middle of it. Several calls: of the next ones.
    pub fn lose_commit(&self, lost: Lost) {
        self.shared.commits().insert(0, lost);
    }

    /// How many COMMITs were cut so far.
    pub fn commits_lost(&self) -> u32 {
        self.shared.commits_lost.load(Ordering::Relaxed)
    }

    /// Back to passing on everything; COMMITs that did not come along are forgotten.
    pub fn restore(&self) {
        self.shared.commits().clear();
        self.shared.conduct.send_replace(Conduct::default());
    }

    /// Connections that are open.
    pub fn connections(&self) -> usize {
        self.shared.open.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.cut();
    }
}

impl Shared {
    fn commits(&self) -> std::sync::MutexGuard<'_, Vec<Lost>> {
        self.commits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let Ok((client, _)) = listener.accept().await else {
            sleep(Duration::from_millis(10)).await; // out of descriptors: a client will go
            continue;
        };
        if shared.conduct.borrow().refuses {
            continue;
        }
        let mut cuts = shared.cuts.subscribe();
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            shared.open.fetch_add(1, Ordering::Relaxed);
            tokio::select! {
                _ = connect(client, &shared) => {}
                _ = cuts.changed() => {}
            }
            shared.open.fetch_sub(1, Ordering::Relaxed);
        });
    }
}

/// One connection, until either end closes it or a COMMIT is lost.
async fn connect(client: TcpStream, shared: &Shared) -> io::Result<()> {
    let server = UnixStream::connect(&shared.upstream).await?;
    client.set_nodelay(true)?;
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let is_mute = AtomicBool::new(false);
    tokio::select! {
        ended = Requests { shared, is_mute: &is_mute, seen: Vec::new() }.pass(from_client, to_server) => ended,
        ended = answers(shared, &is_mute, from_server, to_client) => ended,
    }
}

/// Waits while frozen, then for the delay.
async fn hold_up(shared: &Shared) {
    let mut conduct = shared.conduct.subscribe();
    let delay = match conduct.wait_for(|conduct| !conduct.is_frozen).await {
        Ok(conduct) => conduct.delay,
        Err(_) => return, // the sender lives as long as `shared`
    };
    if !delay.is_zero() {
        sleep(delay).await;
    }
}

/// From the client to the server.
struct Requests<'a> {
    shared: &'a Shared,
    is_mute: &'a AtomicBool,
    /// The end of what was passed on: a COMMIT may come in two pieces.
    seen: Vec<u8>,
}

impl Requests<'_> {
    async fn pass(
        mut self,
        mut from: impl AsyncRead + Unpin,
        mut to: impl AsyncWrite + Unpin,
    ) -> io::Result<()> {
        let mut chunk = vec![0; CHUNK];
        loop {
            let length = from.read(&mut chunk).await?;
            hold_up(self.shared).await;
            if length == 0 {
                return Ok(());
            }
            let chunk = &chunk[..length];
            match self.lost(chunk) {
                None => to.write_all(chunk).await?,
                Some(Lost::Request) => return Ok(()),
                Some(Lost::Answer) => {
                    // Nothing is on its way to the client: it waits for this answer.
                    self.is_mute.store(true, Ordering::Release);
                    to.write_all(chunk).await?;
                    sleep(COMMIT_LIMIT).await; // the answer ends the connection earlier
                    return Ok(());
                }
            }
        }
    }

    /// Whether this chunk ends in a COMMIT that is to be lost.
    fn lost(&mut self, chunk: &[u8]) -> Option<Lost> {
        self.seen.extend_from_slice(chunk);
        let is_commit = self.seen.ends_with(COMMIT);
        self.seen.drain(..self.seen.len().saturating_sub(COMMIT.len()));
        let lost = is_commit.then(|| self.shared.commits().pop())??;
        self.shared.commits_lost.fetch_add(1, Ordering::Relaxed);
        Some(lost)
    }
}

/// From the server to the client, unless a COMMIT's answer is lost.
async fn answers(
    shared: &Shared,
    is_mute: &AtomicBool,
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK];
    loop {
        let length = from.read(&mut chunk).await?;
        if is_mute.load(Ordering::Acquire) {
            return Ok(());
        }
        hold_up(shared).await;
        if length == 0 {
            return Ok(());
        }
        to.write_all(&chunk[..length]).await?;
    }
}
