//! Repeated creations: one export, whatever happens in between.

use dce_testkit::database::{OwnServer, TestDatabase};
use dce_testkit::process::{Running, eventually};
use dce_testkit::proxy::{Lost, Proxy};
use nix::sys::signal::Signal;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Api, SOON, base, client, launch};

const CHANNEL: &str = "102938475647382910";

async fn post(api: &Api, key: &str, body: &Value) -> Answer {
    Answer::send(api.request(Method::POST, "/exports").header("Idempotency-Key", key).json(body)).await
}

#[tokio::test]
async fn a_repeated_request_gets_the_first_response() {
    let api = Api::start(&[]).await;
    let first = post(&api, "k", &json!({ "channel_id": CHANNEL, "markdown": true })).await;
    assert_eq!((first.status, first.header("idempotency-replayed")), (202, ""), "{first:?}");
    // Another order of fields is the same request.
    let again = post(&api, "k", &json!({ "markdown": true, "channel_id": CHANNEL })).await;
    assert_eq!((again.status, again.header("idempotency-replayed")), (202, "true"), "{again:?}");
    assert_eq!(again.body, first.body);
    assert_eq!(again.header("location"), first.header("location"));
    assert_eq!(api.stored().await, [1, 1, 1]);

    let other = post(&api, "k", &json!({ "channel_id": CHANNEL })).await;
    other.assert_problem(422, "idempotency_key_reused");
    assert_eq!(post(&api, "k2", &json!({ "channel_id": CHANNEL })).await.status, 202);
    assert_eq!(api.stored().await[0], 2);
}

#[tokio::test]
async fn other_and_later_instances_know_the_key() {
    let api = Api::start(&[]).await;
    let body = json!({ "channel_id": CHANNEL });
    let first = post(&api, "k", &body).await;
    let mut other = launch(&api.database.url(), &[("ALLOWED_CHANNEL_IDS", "7")]);
    let url = format!("{}/exports", base(&other).await);
    let request = client().post(&url).header("Idempotency-Key", "\"k\"").json(&body);
    let again = Answer::send(request).await;
    assert_eq!(
        (again.status, &again.body),
        (202, &first.body),
        "whatever its settings are by now: {again:?}"
    );
    other.signal(Signal::SIGTERM);
    other.wait(SOON).await;
    assert_eq!(api.stored().await, [1, 1, 1]);
}

#[tokio::test]
async fn a_refused_request_can_be_corrected_under_the_same_key() {
    let api = Api::start(&[]).await;
    post(&api, "k", &json!({ "channel_id": "x" })).await.assert_problem(422, "validation_failed");
    assert_eq!(post(&api, "k", &json!({ "channel_id": CHANNEL })).await.status, 202);
}

#[tokio::test]
async fn a_key_expires_after_a_day() {
    let api = Api::start(&[]).await;
    let body = json!({ "channel_id": CHANNEL });
    let first = post(&api, "k", &body).await;
    post(&api, "other", &body).await;
    api.sql("UPDATE idempotency_keys SET created_at = created_at - interval '24 hours'").await;
    let later = post(&api, "k", &body).await;
    assert_eq!(later.status, 202);
    assert_ne!(later.body["job_id"], first.body["job_id"]);
    let left: i64 = sqlx::query_scalar("SELECT count(*) FROM idempotency_keys")
        .fetch_one(&api.database.pool())
        .await
        .unwrap();
    assert_eq!(left, 1, "others that are too old go with it");
}

#[tokio::test]
async fn malformed_keys_are_refused() {
    let api = Api::start(&[]).await;
    for key in ["", "a b", &"x".repeat(256)] {
        post(&api, key, &json!({ "channel_id": CHANNEL }))
            .await
            .assert_problem(400, "idempotency_key_malformed");
    }
    assert_eq!(api.stored().await, [0, 0, 0]);
}

/// Many requests at once, at two instances.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_requests_with_one_key_create_one_export() {
    let api = Api::start(&[]).await;
    let second = launch(&api.database.url(), &[]);
    let bases = [api.base.clone(), base(&second).await];
    let client = client();
    let requests = (0..200).map(|number| {
        let request = client
            .post(format!("{}/exports", bases[number % 2]))
            .header("Idempotency-Key", "one")
            .json(&json!({ "channel_id": CHANNEL }));
        tokio::spawn(Answer::send(request))
    });
    let mut jobs = Vec::new();
    for request in requests.collect::<Vec<_>>() {
        let answer = request.await.unwrap();
        assert_eq!(answer.status, 202, "{answer:?}");
        jobs.push(answer.body["job_id"].clone());
    }
    jobs.dedup();
    assert_eq!(jobs.len(), 1);
    assert_eq!(api.stored().await, [1, 1, 1]);
}

/// The database has committed, the client has no response, and the API is gone.
#[tokio::test]
async fn an_api_killed_between_commit_and_answer_leaves_one_export() {
    let server = OwnServer::start().await;
    let through = Proxy::start(server.socket()).await.unwrap();
    let url = format!("postgres://postgres@127.0.0.1:{}/postgres", through.port());
    let mut api: Running = launch(&url, &[]);
    let address = base(&api).await;
    let body = json!({ "channel_id": CHANNEL });
    let request = |address: &str| {
        client().post(format!("{address}/exports")).header("Idempotency-Key", "k").json(&body)
    };

    through.lose_commit(Lost::Answer);
    let unanswered = tokio::spawn(request(&address).send());
    eventually(SOON, "the COMMIT's answer is lost", async || (through.commits_lost() == 1).then_some(()))
        .await;
    through.refuse(true); // so that it cannot look up the result by itself
    api.signal(Signal::SIGKILL);
    api.wait(SOON).await;
    assert!(unanswered.await.unwrap().is_err());
    through.restore();

    let second = launch(&server.url(), &[]);
    let address = base(&second).await;
    let first = Answer::send(request(&address)).await;
    assert_eq!((first.status, first.header("idempotency-replayed")), (202, "true"), "{first:?}");
    let again = Answer::send(request(&address)).await;
    assert_eq!(again.body, first.body);
    let exports: Vec<String> =
        sqlx::query_scalar("SELECT job_id::text FROM exports").fetch_all(&server.pool()).await.unwrap();
    assert_eq!(exports, [first.body["job_id"].as_str().unwrap()]);
}

/// Clients do not share their keys.
#[tokio::test]
async fn clients_do_not_share_keys() {
    use dce_api::auth::keys::digest;
    let keys = format!("one:write:{},two:write:{}", digest("1"), digest("2"));
    let database = TestDatabase::create().await;
    let url = database.url();
    let api = Api::start_on(database, &url, &[("API_KEYS", &keys)]).await;
    let mut jobs = Vec::new();
    for bearer in ["1", "2"] {
        let request =
            api.request(Method::POST, "/exports").bearer_auth(bearer).header("Idempotency-Key", "k");
        jobs.push(Answer::send(request.json(&json!({ "channel_id": CHANNEL }))).await.body["job_id"].clone());
    }
    assert_ne!(jobs[0], jobs[1]);
}
