//! A proxy in front of Postgres that can cut, refuse, freeze and delay connections, and cut one at a COMMIT.

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

/// The simple query `COMMIT` in the stream: type, length, text.
const COMMIT: &[u8] = b"Q\0\0\0\x0bCOMMIT\0";
/// Maximum bytes of a chunk, the unit of a delay.
const CHUNK: usize = 16 << 10;
/// Time allowed for the answer to a COMMIT, if that answer is to be lost.
const COMMIT_LIMIT: Duration = Duration::from_secs(5);

/// The lost part when a connection is cut at a COMMIT. The client cannot distinguish the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// The COMMIT itself: the server rolls back.
    Request,
    /// The answer: the server has committed.
    Answer,
}

/// How open and new connections are treated.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Behaviour {
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
    behaviour: watch::Sender<Behaviour>,
    /// Connections end when it changes.
    cuts: watch::Sender<u64>,
    /// The parts to lose of the next COMMITs, the last one first.
    commits: Mutex<Vec<Lost>>,
    commits_lost: AtomicU32,
    open: AtomicUsize,
}

impl Proxy {
    /// Listens on a free port of 127.0.0.1 and forwards to this socket.
    pub async fn start(upstream: PathBuf) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        let shared = Arc::new(Shared {
            upstream,
            behaviour: watch::Sender::new(Behaviour::default()),
            cuts: watch::Sender::new(0),
            commits: Mutex::default(),
            commits_lost: AtomicU32::new(0),
            open: AtomicUsize::new(0),
        });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self { port, shared, accepting })
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Ends all connections; new ones are accepted.
    pub fn cut(&self) {
        self.shared.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// Closes new connections at once, or accepts them again.
    pub fn refuse(&self, refuses: bool) {
        self.shared.behaviour.send_modify(|behaviour| behaviour.refuses = refuses);
    }

    /// Forwards nothing in either direction, not even the end of a connection, like a dead network; or everything again.
    pub fn freeze(&self, is_frozen: bool) {
        self.shared.behaviour.send_modify(|behaviour| behaviour.is_frozen = is_frozen);
    }

    /// Delays every chunk in each direction.
    pub fn delay(&self, delay: Duration) {
        self.shared.behaviour.send_modify(|behaviour| behaviour.delay = delay);
    }

    /// Cuts the connection of the next COMMIT in the middle of it. Several calls affect several COMMITs.
    pub fn lose_commit(&self, lost: Lost) {
        self.shared.commits().insert(0, lost);
    }

    /// Number of COMMITs cut so far.
    pub fn commits_lost(&self) -> u32 {
        self.shared.commits_lost.load(Ordering::Relaxed)
    }

    /// Forwards everything again and forgets COMMITs that did not come.
    pub fn restore(&self) {
        self.shared.commits().clear();
        self.shared.behaviour.send_replace(Behaviour::default());
    }

    /// Number of open connections.
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
            sleep(Duration::from_millis(10)).await; // out of descriptors: wait until a client disconnects
            continue;
        };
        if shared.behaviour.borrow().refuses {
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

/// Serves one connection until either end closes it or a COMMIT is lost.
async fn connect(client: TcpStream, shared: &Shared) -> io::Result<()> {
    let server = UnixStream::connect(&shared.upstream).await?;
    client.set_nodelay(true)?;
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let is_mute = AtomicBool::new(false);
    tokio::select! {
        ended = Requests { shared, is_mute: &is_mute, seen: Vec::new() }.forward(from_client, to_server) => ended,
        ended = forward_answers(shared, &is_mute, from_server, to_client) => ended,
    }
}

/// Waits while frozen, then for the delay.
async fn wait_until_due(shared: &Shared) {
    let mut behaviour = shared.behaviour.subscribe();
    let delay = match behaviour.wait_for(|behaviour| !behaviour.is_frozen).await {
        Ok(behaviour) => behaviour.delay,
        Err(_) => return, // the sender lives as long as `shared`
    };
    if !delay.is_zero() {
        sleep(delay).await;
    }
}

/// The direction from the client to the server.
struct Requests<'a> {
    shared: &'a Shared,
    is_mute: &'a AtomicBool,
    /// The last forwarded bytes: a COMMIT may arrive in two pieces.
    seen: Vec<u8>,
}

impl Requests<'_> {
    async fn forward(
        mut self,
        mut from: impl AsyncRead + Unpin,
        mut to: impl AsyncWrite + Unpin,
    ) -> io::Result<()> {
        let mut chunk = vec![0; CHUNK];
        loop {
            let length = from.read(&mut chunk).await?;
            wait_until_due(self.shared).await;
            if length == 0 {
                return Ok(());
            }
            let chunk = &chunk[..length];
            match self.lost(chunk) {
                None => to.write_all(chunk).await?,
                Some(Lost::Request) => return Ok(()),
                Some(Lost::Answer) => {
                    // Nothing else is on its way to the client: it waits for this answer.
                    self.is_mute.store(true, Ordering::Release);
                    to.write_all(chunk).await?;
                    sleep(COMMIT_LIMIT).await; // the answer ends the connection earlier
                    return Ok(());
                }
            }
        }
    }

    /// The part to lose if this chunk ends with a COMMIT.
    fn lost(&mut self, chunk: &[u8]) -> Option<Lost> {
        self.seen.extend_from_slice(chunk);
        let is_commit = self.seen.ends_with(COMMIT);
        self.seen.drain(..self.seen.len().saturating_sub(COMMIT.len()));
        let lost = is_commit.then(|| self.shared.commits().pop())??;
        self.shared.commits_lost.fetch_add(1, Ordering::Relaxed);
        Some(lost)
    }
}

/// Forwards from the server to the client, unless a COMMIT's answer is lost.
async fn forward_answers(
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
        wait_until_due(shared).await;
        if length == 0 {
            return Ok(());
        }
        to.write_all(&chunk[..length]).await?;
    }
}
