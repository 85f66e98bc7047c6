//! How an attempt dies: plays each [`Ending`] of the scenario, from a dropped connection to a crash.

use std::thread;

use dce_standin::scenario::{DceVersion, Ending};
use nix::sys::signal::{Signal, kill};
use nix::unistd::getppid;

use crate::channel_export::{ChannelExport, ExportError};
use crate::process_exit::ProcessExit;
use crate::recorded_texts::{self, RecordedTexts};
use dce_standin::header::Header;

/// How one channel's export ended.
#[derive(Debug)]
pub(crate) enum ChannelOutcome {
    Exported,
    /// Nothing to export; DCE prints a warning.
    Warning(String),
    /// An error that DCE handles: it goes on with the next channel.
    Failed(String),
    /// An error that ends the process.
    Fatal(ProcessExit),
}

/// The exit of endings that leave no file when they come before the first message.
pub(crate) fn before_any_file(texts: &RecordedTexts, ending: Ending, channel: &str) -> Option<ProcessExit> {
    Some(match ending {
        Ending::InvalidToken => ProcessExit::error(texts.invalid_token),
        Ending::Unreachable => ProcessExit::error(recorded_texts::UNREACHABLE),
        Ending::Forbidden => ProcessExit::error(texts.forbidden(channel)),
        Ending::Unknown => ProcessExit::error(texts.unknown(channel)),
        _ => return None,
    })
}

/// Plays an ending. `channel` is the requested id, `next` the message that would have been written next.
pub(crate) fn play_ending(
    export: &mut ChannelExport<'_>,
    ending: Ending,
    channel: &str,
    header: &Header,
    next: Option<&[u8]>,
) -> Result<ChannelOutcome, ExportError> {
    let texts = export.texts;
    let request = export.failing_request(channel);
    let is_first_question = export.last.is_none();
    let writer = &mut export.writer;
    let fatal = |signal| Ok(ChannelOutcome::Fatal(ProcessExit::Killed(signal)));
    let stderr: String = match ending {
        Ending::Complete => {
            writer.finish()?;
            return Ok(ChannelOutcome::Exported);
        }
        Ending::Hang => {
            export.hang()?;
            return Ok(ChannelOutcome::Exported);
        }
        Ending::Deaf => {
            writer.flush()?;
            loop {
                thread::park();
            }
        }
        Ending::KillsWorker => {
            writer.flush()?;
            let _ = kill(getppid(), Signal::SIGABRT);
            // The worker's children die with it.
            loop {
                thread::park();
            }
        }
        Ending::Crash | Ending::Sigkill | Ending::Sigterm => {
            writer.flush()?;
            return fatal(match ending {
                Ending::Crash => Signal::SIGABRT,
                Ending::Sigkill => Signal::SIGKILL,
                _ => Signal::SIGTERM,
            });
        }
        Ending::CutInside => {
            match next {
                Some(message) => writer.cut_message(&cut_short(message))?,
                None => writer.finish()?,
            }
            return Ok(ChannelOutcome::Fatal(ProcessExit::Cancelled(texts)));
        }
        Ending::DiskFull => {
            let half = next.map_or(&[][..], |message| &message[..message.len() / 2]);
            writer.torn_message(half)?;
            let path = writer.path().display().to_string();
            return Ok(ChannelOutcome::Fatal(ProcessExit::error(recorded_texts::disk_full(&path))));
        }
        // 2.48 takes a refused question for an empty channel.
        Ending::ForbiddenMessages | Ending::QuestionRefused
            if is_first_question && export.version == DceVersion::V2_48 =>
        {
            writer.finish()?;
            return Ok(ChannelOutcome::Exported);
        }
        Ending::ForbiddenMessages => {
            writer.finish()?;
            return Ok(ChannelOutcome::Failed(format!("Request to '{request}' failed: forbidden.")));
        }
        Ending::Forum => {
            return Ok(ChannelOutcome::Failed(recorded_texts::forum(
                &header.channel.name,
                &header.guild.name,
            )));
        }
        Ending::Silent => String::new(),
        Ending::Dropped => texts.dropped.into(),
        Ending::Unavailable => texts.unavailable(&request),
        Ending::RateLimited => texts.rate_limited(&request),
        Ending::BadRequest | Ending::QuestionRefused => texts.bad_request(&request),
        Ending::Unreachable => recorded_texts::UNREACHABLE.into(),
        Ending::InvalidToken => texts.invalid_token.into(),
        Ending::NoIntent => texts.no_intent.into(),
        Ending::Unreadable => texts.unreadable.into(),
        Ending::Forbidden => texts.forbidden(channel),
        Ending::Unknown => texts.unknown(channel),
    };
    writer.finish()?;
    Ok(ChannelOutcome::Fatal(ProcessExit::error(stderr)))
}

/// The outcome of an export that was interrupted or failed; otherwise the one given.
pub(crate) fn conclude(
    export: &mut ChannelExport<'_>,
    written: Result<ChannelOutcome, ExportError>,
) -> anyhow::Result<ChannelOutcome> {
    match written {
        Ok(outcome) => Ok(outcome),
        Err(ExportError::Interrupted) => Ok(ChannelOutcome::Fatal(match export.writer.finish() {
            Ok(()) => ProcessExit::Cancelled(export.texts),
            Err(error) => ProcessExit::from(&error),
        })),
        Err(ExportError::Output(error)) => Ok(ChannelOutcome::Fatal(ProcessExit::from(&error))),
        Err(ExportError::Source(error)) => Err(ExportError::Source(error).into()),
    }
}

/// The beginning of a message up to the first element of its first array that has any; if all arrays are empty, up to
/// the first of them.
pub(crate) fn cut_short(message: &[u8]) -> Vec<u8> {
    const OPEN_ARRAY: &[u8] = b": [\n        {";
    const ELEMENT_END: &[u8] = b"\n        }";
    const EMPTY_ARRAY: &[u8] = b": []";
    let find = |what: &[u8], from: usize| {
        message[from..].windows(what.len()).position(|window| window == what).map(|at| from + at + what.len())
    };
    match find(OPEN_ARRAY, 0).and_then(|open| find(ELEMENT_END, open)) {
        Some(end) => [&message[..end], b"\n      ]"].concat(),
        None => message[..find(EMPTY_ARRAY, 0).unwrap_or(message.len() / 2)].to_vec(),
    }
}
