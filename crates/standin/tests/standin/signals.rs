//! SIGINT, once, twice and ignored, and SIGTERM.

use std::fs;
use std::io::Read as _;
use std::process::{Child, Command, Stdio};

use dce_standin::scenario::{Attempt, Channel, DceVersion, Ending, recording};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::call::{Call, count, ids};

fn send(signal: Signal, child: &Child) {
    kill(Pid::from_raw(child.id().cast_signed()), signal).unwrap();
}

fn cancelled() -> String {
    fs::read_to_string(DceVersion::default().recording("sigint-between").join("stderr")).unwrap()
}

#[test]
fn sigint_stops_between_messages_and_closes_the_document() {
    for rate in [200, 1] {
        let call = Call::to(Channel::generated(1_000_000, 2).rate(rate));
        let child = call.export(&[]).spawn().unwrap();
        call.wait_for_messages(1);
        send(Signal::SIGINT, &child);
        let ended = call.finish(child);
        assert_eq!((ended.exit.as_str(), ended.stderr), ("1", cancelled()));
        let text = call.read("part.json");
        assert_eq!(count(&text), ids(&text).len());
    }
}

#[test]
fn sigint_stops_at_full_speed_too() {
    let call = Call::to(Channel::generated(u64::from(u32::MAX), 2));
    let child = call.export(&["-p", "200"]).spawn().unwrap();
    crate::call::wait_until("part 3", || call.path("part [part 3].json").exists());
    send(Signal::SIGINT, &child);
    assert_eq!(call.finish(child).exit, "1");
    for entry in fs::read_dir(call.out.path()).unwrap() {
        count(&fs::read_to_string(entry.unwrap().path()).unwrap());
    }
}

#[test]
fn sigint_ends_a_hanging_process_with_its_messages_so_far() {
    let hangs = Attempt::ends_after(5, Ending::Hang);
    for (channel, messages) in
        [(Channel::generated(50, 2).attempt(hangs), 5), (Channel::case(recording("stalls")), 200)]
    {
        let call = Call::to(channel);
        let child = call.export(&[]).spawn().unwrap();
        call.wait_for_messages(messages);
        send(Signal::SIGINT, &child);
        let ended = call.finish(child);
        assert_eq!((ended.exit.as_str(), ended.stderr), ("1", cancelled()));
        assert_eq!(count(&call.read("part.json")), messages);
    }
}

#[test]
fn sigterm_kills_without_a_postamble() {
    let call = Call::to(Channel::generated(50, 2).attempt(Attempt::ends_after(5, Ending::Hang)));
    let child = call.export(&[]).spawn().unwrap();
    call.wait_for_messages(5);
    send(Signal::SIGTERM, &child);
    assert_eq!(call.finish(child).exit, "signal 15");
    assert!(call.read("part.json").ends_with("\n    }"));
}

#[test]
fn a_second_sigint_kills_during_an_orderly_stop() {
    // The second one must arrive within a tenth of a second; on a busy machine not every attempt succeeds.
    for _ in 0..20 {
        let call = Call::to(Channel::generated(50, 2).attempt(Attempt::ends_after(5, Ending::Hang)));
        let mut child = call.export(&[]).spawn().unwrap();
        call.wait_for_messages(5);
        send(Signal::SIGINT, &child);
        let mut first = [0; 5];
        child.stderr.as_mut().unwrap().read_exact(&mut first).unwrap();
        send(Signal::SIGINT, &child);
        let ended = call.finish(child);
        if ended.exit == "signal 2" {
            assert_eq!(count(&call.read("part.json")), 5);
            let recorded = fs::read_to_string(recording("sigint-twice").join("stderr")).unwrap();
            assert_eq!(format!("ERROR{}", ended.stderr), recorded);
            return;
        }
        assert_eq!(ended.exit, "1");
    }
    panic!("a second SIGINT never killed it");
}

#[test]
fn sigint_inherited_as_ignored_stays_ignored() {
    let call = Call::to(Channel::generated(40, 2).rate(40));
    let mut shell = Command::new("sh");
    let export = call.export(&[]);
    shell
        .args(["-c", "trap '' INT; exec \"$0\" \"$@\""])
        .arg(export.get_program())
        .args(export.get_args())
        .env_clear()
        .envs(export.get_envs().filter_map(|(name, value)| Some((name, value?))))
        .current_dir(call.out.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let child = shell.spawn().unwrap();
    call.wait_for_messages(1);
    send(Signal::SIGINT, &child);
    let ended = call.finish(child);
    assert_eq!((ended.exit.as_str(), ended.stderr.as_str()), ("0", ""));
    assert_eq!(count(&call.read("part.json")), 40);
}
