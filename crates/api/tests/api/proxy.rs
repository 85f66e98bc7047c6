//! A way to the database that can be cut.

use dce_testkit::database::TestDatabase;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, UnixStream};
use tokio::task::{JoinHandle, JoinSet};

/// Passes connections on to the test's server until it is dropped, which closes all of them.
pub(crate) struct Proxy(JoinHandle<()>);

impl Proxy {
    /// On this port of 127.0.0.1.
    pub(crate) async fn start(database: &TestDatabase, port: u16) -> Self {
        let options = database.pool().connect_options();
        let directory = options.get_socket().expect("the test's server listens on a socket");
        let socket = directory.join(format!(".s.PGSQL.{}", options.get_port()));
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        Self(tokio::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (mut client, _) = listener.accept().await.unwrap();
                let mut server = UnixStream::connect(&socket).await.unwrap();
                connections.spawn(async move { copy_bidirectional(&mut client, &mut server).await });
            }
        }))
    }

    /// The database as seen through a proxy on this port, whether or not there is one.
    pub(crate) fn url(database: &TestDatabase, port: u16) -> String {
        format!("postgres://postgres@127.0.0.1:{port}/{}", database.name())
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.0.abort();
    }
}
