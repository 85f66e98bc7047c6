//! A client of event streams.

use dce_testkit::process::eventually;
use reqwest::{Method, Response};
use serde_json::Value;
use tokio::time::timeout;

use crate::support::{Api, SOON};

/// One event as a browser would receive it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Event {
    pub(crate) kind: String,
    pub(crate) id: Option<(i64, i64)>,
    pub(crate) data: Value,
}

impl Event {
    pub(crate) fn status(&self) -> &str {
        self.data["status"].as_str().unwrap()
    }

    pub(crate) fn version(&self) -> i64 {
        self.data["version"].as_i64().unwrap()
    }
}

/// An open stream.
pub(crate) struct Stream {
    response: Response,
    unread: String,
    /// Comments received so far.
    pub(crate) pings: usize,
    /// The delay before a reconnect that the server requests, in milliseconds.
    pub(crate) retry: Option<u32>,
    /// The highest id so far.
    last: Option<(i64, i64)>,
}

impl Api {
    /// Opens the events of an export; the response must be a stream.
    pub(crate) async fn follow(&self, path: &str) -> Stream {
        // Compressed events would wait until a block is full.
        let request = self.request(Method::GET, &format!("{path}/events")).header("Accept-Encoding", "gzip");
        Stream::new(request.send().await.unwrap())
    }

    /// The sessions that listen for changes of exports.
    pub(crate) async fn listeners(&self) -> Vec<i32> {
        let sql = "SELECT pid FROM pg_stat_activity WHERE datname = current_database()
                    AND (query ILIKE 'listen%' OR application_name = 'dce-api-events')";
        sqlx::query_scalar(sql).fetch_all(&self.database.pool()).await.unwrap()
    }

    /// Waits for a listening session that is none of these.
    pub(crate) async fn another_listener(&self, than: &[i32]) {
        eventually(SOON, "another session listens", async || {
            self.listeners().await.iter().any(|pid| !than.contains(pid)).then_some(())
        })
        .await;
    }
}

impl Stream {
    pub(crate) fn new(response: Response) -> Self {
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(response.headers()["cache-control"], "no-cache");
        assert!(!response.headers().contains_key("content-encoding"));
        Self { response, unread: String::new(), pings: 0, retry: None, last: None }
    }

    /// The next event; `None`: the stream has ended. Ids must grow.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        timeout(SOON, self.read()).await.expect("an event in time")
    }

    /// The next event, which must exist.
    pub(crate) async fn event(&mut self) -> Event {
        self.next().await.expect("another event")
    }

    /// All events up to the end of the stream.
    pub(crate) async fn rest(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        while let Some(event) = self.next().await {
            events.push(event);
        }
        events
    }

    /// Reads until another comment arrives.
    pub(crate) async fn ping(&mut self) {
        let before = self.pings;
        let comes = async {
            while self.pings == before {
                self.block().await.expect("the stream goes on");
            }
        };
        timeout(SOON, comes).await.expect("a comment in time");
    }

    async fn read(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.block().await? {
                return Some(event);
            }
        }
    }

    /// Reads up to the next empty line. A block without data is not an event.
    async fn block(&mut self) -> Option<Option<Event>> {
        let end = loop {
            if let Some(end) = self.unread.find("\n\n") {
                break end;
            }
            let chunk = self.response.chunk().await.unwrap()?;
            self.unread.push_str(std::str::from_utf8(&chunk).unwrap());
        };
        let block: String = self.unread.drain(..end + 2).collect();
        let mut event = Event { kind: String::new(), id: None, data: Value::Null };
        for line in block.lines().filter(|line| !line.is_empty()) {
            match line.split_once(": ").unwrap() {
                ("", "ping") => self.pings += 1,
                ("retry", pause) => self.retry = Some(pause.parse().unwrap()),
                ("event", kind) => kind.clone_into(&mut event.kind),
                ("data", data) => event.data = serde_json::from_str(data).unwrap(),
                ("id", id) => {
                    let (version, bytes) = id.split_once('-').unwrap();
                    event.id = Some((version.parse().unwrap(), bytes.parse().unwrap()));
                    assert!(event.id > self.last, "{:?} after {:?}", event.id, self.last);
                    self.last = event.id;
                }
                other => panic!("{other:?}"),
            }
        }
        Some((!event.data.is_null()).then_some(event))
    }
}
