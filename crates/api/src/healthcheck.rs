//! Asks a running server whether it is alive: for container health checks in images without curl.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

/// For connecting, sending and receiving, each.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Why a server counts as dead.
#[derive(Debug, thiserror::Error)]
pub enum Unhealthy {
    /// No answer.
    #[error("no answer from {address}: {source}")]
    NoAnswer {
        /// Who was asked.
        address: SocketAddr,
        /// What happened.
        source: io::Error,
    },
    /// Another answer than 200.
    #[error("{address} did not answer with 200")]
    Refused {
        /// Who was asked.
        address: SocketAddr,
    },
}

/// Asks the server that listens on this address for `/livez`.
pub fn check(listens_on: SocketAddr) -> Result<(), Unhealthy> {
    let address = reachable(listens_on);
    let status = status_line(address).map_err(|source| Unhealthy::NoAnswer { address, source })?;
    if status.starts_with(b"HTTP/1.") && status.ends_with(b" 200") {
        Ok(())
    } else {
        Err(Unhealthy::Refused { address })
    }
}

/// "Every interface" is no address to connect to.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// The first bytes of the answer, up to and with the status code: `HTTP/1.1 200`.
fn status_line(address: SocketAddr) -> io::Result<[u8; 12]> {
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    write!(stream, "GET /livez HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut start = [0; 12];
    stream.read_exact(&mut start)?;
    Ok(start)
}
