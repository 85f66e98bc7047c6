//! The recorded stderr of the real DCE, case by case, and the failure that is reported.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use dce_core::export::failure::{Failure, FailureKind};
use dce_worker::dce::{Exit, Stderr, classify};

const DCE_2_47: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../standin/recordings");
const DCE_2_48: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../standin/recordings-2.48");
/// Replaces the output folder in the recorded texts.
const OUT: &str = "OUT/";
/// The real output folder: a path with a space, which must not be shown.
const REAL_OUT: &str = "/srv/my work/attempt-7/";

/// Returns a recorded exit of DCE.
fn recorded(recordings: &str, case: &str) -> Exit {
    let folder: PathBuf = Path::new(recordings).join(case);
    let stderr = std::fs::read_to_string(folder.join("stderr")).unwrap();
    let about: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(folder.join("case.json")).unwrap()).unwrap();
    let exit = &about["exit"];
    let signal = exit.as_str().map(|text| text.strip_prefix("signal ").unwrap().parse().unwrap());
    Exit {
        code: exit.as_i64().map(|code| i32::try_from(code).unwrap()),
        signal,
        stderr: Stderr::from(stderr.replace(OUT, REAL_OUT).as_str()),
    }
}

/// Returns an exit of DCE with this stderr.
fn ended(code: i32, stderr: &str) -> Exit {
    Exit { code: Some(code), signal: None, stderr: Stderr::from(stderr) }
}

fn failure(exit: &Exit) -> (FailureKind, Option<Duration>, String) {
    let Failure { kind, detail, retry_after } = classify(exit).unwrap();
    (kind, retry_after, detail.unwrap_or_default())
}

#[test]
fn every_recorded_failure_of_2_47_has_its_kind_and_dces_text() {
    use FailureKind::*;
    for (case, kind, detail) in [
        ("forbidden", MissingAccess, "Request to 'channels/900000000000001004' failed: forbidden."),
        (
            "forbidden-messages",
            MissingAccess,
            "Request to 'channels/900000000000001014/messages?limit=1' failed: forbidden.",
        ),
        ("unknown", UnknownChannel, "Request to 'channels/900000000000001005' failed: not found."),
        ("bad-token", InvalidToken, "Authentication token is invalid."),
        ("no-token", InvalidToken, "Missing required option(s): -t|--token"),
        (
            "no-intent",
            MissingMessageContentIntent,
            "Provided bot account is missing the MESSAGE_CONTENT privileged intent.",
        ),
        (
            "forum",
            ForumNeedsThreads,
            "is a forum and cannot be exported directly. You need to pull its threads and export them individually.",
        ),
        (
            "category-one-file",
            NotATextChannel,
            "Attempted to export multiple channels, but the output path is neither a directory nor a template.",
        ),
        (
            "cloudflare-400",
            DiscordUnavailable,
            "Request to 'channels/900000000000001018/messages?limit=100&after=1258046000988160199' failed: bad request.",
        ),
        (
            "bad500",
            DiscordUnavailable,
            "Request to 'channels/900000000000001010/messages?limit=100&after=1258046000988160199' failed: internal server error.",
        ),
        ("discord-down", DiscordUnavailable, "Connection refused (127.0.0.1:9)"),
        ("dies", DiscordUnavailable, "The response ended prematurely. (ResponseEnded)"),
        ("disk-full", DiskFull, "No space left on device : 'part.json'"),
        (
            "lone-surrogate",
            DceCannotReadMessage,
            "Cannot read incomplete UTF-16 JSON text as string with missing low surrogate.",
        ),
        (
            "filter-bad",
            InvalidFilter,
            "Syntax error (line 1, column 6): unexpected `(`, expected text string.",
        ),
        ("filter-option-injection", InvalidFilter, "Value cannot be null. (Parameter 'input')"),
        ("bad-option", InvalidArguments, "Unrecognized option(s): --no-such"),
        ("bad-channel", InvalidArguments, "Invalid snowflake 'abc'."),
        ("after-nonsense", InvalidArguments, "Invalid snowflake 'yesterday'."),
        (
            "two-one-fails",
            MissingAccess,
            "Request to 'channels/900000000000001014/messages?limit=1' failed: forbidden.",
        ),
        ("sigint-between", DceCrashed, "System.Threading.Tasks.TaskCanceledException: A task was canceled."),
        ("sigint-twice", DceCrashed, "ended by SIGINT"),
        ("stalls", DceCrashed, "ended by SIGKILL"),
        ("fifo", DceCrashed, "System.NotSupportedException: Stream does not support seeking."),
        ("unwritable", WorkerError, "Could not find file 'nope'."),
    ] {
        assert_eq!(failure(&recorded(DCE_2_47, case)), (kind, None, detail.to_owned()), "{case}");
    }
}

