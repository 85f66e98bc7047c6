//! The clients: post an export, poll it, cancel or retry it.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::client::Client;
use crate::plan::{ExportPlan, FollowUp};
use crate::system::SystemUnderTest;

/// Pause between two polls of an export.
const POLL: Duration = Duration::from_millis(500);
/// How often a client polls its export.
const POLLS: usize = 20;

#[derive(Debug)]
pub(crate) struct Accepted<'a> {
    pub(crate) job_id: String,
    pub(crate) follow_up: &'a FollowUp,
}

/// Runs all clients.
pub(crate) async fn run_all<'a>(
    system: &SystemUnderTest,
    client: &Client<'_>,
    exports: &'a [ExportPlan],
) -> Vec<Accepted<'a>> {
    join_all(exports.iter().map(|export| run_client(system, client, export)))
        .await
        .into_iter()
        .flatten()
        .collect()
}

async fn run_client<'a>(
    system: &SystemUnderTest,
    client: &Client<'_>,
    export: &'a ExportPlan,
) -> Option<Accepted<'a>> {
    tokio::time::sleep_until((system.log.start() + export.at).into()).await;
    let job_id = client.export(&body(export)).await?;
    system.log.note(format_args!("accepted {job_id}: {export:?}"));
    let poll = async {
        for _ in 0..POLLS {
            if client.find(&job_id).await.is_none() {
                return;
            }
            sleep(POLL).await;
        }
    };
    tokio::join!(poll, follow_up(system, client, &job_id, &export.follow_up));
    Some(Accepted { job_id, follow_up: &export.follow_up })
}

async fn follow_up(system: &SystemUnderTest, client: &Client<'_>, job_id: &str, follow_up: &FollowUp) {
    let (after, then) = match follow_up {
        FollowUp::Nothing => return,
        FollowUp::Cancel { after } => (after, None),
        FollowUp::CancelAndRetry { after, then } => (after, Some(then)),
    };
    sleep(*after).await;
    let is_accepted = client.control(job_id, "cancel").await;
    system.log.note(format_args!("cancel of {job_id}: {is_accepted}"));
    if let Some(then) = then {
        sleep(*then).await;
        let is_accepted = client.control(job_id, "retry").await;
        system.log.note(format_args!("retry of {job_id}: {is_accepted}"));
    }
}

fn body(export: &ExportPlan) -> Value {
    let mut body = json!({ "channel_ids": export.channels });
    if let Some(start_at) = export.start_at {
        body["start_at"] = json!(start_at);
    }
    if let Some(end_at) = export.end_at {
        body["end_at"] = json!(end_at);
    }
    body
}
