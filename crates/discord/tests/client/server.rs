//! A server on loopback that answers one request a connection, by a script.

use std::collections::VecDeque;
use std::fmt::{Display, Write as _};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

use crate::TOKEN;

pub(crate) const UNAUTHORIZED: &str = r#"{"message":"401: Unauthorized","code":0}"#;
pub(crate) const HTML: &str = "<!DOCTYPE html><title>Access denied | Cloudflare</title>";

/// What the server does with one request.
#[derive(Clone)]
pub(crate) enum Step {
    Answer {
        status: u16,
        headers: Vec<(&'static str, String)>,
        body: String,
    },
    /// Ends the connection without an answer.
    Close,
    /// Ends the connection inside the body.
    BreakBody,
    /// Sends a part of the body, and nothing more.
    StallInBody,
}

impl Step {
    pub(crate) fn ok(body: &str) -> Self {
        Self::status(200, body)
    }

    pub(crate) fn status(status: u16, body: &str) -> Self {
        Self::Answer { status, headers: Vec::new(), body: body.to_owned() }
    }

    #[must_use]
    pub(crate) fn header(mut self, name: &'static str, value: impl Display) -> Self {
        if let Self::Answer { headers, .. } = &mut self {
            headers.push((name, format!("{value}")));
        }
        self
    }
}

/// Whose token the server takes `TOKEN` for when it is asked for `users/@me` outside its script.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owner {
    Bot,
    User,
    /// `users/@me` is part of the script.
    Scripted,
}

/// Stops on drop. After its last step the script is at its end: connections are closed without an answer.
pub(crate) struct Server {
    pub(crate) url: String,
    /// Heads of the requests that the script answered.
    requests: Arc<Mutex<Vec<String>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Server {
    /// Takes the token for a bot's.
    pub(crate) async fn start(script: impl IntoIterator<Item = Step>) -> Self {
        Self::with_owner(Owner::Bot, script).await
    }

    pub(crate) async fn with_owner(owner: Owner, script: impl IntoIterator<Item = Step>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/api/v10", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let script = Arc::new(Mutex::new(script.into_iter().collect::<VecDeque<_>>()));
        let seen = Arc::clone(&requests);
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(stream, owner, Arc::clone(&script), Arc::clone(&seen)));
            }
        });
        Self { url, requests, task }
    }

    /// The first lines of the requests, without the base path.
    pub(crate) fn paths(&self) -> Vec<String> {
        let requests = self.requests.lock().unwrap();
        let path = |head: &String| head.split(' ').nth(1).unwrap().replacen("/api/v10", "", 1);
        requests.iter().map(path).collect()
    }

    pub(crate) fn heads(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    mut stream: TcpStream,
    owner: Owner,
    script: Arc<Mutex<VecDeque<Step>>>,
    seen: Arc<Mutex<Vec<String>>>,
) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
    let head = String::from_utf8(head).unwrap();
    let step = if owner != Owner::Scripted && head.starts_with("GET /api/v10/users/@me ") {
        identity(owner, &head)
    } else {
        seen.lock().unwrap().push(head);
        script.lock().unwrap().pop_front().unwrap_or(Step::Close)
    };
    // A client that has gone is the test's own doing.
    let _ = perform(&mut stream, step).await;
}

fn identity(owner: Owner, head: &str) -> Step {
    let expected = match owner {
        Owner::Bot => format!("Bot {TOKEN}"),
        _ => TOKEN.to_owned(),
    };
    if authorization(head) == expected {
        Step::ok(&format!(r#"{{"id":"1","username":"owner","bot":{}}}"#, owner == Owner::Bot))
    } else {
        Step::status(401, UNAUTHORIZED)
    }
}

pub(crate) fn authorization(head: &str) -> &str {
    header(head, "authorization").unwrap()
}

pub(crate) fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines()
        .filter_map(|line| line.split_once(": "))
        .find(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| value)
}

async fn perform(stream: &mut TcpStream, step: Step) -> std::io::Result<()> {
    match step {
        Step::Answer { status, headers, body } => {
            let mut head = format!("HTTP/1.1 {status} x\r\nContent-Length: {}\r\n", body.len());
            for (name, value) in headers {
                let _ = write!(head, "{name}: {value}\r\n");
            }
            stream.write_all(format!("{head}Connection: close\r\n\r\n{body}").as_bytes()).await
        }
        Step::Close => Ok(()),
        Step::BreakBody => stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[{").await,
        Step::StallInBody => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[{").await?;
            // The test's deadline comes first.
            sleep(Duration::from_secs(60)).await;
            Ok(())
        }
    }
}
