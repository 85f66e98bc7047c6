//! Live events of one export: what clients receive, also when sessions are lost or the process stops.

use std::time::Duration;

use dce_core::db::{DatabaseUrl, connect_control};
use dce_core::export::admission::AdmissionLimit;
use dce_core::export::failure::{Failure, FailureKind};
use dce_core::export::phase::Phase;
use dce_core::ids::Snowflake;
use dce_core::queue;
use dce_core::store::transitions::{self, AttemptReport, Checkpoint, Claim, ClaimedRun, Completion};
use dce_testkit::process::eventually;
use nix::sys::signal::Signal;
use reqwest::Method;
use serde_json::json;
use sqlx::PgPool;
use tokio::task::JoinSet;

use crate::sse::{Event, Stream};
use crate::support::{Answer, Api, SOON, client};

const LIMIT: AdmissionLimit = AdmissionLimit { max_parallel_runs: None };
/// Several changes without a new version, as fast as only SQL can make them.
const QUICKLY: &str = "
  DO $$ BEGIN
    FOR n IN 1..20 LOOP
      UPDATE exports SET status = CASE n % 2 WHEN 1 THEN 'running' ELSE 'pending' END, version = version + 1;
      COMMIT;
    END LOOP;
  END $$";
const END: &str = "
  UPDATE export_channels SET status = 'completed', attempt = 1, task_id = NULL, lease_owner = NULL, lease_expires_at = NULL,
    finished_at = clock_timestamp();
  UPDATE exports SET status = 'completed', version = version + 1, finished_at = clock_timestamp()";

/// A worker, played by the store's own functions.
struct Worker {
    pool: PgPool,
}

impl Worker {
    async fn new(api: &Api) -> Self {
        api.sql(
            "INSERT INTO workers (id, host, version, dce_version, slots, last_seen) VALUES ('w', 'h', '1', '2.47', 2, 'infinity')",
        )
        .await;
        let pool = connect_control(&DatabaseUrl::parse(&api.database.url()).unwrap(), "worker", 2);
        queue::register_worker(&pool, "w").await.unwrap();
        Self { pool }
    }

    async fn claim(&self) -> ClaimedRun {
        let task = eventually(SOON, "a task", async || {
            transitions::reconcile(&self.pool, LIMIT).await.unwrap();
            queue::fetch(&self.pool, "w").await.unwrap()
        })
        .await;
        match transitions::claim(&self.pool, &task, "w").await.unwrap() {
            Claim::Won(run) => *run,
            Claim::Nothing => panic!("a stale task"),
        }
    }

    async fn reach(&self, run: &ClaimedRun, messages: i64) {
        let at = Checkpoint {
            cursor: Some(Snowflake::new(messages.unsigned_abs())),
            message_count: messages,
            bytes_read: messages * 100,
            ..Checkpoint::default()
        };
        let mut session = self.pool.acquire().await.unwrap();
        transitions::checkpoint(&mut session, &run.fence, &at).await.unwrap();
    }

    async fn hand_back(&self, run: &ClaimedRun) {
        transitions::hand_back(&self.pool, &run.fence, &AttemptReport::default(), LIMIT).await.unwrap();
    }

    async fn complete(&self, run: &ClaimedRun) {
        transitions::complete(
            &self.pool,
            &run.fence,
            &Completion::default(),
            &AttemptReport::default(),
            LIMIT,
        )
        .await
        .unwrap();
    }
}

impl Api {
    async fn submit_one(&self) -> String {
        self.post(&json!({ "channel_id": "1" })).await.header("location").to_owned()
    }

    async fn kill_listeners(&self) -> Vec<i32> {
        let pids = self.listeners().await;
        for pid in &pids {
            let ended: bool = sqlx::query_scalar("SELECT pg_terminate_backend($1)")
                .bind(pid)
                .fetch_one(&self.database.pool())
                .await
                .unwrap();
            assert!(ended);
        }
        pids
    }
}

/// The distinct states that a client has received.
fn states(events: &[Event]) -> Vec<(i64, String)> {
    let mut states: Vec<_> =
        events.iter().map(|event| (event.version(), event.status().to_owned())).collect();
    states.dedup();
    states
}