/// Every recording of 2.48. Where DCE calls a refused request a success, nothing in its output shows it: the proof from
/// Discord does.
#[test]
fn every_recording_of_2_48_is_a_success_or_has_its_kind_and_dces_text() {
    use FailureKind::*;
    let expected = [
        ("after-last-id", None),
        ("after-nonsense", Some((InvalidArguments, "Invalid snowflake 'yesterday'."))),
        ("bad-channel", Some((InvalidArguments, "Invalid snowflake 'abc'."))),
        ("bad-option", Some((InvalidArguments, "Unrecognized option(s): --no-such"))),
        ("bad-token", Some((InvalidToken, "Authentication token is invalid."))),
        (
            "bad500",
            Some((
                DiscordUnavailable,
                "Request to 'channels/900000000000001010/messages?limit=100&after=1258046000988160199' failed: internal server error.",
            )),
        ),
        ("before-same-ms", None),
        (
            "cloudflare-400",
            Some((
                DiscordUnavailable,
                "Request to 'channels/900000000000001018/messages?limit=100&after=1258046000988160199' failed: bad request.",
            )),
        ),
        ("dies", Some((DiscordUnavailable, "The response ended prematurely. (ResponseEnded)"))),
        ("empty", None),
        (
            "filter-bad",
            Some((InvalidFilter, "Syntax error (line 1, column 6): unexpected `(`, expected text string.")),
        ),
        ("filter-option-injection", Some((InvalidFilter, "Value cannot be null. (Parameter 'input')"))),
        ("forbidden", Some((MissingAccess, "Request to 'channels/900000000000001004' failed: forbidden."))),
        ("forbidden-messages", None),
        (
            "forum",
            Some((
                ForumNeedsThreads,
                "is a forum and cannot be exported directly. You need to pull its threads and export them individually.",
            )),
        ),
        ("help-export", None),
        (
            "limited",
            Some((
                RateLimited,
                "Request to 'channels/900000000000001017/messages?limit=100&after=1258046000988160199' failed: too many requests.",
            )),
        ),
        (
            "lone-surrogate",
            Some((
                DceCannotReadMessage,
                "Cannot read incomplete UTF-16 JSON text as string with missing low surrogate.",
            )),
        ),
        (
            "no-intent",
            Some((
                MissingMessageContentIntent,
                "Provided bot account is missing the MESSAGE_CONTENT privileged intent.",
            )),
        ),
        ("no-token", Some((InvalidToken, "Missing required option(s): -t|--token"))),
        ("probe-400", None),
        ("probe-400-before", None),
        ("probe-401", None),
        ("probe-401-before", None),
        ("probe-404", None),
        ("probe-404-before", None),
        ("probe-429", None),
        ("probe-500", None),
        (
            "sigint-between",
            Some((DceCrashed, "System.Threading.Tasks.TaskCanceledException: A task was canceled.")),
        ),
        (
            "sigint-partitioned",
            Some((DceCrashed, "System.Threading.Tasks.TaskCanceledException: A task was canceled.")),
        ),
        (
            "sigint-while-writing",
            Some((DceCrashed, "System.Threading.Tasks.TaskCanceledException: A task was canceled.")),
        ),
        ("sigkill", Some((DceCrashed, "ended by SIGKILL"))),
        ("sigterm", Some((DceCrashed, "ended by SIGTERM"))),
        ("small", None),
        ("starter-after", None),
        ("starter-gone", None),
        ("starter-kept", None),
        ("thread", None),
        ("unknown", Some((UnknownChannel, "Request to 'channels/900000000000001005' failed: not found."))),
        ("version", None),
        ("window-empty", None),
    ];
    let mut cases: Vec<String> = std::fs::read_dir(DCE_2_48)
        .unwrap()
        .map(|folder| folder.unwrap().file_name().into_string().unwrap())
        .filter(|name| Path::new(DCE_2_48).join(name).is_dir())
        .collect();
    cases.sort_unstable();
    assert_eq!(cases, expected.map(|(case, _)| case), "every recording is expected");
    for (case, expected) in expected {
        let found =
            classify(&recorded(DCE_2_48, case)).map(|found| (found.kind, found.detail.unwrap_or_default()));
        assert_eq!(found, expected.map(|(kind, detail)| (kind, detail.to_owned())), "{case}");
    }
}

