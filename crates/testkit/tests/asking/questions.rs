//! Refused questions, in both versions.

use std::time::Duration;

use dce_standin::scenario::{Attempt, Channel, DceVersion, Ending, Scenario};
use dce_testkit::discord::{Fault, Route};

use crate::call::{CHANNEL, Call};

fn question() -> Fault {
    Fault::on(Route::messages(CHANNEL)).matching(|request| request.parameter("limit") == Some("1"))
}

fn call(version: DceVersion) -> Call {
    Call::new(Scenario::new().version(version).channel(CHANNEL, Channel::generated(150, 1)))
}

#[test]
fn a_refused_question_is_an_error_of_2_47_with_its_reason() {
    for (status, reason) in [
        (400, "/messages?limit=1' failed: bad request."),
        (401, "Authentication token is invalid."),
        (403, "/messages?limit=1' failed: forbidden."),
        (404, "/messages?limit=1' failed: not found."),
        (500, "/messages?limit=1' failed: internal server error."),
    ] {
        let call = call(DceVersion::V2_47);
        call.discord.fault(question().status(status).always());
        let ended = call.run(&[]);
        assert_eq!(ended.exit, "1");
        assert!(ended.stderr.contains(reason), "{status}: {}", ended.stderr);
        assert!(call.ids().is_empty());
    }
}

#[test]
fn a_refused_question_is_a_success_of_2_48_even_where_a_resume_asks_it() {
    for status in [400, 401, 403, 404, 500] {
        let call = call(DceVersion::V2_48);
        let cursor = call.listed()[99].to_string();
        call.discord.fault(question().status(status).always());
        let ended = call.run(&["--after", &cursor, "--before", "2030-01-01T00:00:00Z"]);
        assert_eq!((ended.exit.as_str(), ended.stderr.as_str()), ("0", ""), "{status}");
        assert!(call.ids().is_empty());
    }
}

#[test]
fn refusals_that_pass_are_survived_in_silence() {
    for version in [DceVersion::V2_47, DceVersion::V2_48] {
        let call = call(version);
        call.discord.fault(question().status(503).times(3));
        call.discord.fault(Fault::on(Route::CurrentUser).status(500));
        let page =
            Fault::on(Route::messages(CHANNEL)).matching(|request| request.parameter("limit") == Some("100"));
        call.discord.fault(page.rate_limited(Duration::from_secs(1)).times(8));
        let ended = call.run(&[]);
        assert_eq!((ended.exit.as_str(), ended.stderr.as_str()), ("0", ""));
        assert_eq!(call.ids(), call.listed());
    }
}

#[test]
fn a_page_that_is_refused_is_an_error_of_both_versions() {
    for version in [DceVersion::V2_47, DceVersion::V2_48] {
        let call = call(version);
        let second = Fault::on(Route::messages(CHANNEL)).nth(3);
        call.discord.fault(second.status(403));
        let ended = call.run(&[]);
        assert_eq!(ended.exit, "1");
        let last = call.listed()[99];
        let text = format!("channels/{CHANNEL}/messages?limit=100&after={last}' failed: forbidden.\n");
        assert!(ended.stderr.contains(&text), "{}", ended.stderr);
        assert!(ended.stderr.contains("Failed to export the following channel(s):"));
        assert_eq!(call.ids().len(), 100);
    }
}

#[test]
fn a_bot_that_is_refused_once_by_the_edge_is_taken_for_a_user() {
    let call = call(DceVersion::V2_48);
    call.discord.fault(Fault::on(Route::CurrentUser).html(400));
    let ended = call.run(&[]);
    assert_eq!(ended.exit, "1");
    assert!(ended.stderr.contains("Authentication token is invalid."), "{}", ended.stderr);
    assert!(!call.part().exists());
    assert_eq!(call.run(&[]).exit, "0");
}

#[test]
fn a_server_that_is_refused_leaves_no_file() {
    for (status, text) in [
        (403, "Failed to export the following channel(s):\nGenerated / generated-"),
        (400, "ERROR\nDiscordChatExporter.Core.Exceptions.DiscordChatExporterException: Request to 'guilds/"),
    ] {
        let call = call(DceVersion::V2_48);
        call.discord.fault(Fault::on(Route::Guild("900000000000000001".into())).status(status));
        let ended = call.run(&[]);
        assert_eq!(ended.exit, "1");
        assert!(ended.stderr.starts_with(text), "{}", ended.stderr);
        assert!(!call.part().exists());
    }
}

#[test]
fn a_scripted_ending_comes_after_its_messages() {
    let channel = Channel::generated(300, 1).attempt(Attempt::ends_after(120, Ending::Dropped));
    let call = Call::to(channel);
    let ended = call.run(&[]);
    assert_eq!(ended.exit, "1");
    assert!(ended.stderr.contains("(ResponseEnded)"));
    assert_eq!(call.ids(), call.listed()[..120]);
    assert_eq!(call.run(&[]).exit, "0");
    assert_eq!(call.ids().len(), 300);
}