#[tokio::test]
async fn a_client_receives_every_state_and_the_progress_in_between() {
    let api = Api::start(&[]).await;
    let worker = Worker::new(&api).await;
    let path = api.submit_one().await;
    let mut stream = api.follow(&path).await;
    let first = stream.event().await;
    assert_eq!((first.kind.as_str(), first.id, stream.retry), ("snapshot", Some((1, 0)), Some(2000)));
    assert_eq!(first.data, api.get(&path).await.body, "what GET answers");

    let run = worker.claim().await;
    let running = stream.event().await;
    assert_eq!((running.status(), running.id), ("running", Some((2, 0))));
    worker.reach(&run, 70).await;
    let progress = stream.event().await;
    assert_eq!((progress.kind.as_str(), progress.id), ("snapshot", Some((2, 7000))));
    assert_eq!(progress.data["progress"]["messages"], 70);
    assert_eq!((&running.data["phase"], &progress.data["phase"]), (&json!("reading"), &json!("reading")));
    transitions::set_phase(&worker.pool, &run.fence, Phase::Verifying).await.unwrap();
    let verifying = stream.event().await;
    assert_eq!((verifying.kind.as_str(), verifying.id), ("snapshot", Some((3, 7000))));
    assert_eq!(
        (&verifying.data["phase"], &verifying.data["runs"][0]["phase"]),
        (&json!("verifying"), &json!("verifying"))
    );
    let failure = Failure::new(FailureKind::Stalled);
    transitions::fail(&worker.pool, &run.fence, &failure, 0.0, &AttemptReport::default(), LIMIT)
        .await
        .unwrap();
    let failed = stream.event().await;
    assert_eq!((failed.status(), failed.id), ("running", Some((4, 7000))), "it was claimed once");
    assert_eq!(failed.data["runs"][0]["attempts"][0]["error_kind"], "stalled");

    let run = worker.claim().await;
    worker.complete(&run).await;
    let rest = stream.rest().await;
    assert_eq!(states(&rest), [(5, "running".to_owned()), (6, "completed".to_owned())]);
    let end = rest.last().unwrap();
    assert_eq!((end.kind.as_str(), &end.data), ("snapshot", &api.get(&path).await.body));
}

#[tokio::test]
async fn a_new_blocker_is_an_event_without_an_id() {
    let api = Api::start(&[]).await;
    let path = api.submit_one().await;
    let mut stream = api.follow(&path).await;
    assert_eq!(stream.event().await.data["waiting"]["code"], "no_worker");
    let _worker = Worker::new(&api).await;
    let event = stream.event().await;
    assert_eq!((&event.data["waiting"], event.id), (&json!(null), None));
}

