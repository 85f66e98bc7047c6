//! Connections that end, or that go silent.

use std::fs;

use dce_standin::scenario::{Channel, DceVersion, Scenario};
use dce_testkit::discord::{Fault, Route};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::call::{CHANNEL, Call, wait_until};

fn page(number: u64) -> Fault {
    let pages =
        Fault::on(Route::messages(CHANNEL)).matching(|request| request.parameter("limit") == Some("100"));
    pages.nth(number)
}

#[test]
fn a_connection_dropped_inside_an_answer_is_fatal_at_once() {
    for version in [DceVersion::V2_47, DceVersion::V2_48] {
        let call = Call::new(Scenario::new().version(version).channel(CHANNEL, Channel::generated(450, 1)));
        call.discord.fault(page(3).drops_inside());
        let ended = call.run(&[]);
        assert_eq!(ended.exit, "1");
        assert!(ended.stderr.contains("The response ended prematurely. (ResponseEnded)"));
        assert_eq!(call.ids(), call.listed()[..200]);
    }
}

#[test]
fn a_request_without_an_answer_is_sent_again_three_times() {
    let call = Call::to(Channel::generated(150, 1));
    call.discord.fault(page(1).drops().times(3));
    assert_eq!(call.run(&[]).exit, "0");
    assert_eq!(call.ids().len(), 150);

    call.discord.fault(page(1).drops().times(4));
    let ended = call.run(&[]);
    assert_eq!(ended.exit, "1");
    assert!(ended.stderr.contains("(ResponseEnded)"));
    assert!(call.ids().is_empty());
}

#[test]
fn a_connection_dropped_at_the_question_is_no_success() {
    let call = Call::to(Channel::generated(150, 1));
    let question =
        Fault::on(Route::messages(CHANNEL)).matching(|request| request.parameter("limit") == Some("1"));
    call.discord.fault(question.drops_inside());
    let ended = call.run(&[]);
    assert_eq!(ended.exit, "1");
    assert!(ended.stderr.contains("(ResponseEnded)"));
}

#[test]
fn a_discord_that_is_away_is_unreachable_after_all_retries() {
    let call = Call::to(Channel::generated(150, 1));
    call.discord.away();
    let ended = call.run(&[]);
    assert_eq!(ended.exit, "1");
    assert!(ended.stderr.contains("Connection refused"), "{}", ended.stderr);
    assert!(!call.part().exists());
    call.discord.back();
    assert_eq!(call.run(&[]).exit, "0");
}

#[test]
fn a_stalled_answer_is_waited_for_until_a_signal_comes() {
    for fault in [page(2).stalls(), page(2).stalls_inside()] {
        let call = Call::to(Channel::generated(150, 1));
        call.discord.fault(fault);
        let child = call.export(&[]).spawn().unwrap();
        wait_until("the first page", || {
            fs::read_to_string(call.part())
                .is_ok_and(|text| text.matches("\"callEndedTimestamp\"").count() == 100)
        });
        kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGINT).unwrap();
        let ended = call.finish(child);
        assert_eq!(ended.exit, "1");
        assert!(ended.stderr.contains("TaskCanceledException"), "{}", ended.stderr);
        assert_eq!(call.ids().len(), 100);
    }
}

#[test]
fn a_connection_dropped_at_a_reaction_cuts_the_message() {
    let call = Call::to(Channel::generated(150, 1));
    let reactions = |request: &dce_testkit::discord::Request| matches!(request.route, Route::Reaction { .. });
    call.discord.fault(Fault::anywhere().matching(reactions).nth(3).drops_inside());
    let ended = call.run(&[]);
    assert_eq!(ended.exit, "1");
    assert!(ended.stderr.contains("Failed to export message #"), "{}", ended.stderr);
    assert!(ended.stderr.contains("(ResponseEnded)"), "{}", ended.stderr);
    let document = fs::read_to_string(call.part()).unwrap();
    assert!(document.ends_with("\n    }"), "the postamble closed the message only");
    assert!(serde_json::from_str::<serde_json::Value>(&document).is_err());
}
