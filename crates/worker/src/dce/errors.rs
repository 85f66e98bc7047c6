//! From what DCE wrote to stderr to the failure it means.
//!
//! DCE exits with 0 or 1 whatever happened, so its words decide (DCE 2.47: recorded, every one of
//! them). Names of channels and servers stand among these words and belong to their users: DCE's
//! fixed phrases count only where a name cannot be, at the beginning or the end of a line or after
//! the last thing that a name could hold.

use dce_core::export::failure::{Failure, FailureKind};
use nix::sys::signal::Signal;

use super::detail::{shown, without_quotes};
use super::exceptions::{self, Refusal};
use super::process::Exit;
use super::stderr::Stderr;

const ERROR: &str = "ERROR";
const FAILED_CHANNELS: &str = "Failed to export the following channel(s):";
const WARNINGS: &str = "Warnings reported for the following channel(s):";
const NOTHING_EXPORTED: &str = "Export failed.";
const SEVERAL_CHANNELS: &str = "Attempted to export multiple channels, but the output path";
const IS_A_FORUM: &str =
    "is a forum and cannot be exported directly. You need to pull its threads and export them individually.";
const NO_SUCH_VALUE: &str = " cannot be set from the provided argument(s):";
const OTHER_ARGUMENTS: [&str; 4] = [
    "Unrecognized option(s):",
    "Unexpected parameter(s):",
    "Missing required parameter(s):",
    MISSING_OPTIONS,
];
const MISSING_OPTIONS: &str = "Missing required option(s):";
const TOKEN_OPTION: &str = "-t|--token";

/// How the system's loader and .NET's complain about a program without the files beside it.
const INCOMPLETE_PROGRAM: [&str; 4] = [
    "error while loading shared libraries",
    "The application to execute does not exist",
    "libhostfxr.so",
    "libcoreclr.so",
];

/// Shells report a signal as an exit code above this.
const SIGNAL_BASE: i32 = 128;

/// The failure that an ended DCE reports, or `None` for success. Exit code 0 is a success only if
/// DCE names no failed channel.
pub fn classify(exit: &Exit) -> Option<Failure> {
    let text = exit.stderr.as_str();
    match (exit.code, exit.signal) {
        (Some(0), _) => failed_channel(text),
        (Some(1), _) => Some(reported(text)),
        (Some(_), _) if INCOMPLETE_PROGRAM.iter().any(|words| text.contains(words)) => {
            Some(with_first_line(FailureKind::DceMissing, text))
        }
        (Some(code), _) if code > SIGNAL_BASE => Some(killed(code - SIGNAL_BASE, text)),
        (Some(_), _) => Some(reported(text)),
        (None, Some(signal)) => Some(killed(signal, text)),
        (None, None) => {
            Some(Failure::new(FailureKind::WorkerError).with_detail("the exit status is unknown"))
        }
    }
}

/// Whether DCE said that the channel or the range is empty (DCE 2.47 does so only if the channel's
/// newest message is before the range, not for every empty result).
pub fn reported_empty(stderr: &Stderr) -> bool {
    let mut lines = stderr.as_str().lines().map(str::trim_end).skip_while(|line| *line != WARNINGS).skip(1);
    lines.any(|line| {
        let line = line.strip_suffix("; an empty file will be created.").unwrap_or(line);
        line.ends_with(" does not contain any messages")
            || line.ends_with(" does not contain any messages within the specified period")
    })
}

/// A process that a signal ended. .NET says on stderr why it aborts.
fn killed(signal: i32, text: &str) -> Failure {
    let name =
        Signal::try_from(signal).map_or_else(|_| format!("signal {signal}"), |known| known.to_string());
    let mut detail = format!("ended by {name}");
    if signal == Signal::SIGABRT as i32
        && let Some(line) = first_line(text)
    {
        detail = format!("{detail}: {}", without_quotes(line));
    }
    Failure::new(FailureKind::DceCrashed).with_detail(shown(&detail))
}

