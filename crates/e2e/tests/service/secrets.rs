//! The Discord token is in DCE's environment and nowhere else.

use std::fs;

use dce_standin::scenario::{Attempt, Channel, Ending, Scenario, recording};
use dce_testkit::process::eventually;
use dce_testkit::service::{Service, TOKEN};
use serde_json::json;
use sqlx::Row;
use std::time::Duration;

#[tokio::test]
async fn no_log_row_error_or_command_line_contains_the_token() {
    let scenario = Scenario::new()
        .token(TOKEN)
        .channel("1", Channel::generated(200, 1))
        .channel("2", Channel::case(recording("bad-token")))
        .channel("3", Channel::generated(200, 2).attempt(Attempt::ends_after(100, Ending::Hang)));
    let mut service = Service::api_only(&scenario, &[("RUST_LOG", "debug,h2=info")]).await;
    service.add_worker(&[("STALL_TIMEOUT", "6s")]).await;
    let mut jobs = Vec::new();
    for channel in ["1", "3"] {
        jobs.push(service.export(&json!({ "channel_id": channel })).await);
    }
    // While DCE hangs: no command line has the token, only DCE's environment.
    let pid = eventually(Duration::from_secs(60), "DCE runs", async || {
        service.scenario.attempts_at("3").first().map(|call| call.pid)
    })
    .await;
    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap();
    assert!(contains(&environment, TOKEN), "the stand-in had the token");
    for process in fs::read_dir("/proc").unwrap().flatten() {
        let line = fs::read(process.path().join("cmdline")).unwrap_or_default();
        assert!(!contains(&line, TOKEN), "{}", process.path().display());
    }

    // Once the token is refused, no run starts.
    let done =
        [service.ended(&jobs[0]).await, service.ended(&jobs[1]).await, service.export_channel("2").await];
    let statuses = done.map(|export| {
        assert!(!export.to_string().contains(TOKEN));
        export["status"].as_str().unwrap().to_owned()
    });
    assert_eq!(statuses, ["completed", "completed", "failed"]);
    for line in service.log() {
        assert!(!line.contains(TOKEN), "{line}");
    }
    let tables = sqlx::query(
        "SELECT format('%I.%I', table_schema, table_name) FROM information_schema.tables
          WHERE table_schema IN ('public', 'apalis') AND table_type = 'BASE TABLE'",
    )
    .fetch_all(&service.pool())
    .await
    .unwrap();
    assert!(tables.len() > 6);
    for table in tables {
        let table: String = table.get(0);
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!(
            "SELECT count(*) FROM {table} t WHERE t::text LIKE '%' || $1 || '%'"
        )))
        .bind(TOKEN)
        .fetch_one(&service.pool())
        .await
        .unwrap();
        assert_eq!(rows.get::<i64, _>(0), 0, "{table}");
    }
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}
