//! `dce-api healthcheck`: checks that a running server is alive. For container health checks in images without curl.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

/// Applies to connecting, sending and receiving separately.
const TIMEOUT: Duration = Duration::from_secs(3);

#[derive(Debug, thiserror::Error)]
pub enum Unhealthy {
    #[error("no response from {address}: {source}")]
    NoResponse { address: SocketAddr, source: io::Error },
    #[error("{address} responded with a status other than 200")]
    NotOk { address: SocketAddr },
}

/// Requests `/livez` from the server that listens on this address.
pub fn check(listens_on: SocketAddr) -> Result<(), Unhealthy> {
    let address = reachable(listens_on);
    let status = status_line(address).map_err(|source| Unhealthy::NoResponse { address, source })?;
    if status.starts_with(b"HTTP/1.") && status.ends_with(b" 200") {
        Ok(())
    } else {
        Err(Unhealthy::NotOk { address })
    }
}

/// An address to connect to: loopback where the server listens on every interface.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// The first bytes of the response, through the status code: `HTTP/1.1 200`.
fn status_line(address: SocketAddr) -> io::Result<[u8; 12]> {
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    write!(stream, "GET /livez HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut start = [0; 12];
    stream.read_exact(&mut start)?;
    Ok(start)
}
