use serde_json::{Value, json};

use crate::support::Api;

const CHANNEL: &str = "102938475647382910";

#[tokio::test]
async fn a_valid_request_is_accepted_stored_and_queued() {
    let api = Api::start(&[]).await;
    let body =
        json!({ "channel_id": CHANNEL, "start_at": "2024-07-03T18:50:40+09:00", "filter": "~from:bot" });
    let answer = api.post(&body).await;

    assert_eq!(answer.status, 202, "{answer:?}");
    let job_id = answer.body["job_id"].as_str().unwrap();
    let path = format!("/exports/{job_id}");
    assert_eq!(answer.header("location"), path);
    assert_eq!(answer.header("retry-after"), "1");
    assert_eq!(answer.body["status"], "pending");
    assert_eq!(answer.body["channel_id"], CHANNEL);
    assert_eq!(answer.body["channel_ids"], json!([CHANNEL]));
    assert_eq!(answer.body["links"]["self"], path);
    assert_eq!(api.stored().await, [1, 1, 1], "one export, one run, one task");

    let shown = api.get(&path).await;
    assert_eq!(shown.status, 200, "{shown:?}");
    for (field, value) in [
        ("job_id", json!(job_id)),
        ("status", json!("pending")),
        ("channel_id", json!(CHANNEL)),
        ("start_at", json!("2024-07-03T09:50:40Z")),
        ("end_at", Value::Null),
        ("format", json!("Json")),
        ("media", json!(false)),
        (
            "options",
            json!({ "markdown": false, "filter": "~from:bot", "on_conflict": "ignore", "keep_versions": false }),
        ),
        ("message_count", json!(0)),
        ("request_id", json!(answer.header("x-request-id"))),
        ("created_at", answer.body["created_at"].clone()),
    ] {
        assert_eq!(shown.body[field], value, "{field}");
    }
    assert!(shown.body["created_at"].as_str().unwrap().ends_with('Z'));
    let runs = shown.body["runs"].as_array().unwrap();
    assert_eq!(runs.len(), 1);
    assert_eq!(runs[0]["channel_id"], CHANNEL);
    assert_eq!(runs[0]["status"], "pending");
    assert_eq!(runs[0]["max_attempts"], 5);
}

#[tokio::test]
async fn the_response_contains_every_documented_column() {
    let api = Api::start(&[]).await;
    let job_id = api.post(&json!({ "channel_id": CHANNEL })).await.body["job_id"].clone();
    let shown = api.get(&format!("/exports/{}", job_id.as_str().unwrap())).await.body;
    let names = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>().join(" ");
    assert_eq!(
        names(&shown),
        "bytes_read cancel_requested_at channel_id created_at discord_requests duration_ms end_at error \
         filtered_count finished_at format inserted_count job_id links media message_count options phase progress \
         repaired_count request_id requested_by runs start_at started_at status updated_count verified_at version \
         waiting warnings"
    );
    assert_eq!(
        names(&shown["runs"][0]),
        "attempt attempts bytes_read channel_id created_at discord_requests error failures filtered_count finished_at \
         first_message_id id inserted_count kind last_message_id max_attempts message_count newest_at \
         next_attempt_at phase repaired_count started_at status updated_count verified_at verified_newest_id warnings"
    );
}

#[tokio::test]
async fn several_channels_are_runs_of_one_export_whose_counts_add_up() {
    let api = Api::start(&[("MAX_ATTEMPTS", "3"), ("MAX_PARALLEL_RUNS", "1")]).await;
    let ids = ["999999999999999999", "1000000000000000000", "7"];
    let answer = api.post(&json!({ "channel_ids": ids, "markdown": true })).await;
    assert_eq!(answer.status, 202);
    assert_eq!(answer.body["channel_id"], Value::Null);
    assert_eq!(answer.body["channel_ids"], json!(ids));
    assert_eq!(api.stored().await, [1, 3, 1], "one run may go on at a time");

    api.sql("UPDATE export_channels SET message_count = 3, bytes_read = 10").await;
    let shown = api.get(answer.header("location")).await.body;
    assert_eq!((&shown["message_count"], &shown["bytes_read"]), (&json!(9), &json!(30)));
    assert_eq!(shown["runs"].as_array().unwrap().len(), 3);
    assert_eq!(shown["runs"][0]["max_attempts"], 3);
}

