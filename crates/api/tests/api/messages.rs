//! Pages of messages, and single messages.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, Api};

/// Messages around the first id of 19 digits, two of them with the same time, and one in another channel.
const ARCHIVE: &str = r#"
    INSERT INTO channels (channel_id, guild_id, name, archived_count) VALUES
      ('7', '1', 'general', 5), ('1000000000000000001', '2', '길드', 1), ('999999999999999999', '1', 'a_b', 0);
    INSERT INTO messages (channel_id, message_id, author_id, author_name, content, "timestamp", attachments, embeds, raw, exported_at) VALUES
      ('7', '999999999999999998', '5', 'alice', 'one', '2022-07-22T11:22:59.1Z', '[]', '[]', '{"id":"999999999999999998","stickers":[],"isPinned":false}', '2026-01-01T00:00:00Z'),
      ('7', '999999999999999999', '6', 'bob', '=two, "길드" 100%', '2022-07-22T11:22:59.2Z', '[{"id":"1"}]', NULL, '{"id":"999999999999999999","isPinned":true,"reactions":null}', NULL),
      ('7', '1000000000000000000', '5', 'alice', E'three\nlines\nhttps://example.org', '2022-07-22T11:22:59.2Z', NULL, '[{"title":"x"}]', '{"id":"1000000000000000000","reactions":[{"count":2}]}', NULL),
      ('7', '1000000000000000001', NULL, NULL, NULL, '2022-07-22T11:22:59.2005Z', NULL, NULL, '{"id":"1000000000000000001","stickers":[{"id":"9"}]}', NULL),
      ('7', '1000000000000000002', '5', 'alice', 'Five_\ 안녕하세요', '2022-07-22T11:23:00Z', '[]', '[]', '{"id":"1000000000000000002"}', NULL),
      ('1000000000000000001', '1000000000000000000', '5', 'alice', 'elsewhere', '2022-07-22T11:22:59.2Z', '[]', '[]', '{}', NULL)"#;

const IN_ORDER: [&str; 5] = [
    "999999999999999998",
    "999999999999999999",
    "1000000000000000000",
    "1000000000000000001",
    "1000000000000000002",
];

async fn archive() -> Api {
    let api = Api::start(&[]).await;
    api.sql(ARCHIVE).await;
    api
}

