//! All messages in one response: complete, or visibly incomplete, and cancelled when the client disconnects.

use std::io::Read as _;
use std::time::{Duration, Instant};

use dce_testkit::process::eventually;
use nix::sys::signal::Signal;
use reqwest::{Method, Response};
use serde_json::Value;

use crate::support::{Answer, Api, SOON};

/// Messages of a channel, about 1 kB each.
const MANY: &str = r#"
    INSERT INTO channels (channel_id, archived_count) VALUES ('7', 20000);
    INSERT INTO messages (channel_id, message_id, author_id, content, "timestamp", raw)
    SELECT '7', (999999999999990000 + n)::text, '5', 'text ' || n, '2022-07-22T11:00:00Z'::timestamptz + n * interval '1 ms',
           jsonb_build_object('id', (999999999999990000 + n)::text, 'x', repeat(md5(n::text), 30))
      FROM generate_series(1, 20000) n"#;
const COUNT: u64 = 20_000;
/// Replaces the table: one message in the middle takes half a minute.
const SLOW: &str = "ALTER TABLE messages RENAME TO stored;
    CREATE VIEW messages AS SELECT * FROM stored WHERE message_id <> '1000000000000005000' OR pg_sleep(30) IS NOT NULL";
/// Replaces the table: one message in the middle cannot be read.
const BROKEN: &str = "ALTER TABLE messages RENAME TO stored;
    CREATE VIEW messages AS SELECT * FROM stored WHERE message_id <> '1000000000000005000' OR 1 / (length(message_id) - 19) = 0";

async fn archive() -> Api {
    let api = Api::start(&[]).await;
    api.sql(MANY).await;
    api
}

async fn stream(api: &Api, path: &str, accept: &str) -> Response {
    api.request(Method::GET, path).header("accept", accept).send().await.unwrap()
}

/// Number of the API's sessions that are busy.
async fn busy(api: &Api) -> i64 {
    sqlx::query_scalar(
        "SELECT count(*) FROM pg_stat_activity
          WHERE application_name = 'dce-api' AND datname = current_database() AND state <> 'idle'",
    )
    .fetch_one(&api.database.pool())
    .await
    .unwrap()
}

#[tokio::test]
async fn ndjson_contains_all_messages_once_in_order() {
    let api = archive().await;
    let path = "/channels/7/messages?fields=message_id,content";
    for (order, expected) in [("asc", (1..=COUNT).collect::<Vec<_>>()), ("desc", (1..=COUNT).rev().collect())]
    {
        let response = stream(&api, &format!("{path}&order={order}"), "application/x-ndjson").await;
        assert_eq!(response.headers()["content-type"], "application/x-ndjson");
        let text = response.text().await.unwrap();
        let line = |n: &u64| {
            let id = 999_999_999_999_990_000 + n;
            format!("{{\"message_id\":\"{id}\",\"content\":\"text {n}\"}}")
        };
        let expected = expected.iter().map(line).collect::<Vec<_>>().join(
            "
",
        ) + "
";
        assert!(text == expected, "{order}");
    }
    let page = api.get(&format!("{path}&limit=3")).await.body;
    let cursor = page["next_cursor"].as_str().unwrap();
    let rest = stream(&api, &format!("{path}&limit=2000&cursor={cursor}"), "application/x-ndjson").await;
    let lines: Vec<Value> =
        rest.text().await.unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(
        (lines.len(), &lines[0]["content"], &lines[1999]["content"]),
        (2000, &"text 4".into(), &"text 2003".into())
    );
}