/// DCE 2.48 prints a refused value as the exception that the same value in Discord's answers would cause.
#[test]
fn an_exception_is_about_an_option_only_if_its_stack_says_so() {
    use FailureKind::*;
    let printed = |exception: &str, frames: &str| {
        let text =
            format!("ERROR\n{exception}\n{frames}  at CliFx.CommandLineApplication.RunAsync(X y) \n\n");
        failure(&ended(1, &text)).0
    };
    let option = "  at CliFx.Activation.InputConverter`1.Convert(IReadOnlyList`1 rawValues) \n";
    let parse = "  at DiscordChatExporter.Core.Discord.Snowflake.Parse(String value) in X.cs:42\n";
    let filter =
        "  at DiscordChatExporter.Core.Exporting.Filtering.MessageFilter.Parse(String value) in X.cs:16\n";
    let message = "  at DiscordChatExporter.Core.Discord.Data.Message.Parse(JsonElement json) in X.cs:135\n";
    let snowflake = "System.FormatException: Invalid snowflake 'at CliFx.Activation.X'.";
    let null = "System.ArgumentNullException: Value cannot be null. (Parameter 'input')";
    for (exception, frames, kind) in [
        (snowflake, [parse, option].concat(), InvalidArguments),
        (
            "System.ArgumentException: Requested value 'Pdf' was not found.",
            option.to_owned(),
            InvalidArguments,
        ),
        (snowflake, [parse, message].concat(), DceCrashed),
        (null, [filter, option].concat(), InvalidFilter),
        (null, message.to_owned(), DceCrashed),
        (
            "Superpower.ParseException: Syntax error (line 1, column 6): unexpected `(`.",
            String::new(),
            InvalidFilter,
        ),
    ] {
        assert_eq!(printed(exception, &frames), kind, "{exception} {frames}");
    }
}