#[tokio::test]
async fn a_refused_request_stores_nothing() {
    let api = Api::start(&[("ALLOWED_CHANNEL_IDS", CHANNEL)]).await;
    let refused = [
        (json!([]), 400, "not_an_object"),
        (json!({ "channel_id": CHANNEL, "format": "Csv" }), 400, "unsupported_format"),
        (json!({}), 422, "validation_failed"),
        (json!({ "channel_id": CHANNEL, "end_at": "2024-07-03" }), 422, "validation_failed"),
        (json!({ "channel_id": CHANNEL, "filter": "from:(" }), 422, "invalid_filter"),
        (json!({ "channel_ids": [CHANNEL, "1"] }), 403, "channel_not_allowed"),
    ];
    for (body, status, code) in &refused {
        api.post(body).await.assert_problem(*status, code);
    }
    assert_eq!(api.stored().await, [0, 0, 0]);
    assert_eq!(api.post(&json!({ "channel_id": CHANNEL })).await.status, 202);
}

#[tokio::test]
async fn a_bad_filter_is_reported_with_the_column_of_its_mistake() {
    let api = Api::start(&[]).await;
    let answer = api.post(&json!({ "channel_id": CHANNEL, "filter": "from:(" })).await;
    answer.assert_problem(422, "invalid_filter");
    let errors = answer.body["errors"].as_array().unwrap();
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert_eq!((&errors[0]["pointer"], &errors[0]["column"]), (&json!("/filter"), &json!(6)));
    assert!(errors[0]["detail"].as_str().unwrap().contains("a value must follow `from:`"), "{errors:?}");
    let accepted = api.post(&json!({ "channel_id": CHANNEL, "filter": "-from:bot " })).await;
    assert_eq!(accepted.status, 202, "a negation is no option");
}

#[tokio::test]
async fn all_faults_are_reported_at_once() {
    let api = Api::start(&[]).await;
    let body = json!({
        "channel_id": 102_938_475_647_382_910_u64,
        "start_at": "2024-07-03T09:50:40",
        "format": "HtmlDark",
        "include_threads": "all",
        "filter": "from:(",
        "colour": "blue",
    });
    let answer = api.post(&body).await;
    answer.assert_problem(422, "validation_failed");
    assert_eq!(
        answer.faults(),
        [
            ("/channel_id", "wrong_type"),
            ("/colour", "unknown_field"),
            ("/filter", "invalid_filter"),
            ("/format", "unsupported_format"),
            ("/include_threads", "not_available"),
            ("/start_at", "missing_offset"),
        ]
    );
}

#[tokio::test]
async fn without_a_list_only_the_default_channel_and_its_threads_are_allowed() {
    let api = Api::start(&[("DEFAULT_CHANNEL_ID", CHANNEL)]).await;
    let answer = api.post(&json!({})).await;
    assert_eq!((answer.status, &answer.body["channel_id"]), (202, &json!(CHANNEL)));

    api.post(&json!({ "channel_id": "55" })).await.assert_problem(403, "channel_not_allowed");
    api.sql(
        "INSERT INTO channels (channel_id, type, category_id) VALUES
           ('55', 'GuildPublicThread', '102938475647382910'), ('66', 'GuildPublicThread', '1')",
    )
    .await;
    assert_eq!(api.post(&json!({ "channel_id": "55" })).await.status, 202, "a thread of the default");
    let answer = api.post(&json!({ "channel_ids": ["55", "66", "77"] })).await;
    answer.assert_problem(403, "channel_not_allowed");
    let detail = answer.body["detail"].as_str().unwrap();
    assert!(detail.contains("66, 77") && !detail.contains("55"), "{detail}");

    let both = json!({ "channel_id": "77", "filter": "" });
    api.post(&both).await.assert_problem(422, "validation_failed");
}

#[tokio::test]
async fn a_star_allows_every_channel_and_keeps_the_default() {
    let api = Api::start(&[("DEFAULT_CHANNEL_ID", CHANNEL), ("ALLOWED_CHANNEL_IDS", "*")]).await;
    assert_eq!(api.post(&json!({ "channel_id": "55" })).await.body["channel_id"], "55");
    assert_eq!(api.post(&json!({})).await.body["channel_id"], CHANNEL);
}

#[tokio::test]
async fn export_runs_and_task_are_one_transaction() {
    let api = Api::start(&[]).await;
    api.sql("ALTER TABLE apalis.jobs RENAME TO jobs_gone").await;
    let answer = api.post(&json!({ "channel_id": CHANNEL })).await;
    assert!(answer.status >= 500, "{answer:?}");
    api.sql("ALTER TABLE apalis.jobs_gone RENAME TO jobs").await;
    assert_eq!(api.stored().await, [0, 0, 0]);
    assert_eq!(api.post(&json!({ "channel_id": CHANNEL })).await.status, 202);
    assert_eq!(api.stored().await, [1, 1, 1]);
}
