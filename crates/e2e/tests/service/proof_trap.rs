//! The trap: DCE 2.48 takes a refused question for an empty channel. A run whose resume meets it must not end there.

use std::time::Duration;

use dce_standin::scenario::{DceVersion, Scenario};
use dce_testkit::discord::{Auth, Fault, Request, Route};
use dce_testkit::service::Service;
use serde_json::Value;

use crate::proof_service::{
    archived, asking, assert_archived, assert_failed, assert_proven, export_all, hasty, is_page, is_proof,
    is_question, let_minutes_pass, on, start,
};

const MESSAGES: u64 = 2_000;
/// Messages of the attempt that lost its connection.
const READ: usize = 400;

/// How many refusals make DCE give up.
fn refusals(status: u16) -> u64 {
    if matches!(status, 429 | 500) { 9 } else { 1 }
}

fn refuse(fault: Fault, status: u16) -> Fault {
    match status {
        400 => fault.html(400),
        // Longer than our own client waits.
        429 => fault.rate_limited(Duration::from_secs(90)),
        status => fault.status(status),
    }
}

/// The channel's connection is dropped once, inside the fifth page.
fn drop_once(service: &Service, channel: &str) {
    service.discord.fault(on(channel, is_page).nth(5).drops_inside());
}

fn channel_of(status: u16) -> String {
    format!("9000{status}")
}

fn scenario(version: DceVersion, statuses: &[u16]) -> Scenario {
    let asking = || asking(MESSAGES);
    statuses.iter().fold(hasty(version), |scenario, status| scenario.channel(channel_of(*status), asking()))
}

#[tokio::test]
async fn a_resume_whose_question_is_refused_once_reads_the_rest() {
    let statuses = [400, 401, 403, 404, 429, 500];
    for version in [DceVersion::V2_48, DceVersion::V2_47] {
        let service = start(&scenario(version, &statuses), "5", |service| {
            for status in statuses {
                let channel = channel_of(status);
                drop_once(service, &channel);
                let question = on(&channel, is_question).nth(2).times(refusals(status));
                // Its own wait, cut to milliseconds.
                let question = if status == 429 {
                    question.rate_limited(Duration::from_secs(1))
                } else {
                    refuse(question, status)
                };
                service.discord.fault(question);
            }
        })
        .await;
        let channels = statuses.map(channel_of);
        let job_id = service.export(&serde_json::json!({ "channel_ids": channels })).await;
        let export = service.ended(&job_id).await;
        assert_proven(&export);
        for channel in &channels {
            assert_archived(&service, channel).await;
            assert!(service.scenario.attempts_at(channel).len() >= 3, "{channel} met the refusal");
        }
        assert_eq!(export["inserted_count"], MESSAGES * 6);
    }
}

/// Runs the story with a Discord that does not recover: every question after the drop is refused.
async fn never_recovers(version: DceVersion, status: u16, max_attempts: &str) -> (Service, Value) {
    let channel = channel_of(status);
    let service = start(&scenario(version, &[status]), max_attempts, |service| {
        drop_once(service, &channel);
        service.discord.fault(refuse(on(&channel, is_question).nth(2), status).always());
        service.discord.fault(refuse(on(&channel, is_proof), status).always());
    })
    .await;
    let export = export_all(&service, &channel).await;
    (service, export)
}

#[tokio::test]
async fn a_resume_that_is_refused_for_good_fails_with_one_code_whoever_met_it() {
    for (status, code) in [
        (400, "discord_unavailable"),
        (401, "invalid_token"),
        (403, "missing_access"),
        (404, "unknown_channel"),
    ] {
        for version in [DceVersion::V2_48, DceVersion::V2_47] {
            let (service, export) = never_recovers(version, status, "1").await;
            assert_failed(&export, code);
            assert_eq!(archived(&service, &channel_of(status)).await.len(), READ, "{status}");
        }
    }
}

/// Waits until the second attempt has read nothing and waits for its proof.
async fn unproven(service: &Service, job_id: &str) -> Value {
    let is_waiting = |export: &Value| {
        let run = &export["runs"][0];
        run["status"] == "pending" && run["attempt"] == 2
    };
    service.when(job_id, "the run waits for its proof", is_waiting).await
}

#[tokio::test]
async fn a_discord_that_is_away_for_good_is_asked_for_a_quarter_of_an_hour() {
    let story = async |status: u16, code: &str| {
        let channel = channel_of(status);
        let service = start(&scenario(DceVersion::V2_48, &[status]), "1", |service| {
            drop_once(service, &channel);
            service.discord.fault(refuse(on(&channel, is_question).nth(2), status).always());
            service.discord.fault(refuse(on(&channel, is_proof), status).always());
        })
        .await;
        let job_id = service.export(&serde_json::json!({ "channel_id": channel })).await;
        let waiting = unproven(&service, &job_id).await;
        let run = &waiting["runs"][0];
        assert_eq!((&run["error"]["code"], &run["failures"]), (&code.into(), &0.into()), "{run}");
        let started = service.scenario.attempts_at(&channel).len();

        let_minutes_pass(&service, &channel, 16).await;
        let export = service.ended(&job_id).await;
        assert_failed(&export, code);
        assert_eq!(archived(&service, &channel).await.len(), READ);
        assert_eq!(service.scenario.attempts_at(&channel).len(), started, "DCE is not started to ask");
    };
    tokio::join!(story(429, "rate_limited"), story(500, "discord_unavailable"));
}

#[tokio::test]
async fn a_bot_that_the_edge_refuses_once_keeps_its_token() {
    let service = start(&hasty(DceVersion::V2_48).channel("7", asking(300)), "5", |_| ()).await;
    // The worker knows its token by now, so this is DCE's own question.
    let is_bare = |request: &Request| request.auth == Auth::User;
    service.discord.fault(Fault::on(Route::CurrentUser).matching(is_bare).html(400));
    let export = export_all(&service, "7").await;
    assert_proven(&export);
    assert_archived(&service, "7").await;
    assert_eq!(service.scenario.attempts_at("7").len(), 2);
    assert!(!service.log().iter().any(|line| line.contains("token.rejected")));
}