#[test]
fn discords_retry_after_is_kept() {
    for recordings in [DCE_2_47, DCE_2_48] {
        let (kind, retry_after, detail) = failure(&recorded(recordings, "limited"));
        assert_eq!((kind, retry_after), (FailureKind::RateLimited, Some(Duration::from_millis(1337))));
        assert!(detail.ends_with("' failed: too many requests."), "{detail}");
    }

    let limited = |body: &str| {
        let text = format!(
            "ERROR\nDiscordChatExporter.Core.Exceptions.DiscordChatExporterException: \
             Request to 'channels/1' failed: too many requests.\nResponse content: {body}\n  at X.Y() in z.cs:1\n"
        );
        let (kind, retry_after, _) = failure(&ended(1, &text));
        assert_eq!(kind, FailureKind::RateLimited, "{body}");
        retry_after
    };
    assert_eq!(limited(r#"{"retry_after": 3}"#), Some(Duration::from_secs(3)));
    assert_eq!(limited(r#"{"retry_after": 1e300}"#), None);
    assert_eq!(limited(r#"{"retry_after": 9e6}"#), Some(Duration::from_hours(24)));
    for body in
        ["", "<html>", "error code: 1015", r#"{"retry_after": -1}"#, r#"{"retry_after": "soon"}"#, "{"]
    {
        assert_eq!(limited(body), None, "{body}");
    }
}

#[test]
fn success_has_no_failure_even_if_the_channel_is_empty() {
    for case in ["small", "window-empty", "filter-nothing", "empty", "after-last-id"] {
        assert_eq!(classify(&recorded(DCE_2_47, case)), None, "{case}");
    }
    for case in ["window-empty", "empty", "after-last-id"] {
        assert_eq!(classify(&recorded(DCE_2_48, case)), None, "{case}");
    }
}

#[test]
fn a_failure_within_a_message_is_classified_by_its_cause() {
    let text = "ERROR\nDiscordChatExporter.Core.Exceptions.DiscordChatExporterException: Failed to export message \
        #1 in channel 'a' (#2) of guild 'b (#3)'.\n    DiscordChatExporter.Core.Exceptions.\
        DiscordChatExporterException: Request to 'channels/2/messages/1/reactions/x?limit=100&after=0' failed: bad \
        gateway.\nResponse content: <html>\n      at X.Y()\n  at X.Z()\n";
    let (kind, _, detail) = failure(&ended(1, text));
    assert_eq!(kind, FailureKind::DiscordUnavailable);
    assert!(detail.ends_with("failed: bad gateway."), "{detail}");
}

#[test]
fn status_and_body_distinguish_discord_from_its_edge() {
    use FailureKind::*;
    for (status, body, kind) in [
        ("520", "", DiscordUnavailable),
        ("gateway timeout", "", DiscordUnavailable),
        ("request timeout", "", DiscordUnavailable),
        ("bad request", "<html>cloudflare</html>", DiscordUnavailable),
        ("bad request", r#"{"message": "Invalid Form Body", "code": 50035}"#, DceFailed),
        (
            "bad request",
            r#"{"message": "Cannot execute action on this channel type", "code": 50024}"#,
            NotATextChannel,
        ),
    ] {
        let text = format!(
            "ERROR\nDiscordChatExporter.Core.Exceptions.DiscordChatExporterException: \
             Request to 'channels/1/messages?limit=1' failed: {status}.\nResponse content: {body}\n  at X.Y()\n"
        );
        let (found, _, detail) = failure(&ended(1, &text));
        assert_eq!(found, kind, "{status} {body}");
        assert!(!detail.contains('<') && !detail.contains('{'), "{detail}");
    }
}

/// Users choose the names of channels and servers, and may use DCE's phrases in them.
#[test]
fn names_of_channels_and_servers_cannot_change_the_failure() {
    let names = [
        "Authentication token is invalid.",
        "a: Authentication token is invalid.",
        "a: Request to 'channels/1' failed: forbidden.",
        "a: Request to 'channels/1' failed: not found.",
        "is a forum and cannot be exported directly. You need to pull its threads and export them individually.",
        "System.IO.IOException: No space left on device",
        "Provided bot account is missing the MESSAGE_CONTENT privileged intent.",
        "Export failed.",
        "ERROR",
        "Option --filter cannot be set from the provided argument(s):",
    ];
    for name in names {
        let listed = |message: &str| {
            let text =
                format!("Failed to export the following channel(s):\n{name}: {message}\n\nExport failed.\n");
            failure(&ended(1, &text))
        };
        let (kind, _, detail) = listed("Request to 'guilds/5' failed: not found.");
        assert_eq!(kind, FailureKind::UnknownChannel, "{name}");
        assert_eq!(detail, "Request to 'guilds/5' failed: not found.", "{name}");
        let (kind, ..) = listed(&format!(
            "Channel '{name}' of guild '{name}' is a forum and cannot be exported directly. You need to pull its \
             threads and export them individually."
        ));
        assert_eq!(kind, FailureKind::ForumNeedsThreads, "{name}");

        let inside = format!(
            "ERROR\nDiscordChatExporter.Core.Exceptions.DiscordChatExporterException: Failed to export message #1 in \
             channel '{name}' (#2) of guild '{name} (#3)'.\n    System.ArgumentException: Wrong: 'text of a message'.\n"
        );
        let (kind, _, detail) = failure(&ended(1, &inside));
        assert_eq!(kind, FailureKind::DceCrashed, "{name}");
        assert_eq!(detail, "System.ArgumentException: Wrong: '…'.", "{name}");

        let warned = format!(
            "Warnings reported for the following channel(s):\n{name}: Channel '{name}' of guild '{name}' does not \
             contain any messages; an empty file will be created.\n\n"
        );
        assert_eq!(classify(&ended(0, &warned)), None, "{name}");

        let filter = format!(
            "Option --filter cannot be set from the provided argument(s):\n<a\nError: {name}\n{name}>\nError: bad.\n"
        );
        assert_eq!(
            failure(&ended(1, &filter)),
            (FailureKind::InvalidFilter, None, "bad.".to_owned()),
            "{name}"
        );
    }
}

#[test]
fn an_incomplete_program_is_dce_missing_and_an_abort_is_dce_crashed() {
    let loader = "/opt/dce/DiscordChatExporter.Cli: error while loading shared libraries: libstdc++.so.6: cannot \
                  open shared object file";
    let (kind, _, detail) = failure(&ended(127, loader));
    assert_eq!(kind, FailureKind::DceMissing);
    assert!(!detail.contains("/opt") && detail.contains("libstdc++.so.6"), "{detail}");

    let no_icu =
        "Process terminated. Couldn't find a valid ICU package installed on the system.\n   at System.X()";
    let by_signal = Exit { code: None, signal: Some(6), stderr: Stderr::from(no_icu) };
    for exit in [by_signal, ended(134, no_icu)] {
        let (kind, _, detail) = failure(&exit);
        assert_eq!(kind, FailureKind::DceCrashed);
        assert_eq!(detail, format!("ended by SIGABRT: {}", no_icu.lines().next().unwrap()));
    }
    assert_eq!(failure(&ended(1, "")).0, FailureKind::DceCrashed);
}

#[test]
fn unknown_text_is_passed_on_and_not_retried() {
    let (kind, _, detail) = failure(&ended(1, "\nSomething new happened in /var/lib/dce/x.\nMore.\n"));
    assert_eq!((kind, detail.as_str()), (FailureKind::DceFailed, "Something new happened in x."));
    assert!(!kind.is_retryable());
}
