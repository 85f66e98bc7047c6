//! GET over HTTP/1.1, as .NET does it for DCE: one connection that is kept open, and a request that got no byte of an
//! answer is sent again at once, three times.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::Waiter;

/// How often a wait for bytes looks for SIGINT.
const POLL: Duration = Duration::from_millis(50);
/// Time allowed for the head of an answer; its body may take for ever.
const HEAD_TIMEOUT: Duration = Duration::from_secs(100);
/// .NET sends a request again this often after its connection ended without a byte.
const RESENDS: u32 = 3;
/// No head of an answer is larger.
const LARGEST_HEAD: usize = 64 * 1024;
const READ_SIZE: usize = 64 * 1024;

#[derive(Debug, thiserror::Error)]
pub(crate) enum HttpError {
    #[error("interrupted")]
    Interrupted,
    /// No connection, or no answer in time.
    #[error("no answer from Discord")]
    Unreachable,
    /// The connection ended before the answer was complete.
    #[error("the connection was dropped")]
    Dropped,
}

/// An address that this client cannot use.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0} is not http://HOST:PORT/PATH")]
pub(crate) struct UnusableUrl(String);

pub(crate) struct HttpClient {
    /// `host:port`
    authority: String,
    /// Path of the base URL, without a slash at its end.
    prefix: String,
    connection: Option<Connection>,
}

struct Connection {
    stream: TcpStream,
    /// Received and not used yet.
    received: Vec<u8>,
}

/// The head of an answer. Its body is read by [`HttpClient::body`].
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
}

impl Head {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name))?;
        Some(value)
    }

    fn parse(head: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(head).ok()?;
        let mut lines = text.lines();
        let status = lines.next()?.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()?;
        let header = |line: &str| {
            let (name, value) = line.split_once(':')?;
            Some((name.to_owned(), value.trim().to_owned()))
        };
        Some(Self { status, headers: lines.filter_map(header).collect() })
    }

    fn is_chunked(&self) -> bool {
        self.header("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked"))
    }

    fn length(&self) -> Option<usize> {
        self.header("content-length")?.parse().ok()
    }
}

impl HttpClient {
    /// `base` is `http://HOST:PORT/PATH`.
    pub(crate) fn new(base: &str) -> Result<Self, UnusableUrl> {
        let rest = base.strip_prefix("http://").ok_or_else(|| UnusableUrl(base.into()))?;
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        if !authority.contains(':') {
            return Err(UnusableUrl(base.into()));
        }
        let path = path.trim_end_matches('/');
        let prefix = if path.is_empty() { String::new() } else { format!("/{path}") };
        Ok(Self { authority: authority.into(), prefix, connection: None })
    }

