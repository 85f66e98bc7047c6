//! As much HTTP/1.1 as clients of Discord need, over any stream. Written by hand because it must also break answers off.

use std::fmt::Write as _;
use std::io;

use chrono::{DateTime, Utc};
use percent_encoding::percent_decode_str;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::sleep;

use super::answer::{Answer, Delivery, reason};
use super::request::Auth;

/// No head of a request is longer.
const LARGEST_HEAD: usize = 64 * 1024;
const END_OF_HEAD: &[u8] = b"\r\n\r\n";

/// The head of a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) method: String,
    /// Path and query, or for `CONNECT` host and port.
    pub(super) target: String,
    authorization: Option<String>,
    /// The client wants no further request on this connection.
    pub(super) closes: bool,
}

impl Head {
    /// None: not HTTP/1.
    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.split("\r\n");
        let mut first = lines.next()?.split(' ');
        let (method, target, version) = (first.next()?, first.next()?, first.next()?);
        if !version.starts_with("HTTP/1.") {
            return None;
        }
        let (mut authorization, mut closes) = (None, version == "HTTP/1.0");
        for line in lines {
            let Some((name, value)) = line.split_once(':') else { continue };
            let value = value.trim();
            if name.eq_ignore_ascii_case("authorization") {
                authorization = Some(value.to_owned());
            } else if name.eq_ignore_ascii_case("connection") {
                closes |= value.eq_ignore_ascii_case("close");
            }
        }
        let (method, target) = (method.to_owned(), target.to_owned());
        Some(Self { method, target, authorization, closes })
    }

    pub(super) fn path(&self) -> &str {
        self.target.split_once('?').map_or(self.target.as_str(), |(path, _)| path)
    }

    pub(super) fn query(&self) -> Vec<(String, String)> {
        let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let query = self.target.split_once('?').map_or("", |(_, query)| query);
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        pairs
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .map(|(n, v)| (decode(n), decode(v)))
            .collect()
    }

    /// The form of the `Authorization` header, and the token in it.
    pub(super) fn token(&self) -> (Auth, Option<&str>) {
        match self.authorization.as_deref() {
            None => (Auth::Missing, None),
            Some(header) => match header.strip_prefix("Bot ") {
                Some(token) => (Auth::Bot, Some(token)),
                None => (Auth::User, Some(header)),
            },
        }
    }
}

/// Reads requests from a stream, one after the other.
pub(super) struct Requests {
    unread: Vec<u8>,
}

impl Requests {
    pub(super) fn new() -> Self {
        Self { unread: Vec::new() }
    }

    /// The next request; none at the end of the stream.
    pub(super) async fn next(&mut self, stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Head>> {
        let end = loop {
            if let Some(end) = find(&self.unread, END_OF_HEAD) {
                break end;
            }
            if self.unread.len() > LARGEST_HEAD || stream.read_buf(&mut self.unread).await? == 0 {
                return Ok(None);
            }
        };
        let head: Vec<_> = self.unread.drain(..end + END_OF_HEAD.len()).collect();
        let head = Head::parse(&String::from_utf8_lossy(&head[..end]));
        head.map(Some).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

/// Whether a connection can be used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Connection {
    Open,
    Closed,
}

/// Sends as much of an answer as its delivery lets through. One that stalls never returns.
pub(super) async fn deliver(
    stream: &mut (impl AsyncWrite + Unpin),
    answer: &Answer,
    now: DateTime<Utc>,
) -> io::Result<Connection> {
    sleep(answer.delay).await;
    let half = &answer.body[..answer.body.len() / 2];
    match answer.delivery {
        Delivery::Dropped => return Ok(Connection::Closed),
        Delivery::Stalled => std::future::pending().await,
        Delivery::Whole => send(stream, answer, &answer.body, now).await?,
        Delivery::DroppedInside => {
            send(stream, answer, half, now).await?;
            return Ok(Connection::Closed);
        }
        Delivery::StalledInside => {
            send(stream, answer, half, now).await?;
            std::future::pending::<()>().await;
        }
    }
    Ok(Connection::Open)
}

async fn send(
    stream: &mut (impl AsyncWrite + Unpin),
    answer: &Answer,
    body: &[u8],
    now: DateTime<Utc>,
) -> io::Result<()> {
    let Answer { status, content_type, headers, .. } = answer;
    let date = now.format("%a, %d %b %Y %H:%M:%S GMT");
    let mut bytes = format!(
        "HTTP/1.1 {status} {}\r\nDate: {date}\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n",
        reason(*status),
        answer.body.len(),
    );
    for (name, value) in headers {
        let _ = write!(bytes, "{name}: {value}\r\n"); // writing to a string cannot fail
    }
    bytes.push_str("\r\n");
    let mut bytes = bytes.into_bytes();
    bytes.extend_from_slice(body);
    stream.write_all(&bytes).await?;
    stream.flush().await
}

#[cfg(test)]
mod tests {
    use super::{Auth, Head, Requests};

    #[tokio::test]
    async fn requests_are_read_one_after_the_other() {
        let mut stream = &b"GET /a?limit=1&before=%32 HTTP/1.1\r\nHost: x\r\nAuthorization: Bot t\r\n\r\n\
            GET /b HTTP/1.1\r\nauthorization: t\r\nConnection: close\r\n\r\n"[..];
        let mut requests = Requests::new();
        let first = requests.next(&mut stream).await.unwrap().unwrap();
        assert_eq!((first.path(), first.token(), first.closes), ("/a", (Auth::Bot, Some("t")), false));
        let pairs =
            [("limit", "1"), ("before", "2")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(first.query(), pairs);
        let second = requests.next(&mut stream).await.unwrap().unwrap();
        assert_eq!((second.path(), second.token(), second.closes), ("/b", (Auth::User, Some("t")), true));
        assert_eq!(requests.next(&mut stream).await.unwrap(), None);
    }

    #[test]
    fn another_protocol_is_refused() {
        assert_eq!(Head::parse("PRI * HTTP/2.0"), None);
    }
}
