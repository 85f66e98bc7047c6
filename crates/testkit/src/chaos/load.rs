//! The clients' stories: post an export, look at it, change one's mind.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::client::Client;
use crate::plan::{Ask, ExportPlan};
use crate::world::World;

/// Pause between two looks at an export.
const LOOK: Duration = Duration::from_millis(500);
/// How often a client looks at its export.
const LOOKS: usize = 20;

/// An export that was accepted.
#[derive(Debug)]
pub(crate) struct Accepted<'a> {
    pub(crate) job_id: String,
    pub(crate) ask: &'a Ask,
}

/// Plays all stories.
pub(crate) async fn play_all<'a>(
    world: &World,
    client: &Client<'_>,
    exports: &'a [ExportPlan],
) -> Vec<Accepted<'a>> {
    join_all(exports.iter().map(|export| play(world, client, export))).await.into_iter().flatten().collect()
}

async fn play<'a>(world: &World, client: &Client<'_>, export: &'a ExportPlan) -> Option<Accepted<'a>> {
    tokio::time::sleep_until((world.journal.start() + export.at).into()).await;
    let job_id = client.export(&body(export)).await?;
    world.journal.note(format_args!("accepted {job_id}: {export:?}"));
    let look = async {
        for _ in 0..LOOKS {
            if client.find(&job_id).await.is_none() {
                return;
            }
            sleep(LOOK).await;
        }
    };
    tokio::join!(look, ask(world, client, &job_id, &export.ask));
    Some(Accepted { job_id, ask: &export.ask })
}

async fn ask(world: &World, client: &Client<'_>, job_id: &str, ask: &Ask) {
    let (after, then) = match ask {
        Ask::Nothing => return,
        Ask::Cancel { after } => (after, None),
        Ask::CancelAndRetry { after, then } => (after, Some(then)),
    };
    sleep(*after).await;
    let is_accepted = client.control(job_id, "cancel").await;
    world.journal.note(format_args!("cancel of {job_id}: {is_accepted}"));
    if let Some(then) = then {
        sleep(*then).await;
        let is_accepted = client.control(job_id, "retry").await;
        world.journal.note(format_args!("retry of {job_id}: {is_accepted}"));
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