    /// Sends a request and reads the head of its answer. `path` is relative to the base URL.
    pub(crate) fn get(
        &mut self,
        path: &str,
        authorization: &str,
        waiter: &mut dyn Waiter,
    ) -> Result<Head, HttpError> {
        let request = format!(
            "GET {}/{path} HTTP/1.1\r\nHost: {}\r\nAuthorization: {authorization}\r\n\r\n",
            self.prefix, self.authority
        );
        let mut resends = 0;
        loop {
            let mut connection = self.reuse_or_connect()?;
            match connection.head_of(request.as_bytes(), waiter) {
                Ok(head) => {
                    self.connection = Some(connection);
                    return Ok(head);
                }
                Err(HttpError::Dropped) if connection.received.is_empty() && resends < RESENDS => {
                    resends += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Reads the body of the answer whose head was read last.
    pub(crate) fn body(&mut self, head: &Head, waiter: &mut dyn Waiter) -> Result<Vec<u8>, HttpError> {
        let mut connection = self.connection.take().ok_or(HttpError::Dropped)?;
        let body = if head.is_chunked() {
            connection.chunks(waiter)?
        } else {
            match head.length() {
                Some(length) => connection.bytes(length, waiter)?,
                None => return connection.rest(waiter),
            }
        };
        if !head.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close")) {
            self.connection = Some(connection);
        }
        Ok(body)
    }

    /// Passes over the body of the answer whose head was read last, or gives up its connection if it has not come yet.
    pub(crate) fn skip_body(&mut self, head: &Head) {
        let is_here = |connection: &Connection| {
            !head.is_chunked() && head.length().is_some_and(|length| connection.received.len() >= length)
        };
        match (&mut self.connection, head.length()) {
            (Some(connection), Some(length)) if is_here(connection) => {
                connection.received.drain(..length);
            }
            _ => self.connection = None,
        }
    }

    fn reuse_or_connect(&mut self) -> Result<Connection, HttpError> {
        if let Some(connection) = self.connection.take() {
            return Ok(connection);
        }
        let connect = || {
            let stream = TcpStream::connect(&self.authority)?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(POLL))?;
            Ok(Connection { stream, received: Vec::new() })
        };
        connect().map_err(|_: io::Error| HttpError::Unreachable)
    }
}

impl Connection {
    fn head_of(&mut self, request: &[u8], waiter: &mut dyn Waiter) -> Result<Head, HttpError> {
        self.stream.write_all(request).map_err(|_| HttpError::Dropped)?;
        let deadline = Instant::now() + HEAD_TIMEOUT;
        loop {
            if let Some(end) = find(&self.received, b"\r\n\r\n") {
                let head = Head::parse(&self.received[..end]).ok_or(HttpError::Dropped)?;
                self.received.drain(..end + 4);
                return Ok(head);
            }
            if self.received.len() > LARGEST_HEAD {
                return Err(HttpError::Dropped);
            }
            self.receive(waiter, Some(deadline))?;
        }
    }

    /// Reads at least one more byte.
    fn receive(&mut self, waiter: &mut dyn Waiter, deadline: Option<Instant>) -> Result<(), HttpError> {
        let start = self.received.len();
        loop {
            self.received.resize(start + READ_SIZE, 0);
            let read = self.stream.read(&mut self.received[start..]);
            self.received.truncate(start + read.as_ref().map_or(0, |read| *read));
            match read {
                Ok(0) => return Err(HttpError::Dropped),
                Ok(_) => return Ok(()),
                Err(error) if is_timeout(&error) => {
                    let now = Instant::now();
                    if waiter.wait_until(now) {
                        return Err(HttpError::Interrupted);
                    }
                    if deadline.is_some_and(|deadline| now >= deadline) {
                        return Err(HttpError::Unreachable);
                    }
                }
                Err(_) => return Err(HttpError::Dropped),
            }
        }
    }

    fn bytes(&mut self, length: usize, waiter: &mut dyn Waiter) -> Result<Vec<u8>, HttpError> {
        while self.received.len() < length {
            self.receive(waiter, None)?;
        }
        let rest = self.received.split_off(length);
        Ok(std::mem::replace(&mut self.received, rest))
    }

    fn line(&mut self, waiter: &mut dyn Waiter) -> Result<Vec<u8>, HttpError> {
        loop {
            if let Some(end) = find(&self.received, b"\r\n") {
                let mut line = self.bytes(end + 2, waiter)?;
                line.truncate(end);
                return Ok(line);
            }
            self.receive(waiter, None)?;
        }
    }

    fn chunks(&mut self, waiter: &mut dyn Waiter) -> Result<Vec<u8>, HttpError> {
        let mut body = Vec::new();
        loop {
            let line = self.line(waiter)?;
            let size = std::str::from_utf8(&line).ok().and_then(|line| line.split(';').next());
            let size = size.and_then(|size| usize::from_str_radix(size.trim(), 16).ok());
            match size.ok_or(HttpError::Dropped)? {
                0 => {
                    while !self.line(waiter)?.is_empty() {}
                    return Ok(body);
                }
                size => body.append(&mut self.bytes(size, waiter)?),
            }
            self.line(waiter)?;
        }
    }

    /// Everything up to the end of the connection.
    fn rest(mut self, waiter: &mut dyn Waiter) -> Result<Vec<u8>, HttpError> {
        loop {
            match self.receive(waiter, None) {
                Ok(()) => {}
                Err(HttpError::Dropped) => return Ok(self.received),
                Err(error) => return Err(error),
            }
        }
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted)
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

#[cfg(test)]
mod tests {
    use super::{Head, HttpClient};

    #[test]
    fn a_base_url_is_split_into_address_and_path() {
        let client = HttpClient::new("http://127.0.0.1:8080/api/v10/").unwrap();
        assert_eq!((client.authority.as_str(), client.prefix.as_str()), ("127.0.0.1:8080", "/api/v10"));
        for unusable in ["https://discord.com/api/v10", "127.0.0.1:80", "http://localhost"] {
            assert!(HttpClient::new(unusable).is_err(), "{unusable}");
        }
    }

    #[test]
    fn a_head_is_parsed_whatever_the_case_of_its_names() {
        let head =
            Head::parse(b"HTTP/1.1 429 Too Many Requests\r\nRETRY-AFTER: 3\r\ncontent-length: 12").unwrap();
        assert_eq!((head.status, head.header("Retry-After"), head.length()), (429, Some("3"), Some(12)));
        assert!(Head::parse(b"SSH-2.0-OpenSSH").is_none());
    }
}
