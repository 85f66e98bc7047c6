//! The rate limit over all instances.

use dce_api::auth::keys::digest;
use reqwest::Method;
use serde_json::json;

use crate::support::{Answer, Api, base, client, launch};

const CHANNEL: &str = "102938475647382910";

fn keys() -> String {
    format!("one:write:{},two:write:{}", digest("1"), digest("2"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_instances_together_admit_exactly_ten() {
    let keys = keys();
    let settings = [("API_KEYS", keys.as_str()), ("RATE_LIMIT_PER_MINUTE", "10")];
    let api = Api::start(&settings).await;
    let second = launch(&api.database.url(), &settings);
    let bases = [api.base.clone(), base(&second).await];
    let client = client();
    let requests = (0..200).map(|number| {
        let request = client.post(format!("{}/exports", bases[number % 2])).bearer_auth("1");
        tokio::spawn(Answer::send(request.json(&json!({ "channel_id": CHANNEL }))))
    });
    let mut accepted = 0;
    for request in requests.collect::<Vec<_>>() {
        let answer = request.await.unwrap();
        assert_eq!(answer.header("ratelimit-policy"), "\"creations\";q=10;w=60");
        if answer.status == 202 {
            accepted += 1;
        } else {
            answer.assert_problem(429, "rate_limit_exceeded");
            let wait: u32 = answer.header("retry-after").parse().unwrap();
            assert!((1..=60).contains(&wait), "{answer:?}");
            assert_eq!(answer.header("ratelimit"), format!("\"creations\";r=0;t={wait}"));
        }
    }
    assert_eq!(accepted, 10);
    assert_eq!(api.stored().await[0], 10);

    let other =
        api.request(Method::POST, "/exports").bearer_auth("2").json(&json!({ "channel_id": CHANNEL }));
    assert_eq!(Answer::send(other).await.status, 202, "another key has its own limit");
}

#[tokio::test]
async fn repetitions_and_refusals_do_not_count_and_every_response_reports_the_quota() {
    let api = Api::start(&[("RATE_LIMIT_PER_MINUTE", "2")]).await;
    let post = async |key: &str, body| {
        Answer::send(api.request(Method::POST, "/exports").header("Idempotency-Key", key).json(&body)).await
    };
    let body = json!({ "channel_id": CHANNEL });
    assert_eq!(post("a", body.clone()).await.header("ratelimit"), "\"creations\";r=1;t=60");
    for _ in 0..3 {
        let again = post("a", body.clone()).await;
        assert_eq!(again.status, 202);
        assert!(again.header("ratelimit").starts_with("\"creations\";r=1;"), "{again:?}");
        let refused = post("b", json!({ "channel_id": "x" })).await;
        assert_eq!(refused.status, 422);
        assert!(refused.header("ratelimit").starts_with("\"creations\";r=1;"), "{refused:?}");
    }
    assert!(post("b", body.clone()).await.header("ratelimit").starts_with("\"creations\";r=0;"));
    post("c", body.clone()).await.assert_problem(429, "rate_limit_exceeded");
    assert_eq!(post("a", body.clone()).await.status, 202, "what was answered is answered again");

    // The window slides: when the first creation leaves it, exactly one more is possible.
    api.sql("UPDATE rate_limits SET accepted[1] = accepted[1] - interval '1 minute'").await;
    assert_eq!(post("c", body.clone()).await.status, 202);
    post("d", body.clone()).await.assert_problem(429, "rate_limit_exceeded");
}
