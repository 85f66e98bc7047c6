//! The fake Discord, as its clients see it.
#![expect(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use dce_local::loopback_client;
use dce_standin::scenario::{Attempt, Channel, Ending, Scenario, ScenarioDir, recording};
use dce_testkit::discord::{Auth, Effect, FakeDiscord, Fault, Post, RandomFaults, Route};
use reqwest::{Client, Response};
use serde_json::{Value, json};

const CHANNEL: &str = "900000000000001001";
const GUILD: &str = "900000000000000001";
const BOUND: Duration = Duration::from_secs(20);

struct Setup {
    discord: FakeDiscord,
    dir: ScenarioDir,
    client: Client,
}

fn serve(scenario: &Scenario) -> Setup {
    let dir = ScenarioDir::create(scenario);
    let discord = FakeDiscord::start(dir.dir()).unwrap();
    Setup { discord, dir, client: loopback_client().build().unwrap() }
}

fn small() -> Setup {
    let file = recording("small").join("out/part.json");
    serve(&Scenario::new().token("good").channel(CHANNEL, Channel::file(file)))
}

fn generated(messages: u64) -> Setup {
    serve(&Scenario::new().token("good").channel(CHANNEL, Channel::generated(messages, 5)))
}

impl Setup {
    async fn send_as(&self, path: &str, authorization: Option<&str>) -> reqwest::Result<Response> {
        let request = self.client.get(format!("{}/{path}", self.discord.url())).timeout(BOUND);
        let request = match authorization {
            Some(value) => request.header("Authorization", value),
            None => request,
        };
        request.send().await
    }

    async fn send(&self, path: &str) -> reqwest::Result<Response> {
        self.send_as(path, Some("Bot good")).await
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        let response = self.send(path).await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }

    async fn ok(&self, path: &str) -> Value {
        let (status, body) = self.get(path).await;
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    /// The ids of a page in the order of the answer.
    async fn page(&self, query: &str) -> Vec<u64> {
        let page = self.ok(&format!("channels/{CHANNEL}/messages?{query}")).await;
        page.as_array()
            .unwrap()
            .iter()
            .map(|message| message["id"].as_str().unwrap().parse().unwrap())
            .collect()
    }

    /// Pages forward as DCE does: after the newest id as listed, to an empty page.
    async fn read_forward(&self) -> Vec<u64> {
        let (mut read, mut after) = (Vec::new(), 0);
        loop {
            let page = self.page(&format!("limit=100&after={after}")).await;
            let Some(last) = page.first() else { return read };
            after = *last;
            read.extend(page.into_iter().rev());
        }
    }
}

#[tokio::test]
async fn only_the_right_token_in_a_bots_form_is_accepted() {
    let setup = small();
    for (authorization, status) in
        [(Some("Bot good"), 200), (Some("good"), 401), (Some("Bot bad"), 401), (None, 401)]
    {
        for path in ["users/@me", "channels/900000000000001001"] {
            let answer = setup.send_as(path, authorization).await.unwrap();
            assert_eq!(answer.status().as_u16(), status, "{authorization:?} {path}");
        }
    }
    setup.discord.take_user_tokens(true);
    assert_eq!(setup.send_as("users/@me", Some("good")).await.unwrap().status().as_u16(), 200);
    assert_eq!(setup.send_as("users/@me", Some("Bot good")).await.unwrap().status().as_u16(), 401);
    let requests = setup.discord.requests();
    let forms: Vec<_> = requests.iter().map(|request| (request.auth, request.status)).collect();
    assert_eq!(forms[0], (Auth::Bot, Some(200)));
    assert_eq!(forms[6], (Auth::Missing, Some(401)));
    assert!(!format!("{requests:?}").contains("good"), "a token is logged");
}

#[tokio::test]
async fn everything_that_dce_asks_about_a_channel_is_there() {
    let setup = small();
    let channel = setup.ok(&format!("channels/{CHANNEL}")).await;
    let shown =
        json!([channel["type"], channel["guild_id"], channel["parent_id"], channel["last_message_id"]]);
    assert_eq!(shown, json!([0, GUILD, "900000000000001012", "1257998689239040011"]));
    assert_eq!(setup.ok("channels/900000000000001012").await["type"], 4);
    assert_eq!(setup.ok(&format!("guilds/{GUILD}")).await["name"], "Test | Guild 길드");
    let channels = setup.ok(&format!("guilds/{GUILD}/channels")).await;
    assert_eq!(channels.as_array().unwrap().len(), 2, "{channels}");
    let roles = setup.ok(&format!("guilds/{GUILD}/roles")).await;
    let names: Vec<_> = roles.as_array().unwrap().iter().map(|role| role["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["@everyone", "mod", "helper", "plain"]);
    let page = setup.ok(&format!("channels/{CHANNEL}/messages?limit=100&after=0")).await;
    let author = page[11]["author"]["id"].as_str().unwrap();
    let member = setup.ok(&format!("guilds/{GUILD}/members/{author}")).await;
    assert_eq!(
        (&member["user"]["username"], &member["roles"][0]),
        (&json!("user24"), &json!("900000000000000012"))
    );
    assert_eq!(setup.get(&format!("guilds/{GUILD}/members/1")).await.0, 404);
    let reaction =
        format!("channels/{CHANNEL}/messages/1257997682606080007/reactions/blob%3A700000000000000003");
    let users = setup.ok(&format!("{reaction}?limit=100&after=0")).await;
    assert_eq!((users.as_array().unwrap().len(), &users[1]["id"]), (2, &json!("800000000000000001")));
    let rest = setup.ok(&format!("{reaction}?limit=100&after=800000000000000001")).await;
    assert_eq!(rest, json!([]));
    assert_eq!(setup.ok("users/@me/guilds?limit=100&after=0").await[0]["id"], GUILD);
    assert_eq!(setup.ok("applications/@me").await["flags"], 1 << 18);
    assert_eq!(setup.ok(&format!("guilds/{GUILD}/threads/active")).await["threads"], json!([]));
}

#[tokio::test]
async fn errors_have_discords_codes() {
    let setup = small();
    for (path, status, code) in [
        ("channels/5", 404, 10_003),
        ("channels/5/messages", 404, 10_003),
        ("channels/900000000000001001/messages/5", 404, 10_008),
        ("guilds/5", 404, 10_004),
        ("channels/900000000000001001/messages?limit=0", 400, 50_035),
        ("channels/900000000000001001/messages?limit=101", 400, 50_035),
        ("channels/900000000000001001/messages?before=tomorrow", 400, 50_035),
    ] {
        let (answered, body) = setup.get(path).await;
        assert_eq!((answered, &body["code"]), (status, &json!(code)), "{path}");
    }
    setup.discord.forbid_messages(CHANNEL, true);
    assert_eq!(setup.get(&format!("channels/{CHANNEL}")).await.0, 200);
    assert_eq!(setup.get(&format!("channels/{CHANNEL}/messages")).await.0, 403);
    setup.discord.forbid(CHANNEL, true);
    assert_eq!(setup.get(&format!("channels/{CHANNEL}")).await.1["code"], 50_001);
}

#[tokio::test]
async fn a_channel_of_a_million_messages_is_paged_from_both_ends() {
    let setup = generated(1_000_000);
    let newest = setup.page("limit=2").await;
    assert_eq!(setup.page(&format!("limit=1&before={}", newest[0])).await, newest[1..]);
    assert_eq!(setup.page(&format!("limit=1&before={}", newest[0] + 1)).await, newest[..1]);
    assert_eq!(setup.page(&format!("limit=5&after={}", newest[1])).await, newest[..1]);
    assert_eq!(setup.page(&format!("around={}&limit=1", newest[1])).await, newest[1..]);
    let first = setup.page("limit=3&after=0").await;
    assert!(first.is_sorted_by(|newer, older| newer > older) && first[0] < newest[1], "{first:?}");
    assert_eq!(setup.page("limit=100").await.len(), 100);
    let message = setup.ok(&format!("channels/{CHANNEL}/messages/{}", first[1])).await;
    assert_eq!(message["id"], first[1].to_string());
}

#[tokio::test]
async fn reading_forward_brings_every_message_once() {
    let setup = generated(250);
    assert_eq!(setup.read_forward().await, setup.discord.message_ids(CHANNEL));
}

#[tokio::test]
async fn a_pair_listed_the_wrong_way_round_is_lost_across_the_edge_of_a_page() {
    let setup = generated(150);
    let hundredth = setup.discord.message_ids(CHANNEL)[98];
    let (a, b) = (hundredth + (1 << 22), hundredth + (1 << 22) + 1);
    for id in [a, b] {
        setup.discord.post(CHANNEL, Post::new(id));
    }
    assert_eq!(setup.read_forward().await.len(), 152);
    setup.discord.list_in_order(CHANNEL, &[b, a]);
    let read = setup.read_forward().await;
    assert!(read.contains(&b) && !read.contains(&a), "{read:?}");
}

#[tokio::test]
async fn a_message_can_be_posted_edited_deleted_hidden_and_shown() {
    let setup = generated(3);
    let ids = setup.discord.message_ids(CHANNEL);
    let new = ids[2] + 1;
    setup.discord.post(CHANNEL, Post::new(new).content("said \"so\"").author(77));
    setup.discord.post(CHANNEL, Post::new(ids[0]).content("edited"));
    setup.discord.delete(CHANNEL, ids[1]);
    assert_eq!(setup.page("limit=100").await, [new, ids[2], ids[0]]);
    let page = setup.ok(&format!("channels/{CHANNEL}/messages")).await;
    let said = json!([page[0]["content"], page[0]["author"]["id"], page[2]["content"]]);
    assert_eq!(said, json!(["said \"so\"", "77", "edited"]));
    let verbatim: Value = serde_json::from_str(page[0]["dce"].as_str().unwrap()).unwrap();
    assert_eq!((&verbatim["content"], &verbatim["type"]), (&json!("said \"so\""), &json!("Default")));

    setup.discord.hide(CHANNEL, new);
    assert_eq!(setup.page("limit=1").await, ids[2..]);
    setup.discord.appear(CHANNEL, new);
    setup.discord.appears_after(CHANNEL, new, 1);
    assert_eq!(setup.page("limit=1").await, ids[2..]);
    assert_eq!(setup.page("limit=1").await, [new]);

    setup.discord.delete_all(CHANNEL);
    assert_eq!(setup.page("limit=1").await, [0; 0]);
    let last = async || setup.ok(&format!("channels/{CHANNEL}")).await["last_message_id"].clone();
    assert_eq!(last().await, json!(new.to_string()), "Discord does not update it");
    setup.discord.set_last_message_id(CHANNEL, None);
    assert_eq!(last().await, Value::Null);
}

#[tokio::test]
async fn a_placeholder_refers_to_its_starter_and_any_object_can_be_served() {
    let setup = generated(1);
    let id = setup.discord.message_ids(CHANNEL)[0];
    setup.discord.post(CHANNEL, Post::new(id + 1).thread_starter("55", 66));
    let message = setup.ok(&format!("channels/{CHANNEL}/messages/{}", id + 1)).await;
    let reference = json!({ "type": 0, "message_id": "66", "channel_id": "55", "guild_id": GUILD });
    assert_eq!((&message["type"], &message["message_reference"]), (&json!(21), &reference));
    setup.discord.post(CHANNEL, Post::new(id + 2).api(r#"{"id":7,"content":"\ud83d"}"#));
    let text =
        setup.send(&format!("channels/{CHANNEL}/messages?limit=1")).await.unwrap().text().await.unwrap();
    assert_eq!(text, r#"[{"id":7,"content":"\ud83d"}]"#);
}

#[tokio::test]
async fn hidden_history_is_an_empty_answer_and_a_single_message_is_refused() {
    let setup = generated(10);
    let id = setup.discord.message_ids(CHANNEL)[4];
    setup.discord.hide_history(CHANNEL, true);
    assert_eq!(setup.page("limit=100&after=0").await, [0; 0]);
    assert_eq!(setup.get(&format!("channels/{CHANNEL}/messages/{id}")).await.0, 403);
    assert_ne!(setup.ok(&format!("channels/{CHANNEL}")).await["last_message_id"], Value::Null);
    setup.discord.hide_history(CHANNEL, false);
    assert_eq!(setup.page("limit=100").await.len(), 10);
}

#[tokio::test]
async fn date_follows_the_clock_of_the_fake() {
    let setup = small();
    let date = async || {
        let answer = setup.send("users/@me").await.unwrap();
        DateTime::parse_from_rfc2822(answer.headers()["date"].to_str().unwrap()).unwrap().to_utc()
    };
    let now: DateTime<Utc> = date().await;
    setup.discord.set_clock_offset(TimeDelta::minutes(-1));
    let behind = now - date().await;
    assert!((55..=60).contains(&behind.num_seconds()), "{behind}");
}

#[tokio::test]
async fn a_fault_breaks_the_chosen_request_only() {
    let setup = generated(300);
    let messages = format!("channels/{CHANNEL}/messages?limit=100&after=0");
    let on = || Fault::on(Route::messages(CHANNEL));

    setup.discord.fault(on().nth(2).html(400));
    assert_eq!(setup.send(&messages).await.unwrap().status().as_u16(), 200);
    let refused = setup.send(&messages).await.unwrap();
    assert_eq!(
        (refused.status().as_u16(), &refused.headers()["content-type"]),
        (400, &"text/html".parse().unwrap())
    );
    assert!(refused.text().await.unwrap().contains("<h1>400 Bad Request</h1>"));
    assert_eq!(setup.send(&messages).await.unwrap().status().as_u16(), 200);

    setup.discord.fault(on().rate_limited(Duration::from_millis(1_337)));
    let limited = setup.send(&messages).await.unwrap();
    let headers =
        ["retry-after", "x-ratelimit-scope"].map(|name| limited.headers()[name].to_str().unwrap().to_owned());
    assert_eq!((limited.status().as_u16(), headers), (429, ["2".to_owned(), "user".to_owned()]));
    assert_eq!(limited.json::<Value>().await.unwrap()["retry_after"], 1.337);

    setup.discord.fault(on().drops());
    assert!(setup.send(&messages).await.is_err());
    setup.discord.fault(on().drops_inside());
    let cut = setup.send(&messages).await.unwrap();
    assert_eq!(cut.status().as_u16(), 200);
    assert!(cut.bytes().await.is_err(), "the body is whole");

    setup.discord.fault(on().matching(|request| request.parameter("before").is_some()).empty_page());
    assert_eq!(setup.page("limit=100").await.len(), 100);
    assert_eq!(setup.page("limit=100&before=9000000000000000000").await, [0; 0]);
    let statuses: Vec<_> = setup.discord.requests().iter().map(|request| request.status).collect();
    assert_eq!(statuses[..5], [Some(200), Some(400), Some(200), Some(429), None]);
}

#[tokio::test]
async fn a_stalled_answer_never_comes_and_others_do() {
    let setup = generated(300);
    let messages = format!("channels/{CHANNEL}/messages?limit=100");
    for fault in
        [Fault::on(Route::messages(CHANNEL)).stalls(), Fault::on(Route::messages(CHANNEL)).stalls_inside()]
    {
        setup.discord.fault(fault);
        let whole = async { setup.send(&messages).await?.bytes().await };
        assert!(tokio::time::timeout(Duration::from_millis(300), whole).await.is_err());
        assert_eq!(setup.page("limit=1").await.len(), 1);
    }
}

#[tokio::test]
async fn faults_of_a_time_end_with_it() {
    let setup = small();
    let begin = setup.discord.elapsed();
    setup
        .discord
        .fault(Fault::anywhere().always().between(begin, begin + Duration::from_millis(500)).status(503));
    assert_eq!(setup.get("users/@me").await.0, 503);
    let start = Instant::now();
    while setup.get("users/@me").await.0 == 503 {
        assert!(start.elapsed() < BOUND);
    }
    assert!(setup.discord.elapsed() >= begin + Duration::from_millis(500));
}

#[tokio::test]
async fn a_bucket_is_limited_and_says_so_before() {
    let setup = small();
    setup.discord.limit_buckets(2, Duration::from_secs(60));
    let mut remaining = Vec::new();
    for expected in [200, 200, 429] {
        let answer = setup.send(&format!("channels/{CHANNEL}/messages")).await.unwrap();
        assert_eq!(answer.status().as_u16(), expected);
        remaining.push(answer.headers()["x-ratelimit-remaining"].to_str().unwrap().to_owned());
    }
    assert_eq!(remaining, ["1", "0", "0"]);
    assert_eq!(setup.get("users/@me").await.0, 200, "another bucket");
}

#[tokio::test]
async fn faults_at_random_end_with_a_call() {
    let setup = small();
    setup.discord.random_faults(RandomFaults::new(1).per_mille(500, Effect::Status(500)));
    let mut failed = 0;
    for _ in 0..100 {
        failed += u32::from(setup.get("users/@me").await.0 == 500);
    }
    assert!((25..75).contains(&failed), "{failed}");
    setup.discord.clear_faults();
    assert_eq!(setup.get("users/@me").await.0, 200);
}

#[tokio::test]
async fn nobody_reaches_a_discord_that_is_away() {
    let setup = small();
    setup.ok("users/@me").await;
    setup.discord.away();
    let start = Instant::now();
    loop {
        // The first ones may still find the socket that is being closed.
        if let Err(error) = setup.send("users/@me").await
            && error.is_connect()
        {
            break;
        }
        assert!(start.elapsed() < BOUND, "connections are still accepted");
    }
    setup.discord.back();
    let start = Instant::now();
    while setup.send("users/@me").await.is_err() {
        assert!(start.elapsed() < BOUND);
    }
}

#[tokio::test]
async fn everybody_is_refused_what_the_latest_attempt_was_refused() {
    let attempts =
        [Ending::Forbidden, Ending::ForbiddenMessages, Ending::Forum, Ending::NoIntent, Ending::Unknown];
    let channel = attempts
        .into_iter()
        .fold(Channel::generated(5, 1), |channel, ending| channel.attempt(Attempt::ends(ending)));
    let token = Channel::generated(5, 1).attempt(Attempt::ends(Ending::InvalidToken));
    let setup = serve(&Scenario::new().channel(CHANNEL, channel).channel("2", token));
    let out = tempfile::tempdir().unwrap();
    let export = |channel: &str| {
        setup.dir.export(channel, &out.path().join("x.json")).output().unwrap();
    };
    let messages = format!("channels/{CHANNEL}/messages");
    let mut answers = Vec::new();
    for _ in 0..=attempts.len() {
        export(CHANNEL);
        let channel = setup.get(&format!("channels/{CHANNEL}")).await;
        let page = setup.get(&messages).await;
        let flags = setup.ok("applications/@me").await["flags"].clone();
        answers.push((channel.0, channel.1["type"].clone(), page.0, flags));
    }
    let flags = json!(1 << 18);
    let expected = [
        (403, Value::Null, 403, flags.clone()),
        (200, json!(0), 403, flags.clone()),
        (200, json!(15), 400, flags.clone()),
        (200, json!(0), 200, json!(0)),
        (404, Value::Null, 404, flags.clone()),
        (200, json!(0), 200, flags),
    ];
    assert_eq!(answers, expected);
    export("2");
    assert_eq!(setup.get("users/@me").await.0, 401);
    export("2");
    assert_eq!(setup.get("users/@me").await.0, 200);
}

#[tokio::test]
async fn a_rewritten_scenario_is_served_at_once() {
    let setup = generated(5);
    assert_eq!(setup.page("limit=100").await.len(), 5);
    setup.dir.rewrite(&Scenario::new().channel(CHANNEL, Channel::generated(7, 5)));
    assert_eq!(setup.page("limit=100").await.len(), 7);
}