/// What DCE reported with exit code 1.
fn reported(text: &str) -> Failure {
    // The first line that begins one of DCE's reports; what it quotes comes after it.
    let mut below = text;
    while !below.is_empty() {
        let (line, rest) = below.split_once('\n').unwrap_or((below, ""));
        if let Some(failure) = report(line.trim_end(), rest) {
            return failure;
        }
        below = rest;
    }
    match first_line(text) {
        Some(line) => Failure::new(FailureKind::DceFailed).with_detail(shown(line)),
        None => Failure::new(FailureKind::DceCrashed).with_detail("ended without a word"),
    }
}

/// The failure in the report that begins with `line`, if one does.
fn report(line: &str, below: &str) -> Option<Failure> {
    if line == ERROR {
        return Some(exceptions::failure(below));
    }
    if line == FAILED_CHANNELS {
        return Some(channel_failure(below));
    }
    if line == NOTHING_EXPORTED {
        // Without a list: there was no channel to export, as in an empty category.
        return Some(Failure::new(FailureKind::NotATextChannel).with_detail(NOTHING_EXPORTED));
    }
    if line.starts_with(SEVERAL_CHANNELS) {
        // A category stands for its channels. The first sentence; the last one tells the path.
        let sentence = line.split_inclusive(". ").next().unwrap_or(line);
        return Some(Failure::new(FailureKind::NotATextChannel).with_detail(shown(sentence)));
    }
    refused_value(line, below).or_else(|| refused_arguments(line, below))
}

/// `Option --filter cannot be set from the provided argument(s):`, the value, `Error: …`.
fn refused_value(line: &str, below: &str) -> Option<Failure> {
    let option = line.strip_prefix("Option ")?.strip_suffix(NO_SUCH_VALUE)?;
    let kind = if option == "--filter" { FailureKind::InvalidFilter } else { FailureKind::InvalidArguments };
    // The last one: the value above it is the user's and may have lines like it.
    let reason = below.lines().rev().find_map(|line| line.strip_prefix("Error: "));
    Some(Failure::new(kind).with_detail(shown(reason.unwrap_or(line))))
}

/// `Unrecognized option(s):` and the like, with the names below.
fn refused_arguments(line: &str, below: &str) -> Option<Failure> {
    if !OTHER_ARGUMENTS.contains(&line) {
        return None;
    }
    let names = below.lines().map(str::trim).filter(|name| !name.is_empty()).collect::<Vec<_>>().join(" ");
    let kind = if line == MISSING_OPTIONS && names == TOKEN_OPTION {
        FailureKind::InvalidToken
    } else {
        FailureKind::InvalidArguments
    };
    Some(Failure::new(kind).with_detail(shown(&format!("{line} {names}"))))
}

/// The failure of a channel although DCE exited with 0, as it does if another one succeeded.
fn failed_channel(text: &str) -> Option<Failure> {
    let mut below = text;
    while let Some((line, rest)) = below.split_once('\n') {
        if line.trim_end() == FAILED_CHANNELS {
            return Some(channel_failure(rest));
        }
        below = rest;
    }
    None
}

/// The list `NAME: message` of failed channels, of which there is one. Each message has a fixed end
/// and a name stands before it, so the end decides.
fn channel_failure(list: &str) -> Failure {
    let entry = list.lines().map(str::trim_end).rfind(|line| !line.is_empty() && *line != NOTHING_EXPORTED);
    let Some(entry) = entry else { return Failure::new(FailureKind::DceFailed) };
    if entry.ends_with(IS_A_FORUM) {
        return Failure::new(FailureKind::ForumNeedsThreads).with_detail(IS_A_FORUM);
    }
    let message = entry.rfind(": Request to '").map(|at| &entry[at + ": ".len()..]);
    if let Some(refusal) = message.and_then(Refusal::parse) {
        let kind = refusal.kind().unwrap_or(FailureKind::DceFailed);
        return Failure { detail: message.map(shown), ..Failure::new(kind) };
    }
    Failure::new(FailureKind::DceFailed).with_detail(shown(entry))
}

fn with_first_line(kind: FailureKind, text: &str) -> Failure {
    Failure { detail: first_line(text).map(shown), ..Failure::new(kind) }
}

fn first_line(text: &str) -> Option<&str> {
    text.lines().map(str::trim).find(|line| !line.is_empty())
}