#[tokio::test]
async fn csv_can_be_read_by_spreadsheets() {
    let api = Api::start(&[]).await;
    api.sql(
        r#"INSERT INTO messages (channel_id, message_id, author_name, content, "timestamp", attachments, raw) VALUES
             ('7', '1', '@alice', E'=1+1, "x"\r\nend', '2022-07-22T11:22:59.2Z', '[{"a": "b, c"}]', '{"id": "1"}'),
             ('7', '2', NULL, '길드', '2022-07-22T11:22:59.3Z', NULL, '{}')"#,
    )
    .await;
    let path = "/channels/7/messages?fields=message_id,author_name,content,timestamp,attachments,raw";
    let response = stream(&api, path, "text/csv").await;
    assert_eq!(response.headers()["content-type"], "text/csv; charset=utf-8; header=present");
    assert_eq!(
        response.text().await.unwrap(),
        "message_id,author_name,content,timestamp,attachments,raw\r\n\
         1,'@alice,\"'=1+1, \"\"x\"\"\r\nend\",2022-07-22T11:22:59.200Z,\"[{\"\"a\"\": \"\"b, c\"\"}]\",\"{\"\"id\"\": \"\"1\"\"}\"\r\n\
         2,,길드,2022-07-22T11:22:59.300Z,,{}\r\n"
    );
    let empty = Answer::send(api.request(Method::GET, "/channels/8/messages").header("accept", "text/csv"));
    empty.await.assert_problem(404, "channel_not_found");
}

#[tokio::test]
async fn a_disconnecting_client_cancels_its_query() {
    let api = archive().await;
    api.sql(SLOW).await;
    let slow = async |what: &str| {
        eventually(SOON, what, async || (busy(&api).await == 1).then_some(())).await;
    };
    let gone = async |what: &str| {
        let left = Instant::now();
        eventually(SOON, what, async || (busy(&api).await == 0).then_some(())).await;
        assert!(left.elapsed() < Duration::from_secs(1), "{what}: {:?}", left.elapsed());
    };
    for _ in 0..3 {
        // In the middle of a stream.
        let mut response = stream(&api, "/channels/7/messages?fields=raw", "application/x-ndjson").await;
        assert!(response.chunk().await.unwrap().is_some());
        let mut read = 0;
        while busy(&api).await == 0 || read < 1000 {
            let chunk = tokio::time::timeout(Duration::from_millis(200), response.chunk()).await;
            match chunk {
                Ok(chunk) => read += chunk.unwrap().unwrap().len(),
                Err(_) => break,
            }
        }
        slow("the stream waits").await;
        drop(response);
        gone("the stream's query ends").await;

        // Before the response starts.
        let request = api.request(Method::GET, "/channels/7/messages?after=1000000000000004998");
        let request = tokio::spawn(request.send());
        slow("the page waits").await;
        request.abort();
        gone("the page's query ends").await;
    }
}

#[tokio::test]
async fn an_error_in_the_middle_does_not_look_complete() {
    let api = archive().await;
    api.sql(BROKEN).await;
    let response = stream(&api, "/channels/7/messages?fields=message_id", "application/x-ndjson").await;
    assert_eq!(response.status(), 200);
    let id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
    assert!(response.text().await.is_err(), "the answer must not look complete");
    let line = api.log_line("stream.broken", &id).await;
    assert_eq!(line["level"], "ERROR");
    assert!(line["error.cause"].as_str().unwrap().contains("division by zero"), "{line}");
    let errors: Vec<_> = api.process.lines().into_iter().filter(|line| line.contains("\"ERROR\"")).collect();
    assert_eq!(errors.len(), 1, "{errors:?}");
}

#[tokio::test]
async fn no_session_is_held_while_a_client_reads_slowly() {
    let api = archive().await;
    let mut streams = Vec::new();
    for _ in 0..8 {
        // More than sockets and two pages can buffer.
        streams.push(stream(&api, "/channels/7/messages?fields=raw,raw", "application/x-ndjson").await);
    }
    eventually(SOON, "all sessions are idle", async || (busy(&api).await == 0).then_some(())).await;
    assert_eq!(api.get("/channels/7/messages?limit=1").await.status, 200);
    for response in streams {
        assert_eq!(response.text().await.unwrap().lines().count(), 20_000);
    }
}