#[tokio::test]
async fn five_hundred_clients_receive_every_state_through_one_session_that_is_lost_meanwhile() {
    let api = Api::start(&[("ALLOWED_CHANNEL_IDS", "*")]).await;
    let worker = Worker::new(&api).await;
    let path = api.submit_one().await;
    let mut clients = JoinSet::new();
    let connections = client();
    for _ in 0..500 {
        let request = connections.get(format!("{}{path}/events", api.base));
        clients.spawn(async move { Stream::new(request.send().await.unwrap()) });
    }
    let streams = clients.join_all().await;
    assert_eq!(api.listeners().await.len(), 1);

    // From here on every state must arrive, although no client has read a byte yet.
    let run = worker.claim().await;
    worker.hand_back(&run).await;
    api.sql(QUICKLY).await;
    let before: Vec<(i64, String)> = (1..=23)
        .map(|version| {
            (
                version,
                if version == 1 || (version > 3 && version % 2 == 1) { "pending" } else { "running" }
                    .to_owned(),
            )
        })
        .collect();
    let mut clients = JoinSet::new();
    for mut stream in streams {
        let before = before.clone();
        clients.spawn(async move {
            let mut events = Vec::new();
            while events.last().is_none_or(|event: &Event| event.version() < 23) {
                events.push(stream.event().await);
            }
            assert_eq!(states(&events), before);
            assert_eq!(events[0].kind, "snapshot");
            stream
        });
    }
    let streams = clients.join_all().await;

    let lost = api.kill_listeners().await;
    assert_eq!(lost.len(), 1);
    let mut clients = JoinSet::new();
    for mut stream in streams {
        clients.spawn(async move {
            let fresh = stream.event().await;
            assert_eq!((fresh.kind.as_str(), fresh.version()), ("snapshot", 23));
            stream
        });
    }
    let streams = clients.join_all().await;
    api.another_listener(&lost).await;
    assert_eq!(api.listeners().await.len(), 1);

    let memory = std::fs::read_to_string(format!("/proc/{}/status", api.process.pid())).unwrap();
    let kib = |name: &str| -> u64 {
        let line = memory.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    eprintln!("500 clients: {} KiB now, {} KiB at most", kib("VmRSS"), kib("VmHWM"));
    assert!(kib("VmHWM") < 100 * 1024, "{memory}");

    api.sql(QUICKLY).await;
    api.sql(END).await;
    let mut clients = JoinSet::new();
    for mut stream in streams {
        clients.spawn(async move { stream.rest().await });
    }
    let after: Vec<(i64, String)> = (24..=43)
        .map(|version| (version, if version % 2 == 0 { "running" } else { "pending" }.to_owned()))
        .chain([(44, "completed".to_owned())])
        .collect();
    for events in clients.join_all().await {
        assert_eq!(states(&events), after);
    }
}

#[tokio::test]
async fn a_reconnecting_client_receives_the_newest_snapshot_and_nothing_after_the_end() {
    let api = Api::start(&[]).await;
    let path = api.submit_one().await;
    let again = async |last: &str| {
        let request = api.request(Method::GET, &format!("{path}/events")).header("Last-Event-ID", last);
        request.send().await.unwrap()
    };
    for last in ["0-5", "1-0", "7-9999", "nonsense"] {
        let mut stream = Stream::new(again(last).await);
        assert_eq!(stream.event().await.id, Some((1, 0)), "{last}");
    }
    api.sql(END).await;
    let mut stream = Stream::new(again("1-0").await);
    let events = stream.rest().await;
    assert_eq!(events.len(), 1);
    assert_eq!((events[0].status(), events[0].id), ("completed", Some((2, 0))));
    assert_eq!(again("2-0").await.status(), 204, "there is nothing to come");
}

#[tokio::test]
async fn an_idle_stream_sends_comments() {
    let api = Api::start(&[("EVENTS_PING", "20ms")]).await;
    let path = api.submit_one().await;
    let mut stream = api.follow(&path).await;
    stream.event().await;
    for _ in 0..3 {
        stream.ping().await;
    }
}

#[tokio::test]
async fn a_stop_ends_streams_and_the_process() {
    let mut api = Api::start(&[]).await;
    let path = api.submit_one().await;
    let mut streams = Vec::new();
    for _ in 0..20 {
        let mut stream = api.follow(&path).await;
        stream.event().await;
        streams.push(stream);
    }
    api.process.signal(Signal::SIGTERM);
    for stream in &mut streams {
        assert_eq!(stream.next().await, None, "ended in order");
    }
    let ended = api.process.ended(Duration::from_secs(5)).await.expect("ended soon");
    assert_eq!(ended.code(), Some(0));
}

#[tokio::test]
async fn an_unknown_export_has_no_events_and_a_deleted_one_ends_them() {
    let api = Api::start(&[]).await;
    for id in ["00000000-0000-0000-0000-000000000000", "x"] {
        api.get(&format!("/exports/{id}/events")).await.assert_problem(404, "export_not_found");
    }
    let path = api.submit_one().await;
    let head = Answer::send(api.request(Method::HEAD, &format!("{path}/events"))).await;
    assert_eq!((head.status, head.header("content-type")), (200, "text/event-stream"));
    assert_eq!(api.listeners().await, [0; 0], "nobody watches");

    let mut stream = api.follow(&path).await;
    stream.event().await;
    api.sql("DELETE FROM export_channels; DELETE FROM exports").await;
    assert_eq!(stream.rest().await, []);
}

#[tokio::test]
async fn a_stream_contains_only_its_own_export() {
    let api = Api::start(&[("ALLOWED_CHANNEL_IDS", "*")]).await;
    let worker = Worker::new(&api).await;
    let watched = api.submit_one().await;
    let mut stream = api.follow(&watched).await;
    stream.event().await;
    let run = worker.claim().await;
    for channel in ["2", "3"] {
        let other = api.post(&json!({ "channel_id": channel })).await.header("location").to_owned();
        api.request(Method::POST, &format!("{other}/cancel")).send().await.unwrap();
    }
    worker.complete(&run).await;
    let events = stream.rest().await;
    assert_eq!(states(&events), [(2, "running".to_owned()), (3, "completed".to_owned())]);
    assert!(events.iter().all(|event| watched.ends_with(event.data["job_id"].as_str().unwrap())));
}
