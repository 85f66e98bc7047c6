//! The sockets: connections to the API and, through the proxy, TLS connections to `discord.com`.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use chrono::{DateTime, Utc};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use super::answer::Answer;
use super::http::{Connection, Head, Requests, deliver};
use super::request::Request;
use super::route::Route;
use super::state::State;

/// What tests and the server share.
pub(super) struct Shared {
    state: Mutex<State>,
    start: Instant,
    /// Discord cannot be reached: nothing listens, and connections are closed.
    pub(super) is_away: watch::Sender<bool>,
}

impl Shared {
    pub(super) fn new(state: State) -> Self {
        Self { state: Mutex::new(state), start: Instant::now(), is_away: watch::Sender::new(false) }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn start(&self) -> Instant {
        self.start
    }

    fn answer(&self, head: &Head) -> (Answer, DateTime<Utc>) {
        let (auth, token) = head.token();
        let (at, route, query) = (self.start.elapsed(), Route::parse(head.path()), head.query());
        let request = Request { at, route, auth, query, status: None };
        let mut state = self.state();
        let answer = if head.method == "GET" { state.answer(request, token) } else { Answer::status(405) };
        (answer, clock() + state.clock_offset)
    }
}

#[expect(clippy::disallowed_methods, reason = "Discord's clock")]
fn clock() -> DateTime<Utc> {
    Utc::now()
}

/// A port that stays ours while nothing listens on it, so that clients are refused.
pub(super) struct Port {
    address: SocketAddr,
    _reserved: TcpSocket,
}

impl Port {
    /// Takes this port of 127.0.0.1; 0 is any free one.
    pub(super) fn reserve(port: u16) -> io::Result<Self> {
        let reserved = socket((Ipv4Addr::LOCALHOST, port).into())?;
        Ok(Self { address: reserved.local_addr()?, _reserved: reserved })
    }

    pub(super) fn number(&self) -> u16 {
        self.address.port()
    }

    fn listen(&self) -> io::Result<TcpListener> {
        socket(self.address)?.listen(1024)
    }
}

fn socket(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?; // two of ours on one port, of which at most one listens
    socket.bind(address)?;
    Ok(socket)
}

/// How connections are treated.
#[derive(Clone)]
pub(super) enum Protocol {
    Http,
    /// `CONNECT`, then TLS.
    Proxy(TlsAcceptor),
}

/// Listens at once; the future accepts connections while Discord is not away.
pub(super) fn listen(
    runtime: &Runtime,
    port: Port,
    protocol: Protocol,
    shared: &Arc<Shared>,
) -> io::Result<impl Future<Output = io::Result<()>> + use<>> {
    let first = {
        let _context = runtime.enter();
        port.listen()?
    };
    let shared = Arc::clone(shared);
    Ok(async move {
        let mut is_away = shared.is_away.subscribe();
        let mut listener = Some(first);
        loop {
            tokio::select! {
                ended = accept(listener.take(), &port, &protocol, &shared) => return ended,
                _ = is_away.wait_for(|is_away| *is_away) => {}
            }
            if is_away.wait_for(|is_away| !is_away).await.is_err() {
                return Ok(());
            }
        }
    })
}

/// Accepts on this listener, or on a new one.
async fn accept(
    listener: Option<TcpListener>,
    port: &Port,
    protocol: &Protocol,
    shared: &Arc<Shared>,
) -> io::Result<()> {
    let listener = listener.map_or_else(|| port.listen(), Ok)?;
    loop {
        let (stream, _) = listener.accept().await?;
        let (protocol, shared) = (protocol.clone(), Arc::clone(shared));
        let mut is_away = shared.is_away.subscribe();
        tokio::spawn(async move {
            let serving = async {
                stream.set_nodelay(true)?;
                match protocol {
                    Protocol::Http => serve(stream, &shared).await,
                    Protocol::Proxy(acceptor) => tunnel(stream, &acceptor, &shared).await,
                }
            };
            tokio::select! {
                biased;
                _ = is_away.wait_for(|is_away| *is_away) => {}
                _ = serving => {} // an error is the client's end of the connection
            }
        });
    }
}

/// Answers requests until one side closes the connection.
async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, shared: &Shared) -> io::Result<()> {
    let mut requests = Requests::new();
    while let Some(head) = requests.next(&mut stream).await? {
        let (answer, now) = shared.answer(&head);
        if deliver(&mut stream, &answer, now).await? == Connection::Closed || head.closes {
            break;
        }
    }
    stream.shutdown().await
}

/// A proxy that is itself the host it connects to.
async fn tunnel(mut stream: TcpStream, acceptor: &TlsAcceptor, shared: &Shared) -> io::Result<()> {
    let Some(head) = Requests::new().next(&mut stream).await? else { return Ok(()) };
    if head.method != "CONNECT" || head.target != "discord.com:443" {
        stream.write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n").await?;
        return stream.shutdown().await;
    }
    stream.write_all(b"HTTP/1.1 200 Connection Established\r\n\r\n").await?;
    serve(acceptor.accept(stream).await?, shared).await
}