#[tokio::test]
async fn responses_are_compressed_on_request() {
    let api = archive().await;
    let path = "/channels/7/messages?fields=message_id,raw";
    let plain = stream(&api, path, "application/x-ndjson").await.bytes().await.unwrap();
    let compressed = async |path: &str, encoding: &str| {
        let request = api.request(Method::GET, path).header("accept", "application/x-ndjson");
        request.header("accept-encoding", encoding).send().await.unwrap()
    };
    let gzip = compressed(path, "gzip").await;
    assert_eq!(gzip.headers()["content-encoding"], "gzip");
    let bytes = gzip.bytes().await.unwrap();
    let mut text = Vec::new();
    flate2::read::GzDecoder::new(&*bytes).read_to_end(&mut text).unwrap();
    assert!(text == plain && bytes.len() < plain.len(), "{} {}", text.len(), plain.len());
    for encoding in ["br", "zstd"] {
        let answer = compressed(path, encoding).await;
        assert_eq!(answer.headers()["content-encoding"], encoding);
        assert!(answer.bytes().await.unwrap().len() < plain.len());
    }
    let small = compressed("/channels/7", "gzip").await;
    assert!(!small.headers().contains_key("content-encoding"), "{:?}", small.headers());
    let plain = compressed(path, "identity").await;
    assert!(!plain.headers().contains_key("content-encoding"));
    let none = api.request(Method::GET, path).header("accept-encoding", "identity;q=0, x");
    Answer::send(none).await.assert_problem(406, "not_acceptable");
}

#[tokio::test]
async fn events_are_never_compressed() {
    let api = Api::start(&[]).await;
    let job_id = api.post(&serde_json::json!({ "channel_id": "7" })).await.body["job_id"].clone();
    let path = format!("/exports/{}/events", job_id.as_str().unwrap());
    let request = api.request(Method::GET, &path).header("accept-encoding", "gzip, br, zstd");
    let mut events = request.send().await.unwrap();
    assert!(!events.headers().contains_key("content-encoding"), "{:?}", events.headers());
    let first = events.chunk().await.unwrap().unwrap();
    assert!(std::str::from_utf8(&first).unwrap().contains(':'), "{first:?}");
}

#[tokio::test]
async fn a_compressed_stream_is_sent_while_the_rest_is_being_read() {
    let api = archive().await;
    api.sql(SLOW).await;
    let request = api.request(Method::GET, "/channels/7/messages?fields=message_id");
    let request = request.header("accept", "application/x-ndjson").header("accept-encoding", "gzip");
    let mut response = request.send().await.unwrap();
    let mut decoder = flate2::write::GzDecoder::new(Vec::new());
    eventually(SOON, "the first lines come", async || {
        let chunk = response.chunk().await.unwrap().expect("more");
        std::io::Write::write_all(&mut decoder, &chunk).unwrap();
        std::io::Write::flush(&mut decoder).unwrap();
        decoder.get_ref().starts_with(b"{\"message_id\":\"999999999999990001\"}\n").then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_stop_lets_a_stream_finish() {
    let mut api = archive().await;
    let mut response = stream(&api, "/channels/7/messages?fields=raw", "application/x-ndjson").await;
    // The other thread, which by then serves nothing, has opened a session, too.
    for _ in 0..20 {
        assert_eq!(api.get("/channels/7/messages?limit=1").await.status, 200);
    }
    let mut lines = 0;
    let mut count = |chunk: &[u8]| lines += chunk.split(|byte| *byte == b'\n').count() - 1;
    count(&response.chunk().await.unwrap().unwrap());
    api.process.signal(Signal::SIGTERM);
    api.process.line(SOON, "api.stopping").await;
    while let Some(chunk) = response.chunk().await.unwrap() {
        count(&chunk);
    }
    assert_eq!(lines, 20_000);
    drop(response);
    assert!(api.process.wait(SOON).await.success());
}
