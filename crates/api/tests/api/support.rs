//! An API process with a database of its own.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use dce_local::loopback_client;
use dce_testkit::database::TestDatabase;
use dce_testkit::process::Running;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::Value;

/// The program under test.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_dce-api");
/// Time limit for everything that should happen soon.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// A client with connections of its own.
pub(crate) fn client() -> Client {
    loopback_client().build().unwrap()
}

/// A running `dce-api`, killed on drop.
pub(crate) struct Api {
    pub(crate) process: Running,
    pub(crate) base: String,
    pub(crate) database: TestDatabase,
    client: Client,
}

impl Api {
    /// Starts on a migrated database with these additional settings.
    pub(crate) async fn start(settings: &[(&str, &str)]) -> Self {
        let database = TestDatabase::create().await;
        let url = database.url();
        Self::start_on(database, &url, settings).await
    }

    /// Starts on the database behind `url`.
    pub(crate) async fn start_on(database: TestDatabase, url: &str, settings: &[(&str, &str)]) -> Self {
        let process = launch(url, settings);
        let base = base(&process).await;
        Self { process, base, database, client: client() }
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.base))
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        Answer::send(self.request(Method::GET, path)).await
    }

    pub(crate) async fn post(&self, body: &Value) -> Answer {
        Answer::send(self.request(Method::POST, "/exports").json(body)).await
    }

    /// Numbers of exports, runs, and tasks in the queue.
    pub(crate) async fn stored(&self) -> [i64; 3] {
        let counts: (i64, i64, i64) = sqlx::query_as(
            "SELECT (SELECT count(*) FROM exports), (SELECT count(*) FROM export_channels), \
                    (SELECT count(*) FROM apalis.jobs)",
        )
        .fetch_one(&self.database.pool())
        .await
        .unwrap();
        counts.into()
    }

    pub(crate) async fn sql(&self, statement: &'static str) {
        sqlx::raw_sql(statement).execute(&self.database.pool()).await.unwrap();
    }

    /// The only log line with `message` that also contains `text`.
    pub(crate) async fn log_line(&self, message: &str, text: &str) -> Value {
        let lines = dce_testkit::process::eventually(SOON, message, async || {
            let lines = self.process.lines();
            let found: Vec<_> =
                lines.into_iter().filter(|l| l.contains(message) && l.contains(text)).collect();
            (!found.is_empty()).then_some(found)
        })
        .await;
        assert_eq!(lines.len(), 1, "{lines:?}");
        serde_json::from_str(&lines[0]).unwrap()
    }
}

/// Starts the program on a port that the system chooses; `settings` override the defaults of tests.
pub(crate) fn launch(url: &str, settings: &[(&str, &str)]) -> Running {
    // No .env of the developer.
    let mut environment = vec![
        ("DATABASE_URL", url),
        ("PORT", "0"),
        ("LOG_FORMAT", "json"),
        ("RATE_LIMIT_PER_MINUTE", "0"),
        ("DOTENV", "false"),
    ];
    environment.extend_from_slice(settings);
    Running::start(Path::new(PROGRAM), &[], environment)
}

/// Runs a command of the program to its end. Returns the exit code and both streams.
pub(crate) fn run_command(url: &str, line: &str) -> (Option<i32>, String, String) {
    let mut command = Command::new(PROGRAM);
    command.args(line.split_whitespace()).env_clear().envs([("DOTENV", "false"), ("DATABASE_URL", url)]);
    let output = command.output().unwrap();
    let [out, err] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    (output.status.code(), out, err)
}

/// The base URL, once the program listens.
pub(crate) async fn base(process: &Running) -> String {
    let line: Value = serde_json::from_str(&process.line(SOON, "api.listening").await).unwrap();
    format!("http://{}", line["address"].as_str().unwrap())
}

/// A response, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) async fn send(request: RequestBuilder) -> Self {
        Self::read(request.send().await.unwrap()).await
    }

    pub(crate) async fn read(response: Response) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.unwrap();
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        Self { status, headers, body }
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Asserts that this is a complete problem document with this status and code.
    pub(crate) fn assert_problem(&self, status: u16, code: &str) {
        assert_eq!((self.status, self.body["code"].as_str()), (status, Some(code)), "{self:?}");
        assert_eq!(self.header(CONTENT_TYPE.as_str()), "application/problem+json");
        assert_eq!(self.body["status"], status);
        assert_eq!(self.body["type"], format!("/docs/errors#{code}"));
        assert_eq!(self.body["request_id"], self.header("x-request-id"));
        for text in ["title", "detail", "request_id"] {
            assert!(self.body[text].as_str().is_some_and(|text| !text.is_empty()), "{text}: {self:?}");
        }
    }

    /// Places and codes of the faults that it lists, sorted.
    pub(crate) fn faults(&self) -> Vec<(&str, &str)> {
        let mut faults: Vec<_> = self.body["errors"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|fault| {
                assert!(fault["detail"].as_str().is_some_and(|detail| !detail.is_empty()));
                let place = ["pointer", "header", "parameter"].iter().find_map(|name| fault[name].as_str());
                (place.unwrap(), fault["code"].as_str().unwrap())
            })
            .collect();
        faults.sort_unstable();
        faults
    }
}
