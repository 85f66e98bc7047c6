//! Classifies DCE's stderr as a typed failure.
//!
//! DCE exits with 0 or 1 for every cause, so its text decides (recorded with DCE 2.47 and 2.48). The text contains
//! names of channels and servers, which users choose. So DCE's fixed phrases count only where no name can stand: at the
//! beginning or the end of a line, or after the last text that a name could contain.

use dce_core::export::failure::{Failure, FailureKind};
use nix::sys::signal::Signal;

use super::classify_exception::{RefusedRequest, classify_exception};
use super::exit::Exit;
use super::sanitize::{sanitize, strip_quoted};

const ERROR: &str = "ERROR";
const FAILED_CHANNELS: &str = "Failed to export the following channel(s):";
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

/// Messages of the system's loader and of .NET's about a program whose other files are missing.
const INCOMPLETE_PROGRAM: [&str; 4] = [
    "error while loading shared libraries",
    "The application to execute does not exist",
    "libhostfxr.so",
    "libcoreclr.so",
];

/// Shells report signal N as exit code 128 + N.
const SIGNAL_BASE: i32 = 128;

/// Returns the failure of an ended DCE, or `None` for success. Exit code 0 is a success only if DCE lists no failed
/// channel.
pub fn classify(exit: &Exit) -> Option<Failure> {
    let text = exit.stderr.as_str();
    match (exit.code, exit.signal) {
        (Some(0), _) => failure_despite_success(text),
        (Some(1), _) => Some(reported_failure(text)),
        (Some(_), _) if INCOMPLETE_PROGRAM.iter().any(|words| text.contains(words)) => {
            Some(with_first_line(FailureKind::DceMissing, text))
        }
        (Some(code), _) if code > SIGNAL_BASE => Some(signal_failure(code - SIGNAL_BASE, text)),
        (Some(_), _) => Some(reported_failure(text)),
        (None, Some(signal)) => Some(signal_failure(signal, text)),
        (None, None) => {
            Some(Failure::new(FailureKind::WorkerError).with_detail("the exit status is unknown"))
        }
    }
}

/// The failure of a process that a signal ended. .NET prints the reason for an abort on stderr.
fn signal_failure(signal: i32, text: &str) -> Failure {
    let name =
        Signal::try_from(signal).map_or_else(|_| format!("signal {signal}"), |known| known.to_string());
    let mut detail = format!("ended by {name}");
    if signal == Signal::SIGABRT as i32
        && let Some(line) = first_line(text)
    {
        detail = format!("{detail}: {}", strip_quoted(line));
    }
    Failure::new(FailureKind::DceCrashed).with_detail(sanitize(&detail))
}

/// The failure that DCE reported with a nonzero exit code.
fn reported_failure(text: &str) -> Failure {
    // The first line that begins a report of DCE's decides; quoted text comes after it.
    let mut below = text;
    while !below.is_empty() {
        let (line, rest) = below.split_once('\n').unwrap_or((below, ""));
        if let Some(failure) = parse_report(line.trim_end(), rest) {
            return failure;
        }
        below = rest;
    }
    match first_line(text) {
        Some(line) => Failure::new(FailureKind::DceFailed).with_detail(sanitize(line)),
        None => Failure::new(FailureKind::DceCrashed).with_detail("ended without an error message"),
    }
}

/// The failure in the report that begins with `line`, or `None` if no report begins there.
fn parse_report(line: &str, below: &str) -> Option<Failure> {
    if line == ERROR {
        return Some(classify_exception(below));
    }
    if line == FAILED_CHANNELS {
        return Some(channel_failure(below));
    }
    if line == NOTHING_EXPORTED {
        // No list follows: there was no channel to export, as in an empty category.
        return Some(Failure::new(FailureKind::NotATextChannel).with_detail(NOTHING_EXPORTED));
    }
    if line.starts_with(SEVERAL_CHANNELS) {
        // A category stands for its channels. Only the first sentence is kept; the last one contains the path.
        let sentence = line.split_inclusive(". ").next().unwrap_or(line);
        return Some(Failure::new(FailureKind::NotATextChannel).with_detail(sanitize(sentence)));
    }
    refused_value(line, below).or_else(|| refused_arguments(line, below))
}

/// `Option --filter cannot be set from the provided argument(s):`, the value, `Error: …`. DCE 2.48 has an exception
/// instead.
fn refused_value(line: &str, below: &str) -> Option<Failure> {
    let option = line.strip_prefix("Option ")?.strip_suffix(NO_SUCH_VALUE)?;
    let kind = if option == "--filter" { FailureKind::InvalidFilter } else { FailureKind::InvalidArguments };
    // The last such line: the value above it is the client's and may contain similar lines.
    let reason = below.lines().rev().find_map(|line| line.strip_prefix("Error: "));
    Some(Failure::new(kind).with_detail(sanitize(reason.unwrap_or(line))))
}

/// `Unrecognized option(s):` and similar lines, with the names below.
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
    Some(Failure::new(kind).with_detail(sanitize(&format!("{line} {names}"))))
}

/// The failure of a channel although DCE exited with 0, which it does if another channel succeeded.
fn failure_despite_success(text: &str) -> Option<Failure> {
    let mut below = text;
    while let Some((line, rest)) = below.split_once('\n') {
        if line.trim_end() == FAILED_CHANNELS {
            return Some(channel_failure(rest));
        }
        below = rest;
    }
    None
}

/// The failure in the list `NAME: message` of failed channels, which has one entry. The name stands before the message
/// and each message has a fixed end, so the end decides.
fn channel_failure(list: &str) -> Failure {
    let entry = list.lines().map(str::trim_end).rfind(|line| !line.is_empty() && *line != NOTHING_EXPORTED);
    let Some(entry) = entry else { return Failure::new(FailureKind::DceFailed) };
    if entry.ends_with(IS_A_FORUM) {
        return Failure::new(FailureKind::ForumNeedsThreads).with_detail(IS_A_FORUM);
    }
    let message = entry.rfind(": Request to '").map(|at| &entry[at + ": ".len()..]);
    if let Some(refusal) = message.and_then(RefusedRequest::parse) {
        let kind = refusal.kind().unwrap_or(FailureKind::DceFailed);
        return Failure { detail: message.map(sanitize), ..Failure::new(kind) };
    }
    Failure::new(FailureKind::DceFailed).with_detail(sanitize(entry))
}

fn with_first_line(kind: FailureKind, text: &str) -> Failure {
    Failure { detail: first_line(text).map(sanitize), ..Failure::new(kind) }
}

fn first_line(text: &str) -> Option<&str> {
    text.lines().map(str::trim).find(|line| !line.is_empty())
}