fn ids(page: &Value) -> Vec<&str> {
    page["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|message| message["message_id"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn pages_contain_the_channel_in_order_and_link_to_the_next() {
    let api = archive().await;
    for (order, by) in [("asc", 1), ("asc", 2), ("asc", 5), ("desc", 2), ("desc", 3), ("desc", 1000)] {
        let mut path = format!("/channels/7/messages?limit={by}&order={order}&fields=message_id");
        let mut walked = Vec::new();
        loop {
            let page = api.get(&path).await;
            assert_eq!((page.status, page.header("content-type")), (200, "application/json"), "{page:?}");
            walked.extend(ids(&page.body).into_iter().map(str::to_owned));
            let Some(cursor) = page.body["next_cursor"].as_str() else {
                assert_eq!(page.header("link"), "");
                break;
            };
            assert_eq!(ids(&page.body).len(), by);
            let next =
                page.header("link").strip_prefix('<').unwrap().strip_suffix(">; rel=\"next\"").unwrap();
            assert!(
                next.ends_with(&format!("&cursor={cursor}")) && next.matches("cursor=").count() == 1,
                "{next}"
            );
            path = next.to_owned();
        }
        let mut expected = IN_ORDER.to_vec();
        if order == "desc" {
            expected.reverse();
        }
        assert_eq!(walked, expected, "{order} by {by}");
    }
}

#[tokio::test]
async fn a_message_has_the_requested_columns() {
    let api = archive().await;
    let page = api.get("/channels/7/messages?limit=1").await.body;
    let mut message = page["messages"][0].clone();
    assert!(message["inserted_at"].take().is_string());
    assert_eq!(
        message,
        json!({ "channel_id": "7", "message_id": "999999999999999998", "author_id": "5", "author_name": "alice",
                "content": "one", "timestamp": "2022-07-22T11:22:59.100Z", "attachments": [], "embeds": [],
                "job_id": null, "exported_at": "2026-01-01T00:00:00Z", "inserted_at": null, "missing_since": null })
    );
    let page =
        api.get("/channels/7/messages?fields=raw,timestamp&after=1000000000000000000&limit=1").await.body;
    assert_eq!(
        page["messages"],
        json!([{ "raw": { "id": "1000000000000000001", "stickers": [{ "id": "9" }] },
                 "timestamp": "2022-07-22T11:22:59.200500Z" }])
    );
    let one = api.get("/channels/7/messages/999999999999999999").await;
    assert_eq!((one.status, &one.body["content"]), (200, &json!("=two, \"길드\" 100%")));
    assert_eq!(one.body["raw"]["isPinned"], true);
    assert_eq!(one.body.as_object().unwrap().len(), 13);
}

#[tokio::test]
async fn filters_are_exact() {
    let api = archive().await;
    let [one, two, three, four, five] = IN_ORDER;
    for (query, expected) in [
        ("after=999999999999999999", vec![three, four, five]),
        ("before=1000000000000000000", vec![one, two]),
        ("after=1&before=1000000000000000000", vec![one, two]),
        ("after=999999999999999998&before=1000000000000000001", vec![two, three]),
        ("after=2022-07-22T11:22:59.2Z", vec![four, five]),
        ("after=2022-07-22T11:22:59.20049Z", vec![four, five]),
        ("after=2022-07-22T11:22:59.2005Z", vec![five]),
        ("before=2022-07-22T20:22:59.2%2B09:00", vec![one]),
        ("before=2022-07-22T20:22:59.2+09:00", vec![one]),
        ("before=2022-07-22T11:22:59.201Z&order=desc", vec![four, three, two, one]),
        ("after=1000000000000000002", vec![]),
        ("author_id=5", vec![one, three, five]),
        ("author_id=5&after=999999999999999998", vec![three, five]),
        ("q=TWO", vec![two]),
        ("q=%EA%B8%B8", vec![two]),
        ("q=%EC%95%88%EB%85%95", vec![five]),
        ("q=100%25", vec![two]),
        ("q=%25", vec![two]),
        ("q=_", vec![five]),
        ("q=%5C", vec![five]),
        ("q=lines%25https", vec![]),
        ("has=attachment", vec![two]),
        ("has=embed", vec![three]),
        ("has=sticker", vec![four]),
        ("has=reaction", vec![three]),
        ("has=link", vec![three]),
        ("has=pin", vec![two]),
        ("has=embed,link", vec![three]),
        ("has=embed,pin", vec![]),
        ("q=o&has=pin&author_id=6", vec![two]),
    ] {
        let page = api.get(&format!("/channels/7/messages?{query}")).await;
        assert_eq!((page.status, ids(&page.body)), (200, expected), "{query}: {page:?}");
        assert_eq!(page.body["next_cursor"], Value::Null, "{query}");
    }
}

#[tokio::test]
async fn all_faults_are_reported_at_once() {
    let api = archive().await;
    let long = "x".repeat(201);
    let query = format!(
        "limit=0&order=up&after=yesterday&before=2024-07-03T09:50:40&author_id=me&q={long}&has=x&fields=content,x&cursor=x&colour=blue"
    );
    let answer = api.get(&format!("/channels/7/messages?{query}")).await;
    answer.assert_problem(422, "validation_failed");
    assert_eq!(
        answer.faults(),
        [
            ("after", "invalid_time"),
            ("author_id", "invalid_id"),
            ("before", "missing_offset"),
            ("colour", "unknown_parameter"),
            ("cursor", "invalid_value"),
            ("fields", "invalid_value"),
            ("has", "invalid_value"),
            ("limit", "out_of_range"),
            ("order", "invalid_value"),
            ("q", "too_long"),
        ]
    );
    let page = api.get("/channels/7/messages?limit=1").await.body;
    let cursor = page["next_cursor"].as_str().unwrap();
    for path in [
        format!("/channels/7/messages?order=desc&cursor={cursor}"),
        format!("/channels/1000000000000000001/messages?cursor={cursor}"),
        format!("/channels?cursor={cursor}"),
    ] {
        let answer = api.get(&path).await;
        answer.assert_problem(422, "validation_failed");
        assert_eq!(answer.faults(), [("cursor", "invalid_value")], "{path}");
    }
}

#[tokio::test]
async fn unknown_resources_are_404_and_unavailable_formats_406() {
    let api = archive().await;
    for path in ["/channels/8", "/channels/x", "/channels/8/messages", "/channels/-1/messages"] {
        api.get(path).await.assert_problem(404, "channel_not_found");
    }
    for path in ["7/messages/1", "7/messages/x", "8/messages/999999999999999999", "x/messages/1"] {
        api.get(&format!("/channels/{path}")).await.assert_problem(404, "message_not_found");
    }
    for id in ["x", "01990f3e-6a3b-7c51-9e54-1f2a3b4c5d6e"] {
        api.get(&format!("/exports/{id}/messages")).await.assert_problem(404, "export_not_found");
    }
    for accept in ["text/html", "application/json;q=0, text/html"] {
        let request = api.request(Method::GET, "/channels/7/messages").header("accept", accept);
        Answer::send(request).await.assert_problem(406, "not_acceptable");
    }
    let empty = api.get("/channels/999999999999999999/messages").await;
    assert_eq!((empty.status, &empty.body), (200, &json!({ "messages": [], "next_cursor": null })));
    api.sql("ALTER TABLE messages RENAME TO gone").await;
    api.get("/channels/7/messages").await.assert_problem(503, "schema_missing");
}

#[tokio::test]
async fn head_is_get_without_the_body() {
    let api = archive().await;
    for accept in ["application/json", "application/x-ndjson"] {
        let request = |method| api.request(method, "/channels/7/messages?limit=2").header("accept", accept);
        let (head, get) =
            (Answer::send(request(Method::HEAD)).await, Answer::send(request(Method::GET)).await);
        assert_eq!((head.status, head.header("content-type")), (200, accept));
        assert_eq!(head.header("link"), get.header("link"));
        assert_eq!(head.body, Value::Null);
    }
}

#[tokio::test]
async fn an_exports_messages_are_those_that_its_runs_read_whichever_export_inserted_them() {
    let api = archive().await;
    let job_id = "01990f3e-6a3b-7c51-9e54-1f2a3b4c5d6e";
    api.sql(
        "INSERT INTO exports (job_id) VALUES ('01990f3e-6a3b-7c51-9e54-1f2a3b4c5d6e'), ('01990f3e-6a3b-7c51-9e54-1f2a3b4c5d6f');
         INSERT INTO export_channels (id, job_id, channel_id, first_message_id, last_message_id) VALUES
           ('00000000-0000-0000-0000-000000000003', '01990f3e-6a3b-7c51-9e54-1f2a3b4c5d6e', '55', NULL, NULL),
           ('00000000-0000-0000-0000-000000000002', '01990f3e-6a3b-7c51-9e54-1f2a3b4c5d6e', '7', '999999999999999999', '1000000000000000001'),
           ('00000000-0000-0000-0000-000000000001', '01990f3e-6a3b-7c51-9e54-1f2a3b4c5d6e', '1000000000000000001', '1000000000000000000', '1000000000000000000')",
    )
    .await;
    let [_, b, c, d, _] = IN_ORDER;
    let all = vec![("1000000000000000001", c), ("7", b), ("7", c), ("7", d)];
    for by in 1..=5 {
        for order in ["asc", "desc"] {
            let mut path = format!("/exports/{job_id}/messages?limit={by}&order={order}");
            let mut walked = Vec::new();
            loop {
                let page = api.get(&path).await;
                for message in page.body["messages"].as_array().unwrap() {
                    let text = |name: &str| message[name].as_str().unwrap().to_owned();
                    walked.push((text("channel_id"), text("message_id")));
                }
                let Some(cursor) = page.body["next_cursor"].as_str() else { break };
                path = format!("/exports/{job_id}/messages?limit={by}&order={order}&cursor={cursor}");
            }
            if order == "desc" {
                walked.reverse();
            }
            let walked: Vec<_> = walked.iter().map(|(channel, id)| (channel.as_str(), id.as_str())).collect();
            assert_eq!(walked, all, "{order} by {by}");
        }
    }
    let page = api.get(&format!("/exports/{job_id}/messages?q=two")).await.body;
    assert_eq!(ids(&page), [b]);
    let page = api.get("/exports/01990f3e-6a3b-7c51-9e54-1f2a3b4c5d6f/messages").await;
    assert_eq!((page.status, &page.body["messages"]), (200, &json!([])));
}

#[tokio::test]
async fn an_export_with_a_filter_has_its_matches_only_in_every_format() {
    let api = archive().await;
    let path = "/exports/01990f3e-6a3b-7c51-9e54-1f2a3b4c5d6e/messages?fields=message_id";
    api.sql(
        r#"UPDATE messages SET raw = jsonb_build_object('content', content, 'isPinned', raw -> 'isPinned');
           INSERT INTO exports (job_id, options) VALUES ('01990f3e-6a3b-7c51-9e54-1f2a3b4c5d6e', '{"filter": "one | has:link has:pin | three"}');
           INSERT INTO export_channels (id, job_id, channel_id, first_message_id, last_message_id) VALUES
             ('00000000-0000-0000-0000-000000000001', '01990f3e-6a3b-7c51-9e54-1f2a3b4c5d6e', '7', '999999999999999998', '1000000000000000002')"#,
    )
    .await;
    let [_, _, three, ..] = IN_ORDER;
    let page = api.get(path).await.body;
    assert_eq!((ids(&page), &page["next_cursor"]), (vec![three], &Value::Null));
    api.sql(r#"UPDATE exports SET options = '{"filter": "~has:pin ~five_"}'"#).await;
    let expected = [IN_ORDER[0], three, IN_ORDER[3]];
    for order in ["asc", "desc"] {
        let (mut next, mut walked) = (format!("{path}&limit=1&order={order}"), Vec::new());
        loop {
            let page = api.get(&next).await.body;
            walked.extend(ids(&page).into_iter().map(str::to_owned));
            let Some(cursor) = page["next_cursor"].as_str() else { break };
            next = format!("{path}&limit=1&order={order}&cursor={cursor}");
        }
        if order == "desc" {
            walked.reverse();
        }
        assert_eq!(walked, expected, "{order}");
    }
    for (accept, header) in [("application/x-ndjson", ""), ("text/csv", "message_id\r\n")] {
        let request = api.request(Method::GET, path).header("accept", accept);
        let text = request.send().await.unwrap().text().await.unwrap();
        let lines: Vec<_> = text.strip_prefix(header).unwrap().lines().collect();
        assert_eq!(lines.len(), 3, "{text}");
        assert!(lines.iter().zip(expected).all(|(line, id)| line.contains(id)), "{text}");
    }
    // A filter of an earlier version that is refused today does not hide what is archived.
    api.sql(r#"UPDATE exports SET options = '{"filter": "~has:nonsense"}'"#).await;
    assert_eq!(ids(&api.get(path).await.body), IN_ORDER);
}

#[tokio::test]
async fn channels_are_ordered_by_numeric_id() {
    let api = archive().await;
    let names = |page: &Value| {
        let channels = page["channels"].as_array().unwrap();
        channels.iter().map(|channel| channel["channel_id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let all = ["7", "999999999999999999", "1000000000000000001"];
    for by in 1..=4 {
        let (mut path, mut walked) = (format!("/channels?limit={by}"), Vec::new());
        loop {
            let page = api.get(&path).await;
            walked.extend(names(&page.body));
            match page.header("link").strip_prefix('<').and_then(|link| link.strip_suffix(">; rel=\"next\""))
            {
                Some(next) => path = next.to_owned(),
                None => break,
            }
        }
        assert_eq!(walked, all, "by {by}");
    }
    for (query, expected) in [
        ("guild_id=1", vec![all[0], all[1]]),
        ("q=GENER", vec![all[0]]),
        ("q=%EB%93%9C", vec![all[2]]),
        ("q=_", vec![all[1]]),
        ("guild_id=2&q=_", vec![]),
    ] {
        assert_eq!(names(&api.get(&format!("/channels?{query}")).await.body), expected, "{query}");
    }
    let one = api.get("/channels/7").await;
    assert_eq!(
        (one.status, &one.body["name"], &one.body["archived_count"]),
        (200, &json!("general"), &json!(5))
    );
}
