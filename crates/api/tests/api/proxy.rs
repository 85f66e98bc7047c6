//! A proxy in front of the database that can be cut or fall silent.

use dce_testkit::database::TestDatabase;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// Forwards connections to the test's server. Dropping it closes all of them.
pub(crate) struct Proxy {
    task: JoinHandle<()>,
    silent: watch::Sender<bool>,
}

impl Proxy {
    /// Listens on this port of 127.0.0.1.
    pub(crate) async fn start(database: &TestDatabase, port: u16) -> Self {
        let options = database.pool().connect_options();
        let directory = options.get_socket().expect("the test's server listens on a socket");
        let socket = directory.join(format!(".s.PGSQL.{}", options.get_port()));
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let (silent, silence) = watch::channel(false);
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let server = UnixStream::connect(&socket).await.unwrap();
                connections.spawn(pass_on(client, server, silence.clone()));
            }
        });
        Self { task, silent }
    }

    /// Stops forwarding without closing anything, like a network that drops packets.
    pub(crate) fn fall_silent(&self) {
        self.silent.send_replace(true);
    }

    /// Forwards new connections. Open ones stay silent for ever, as behind a router that has forgotten them.
    pub(crate) fn take_new_connections(&self) {
        self.silent.send_replace(false);
    }

    /// The URL of the database through a proxy on this port, whether or not there is one.
    pub(crate) fn url(database: &TestDatabase, port: u16) -> String {
        format!("postgres://postgres@127.0.0.1:{port}/{}", database.name())
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn pass_on(mut client: TcpStream, mut server: UnixStream, mut silence: watch::Receiver<bool>) {
    tokio::select! {
        biased;
        true = async { silence.wait_for(|silent| *silent).await.is_ok() } => {}
        _ = copy_bidirectional(&mut client, &mut server) => return,
    }
    std::future::pending::<()>().await; // holds both sockets
}
