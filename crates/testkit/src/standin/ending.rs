//! How an attempt ends, and how the process does.

use std::io::Write as _;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use dce_testkit::scenario::Ending;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{SigSet, Signal, kill, raise};
use nix::unistd::getppid;

use crate::header::Header;
use crate::parts::OutputError;
use crate::performance::{Performance, Stop};
use crate::snowflake::Snowflake;
use crate::texts;

/// From SIGINT to its end the real DCE takes 0.11 to 0.17 s; a second SIGINT in that time kills it.
const WIND_DOWN: Duration = Duration::from_millis(110);

/// How one channel's export ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// All of it is there.
    Done,
    /// Nothing is there, and DCE says so.
    Warned(String),
    /// DCE handled an error: it goes on with the next channel.
    Failed(String),
    /// It takes the process with it.
    Fatal(End),
}

/// How the process ends.
#[derive(Debug)]
pub(crate) enum End {
    /// With this exit code, this on stderr.
    Exit(u8, String),
    /// As after SIGINT.
    Cancelled,
    /// By a signal.
    Killed(Signal),
}

impl End {
    /// An error that DCE did not handle.
    pub(crate) fn error(stderr: impl Into<String>) -> Self {
        Self::Exit(1, stderr.into())
    }

    /// What DCE makes of an output that cannot be written.
    pub(crate) fn of_output(error: &OutputError) -> Self {
        let path = error.path.display().to_string();
        Self::error(match error.source.kind() {
            std::io::ErrorKind::StorageFull => texts::disk_full(&path),
            _ => texts::io_error(&path, &error.source),
        })
    }

    /// Ends the process, or returns how it is to end.
    pub(crate) fn leave(self) -> ExitCode {
        match self {
            Self::Exit(code, stderr) => {
                complain(&stderr);
                ExitCode::from(code)
            }
            Self::Cancelled => {
                let (first, rest) = texts::CANCELLED.split_at(texts::CANCELLED_FIRST_LINES.len());
                complain(first);
                thread::sleep(WIND_DOWN);
                complain(rest);
                ExitCode::FAILURE
            }
            Self::Killed(signal) => {
                // Nobody wants a core file of this; if one is left nevertheless, no harm is done.
                let _ = setrlimit(Resource::RLIMIT_CORE, 0, 0);
                let _ = SigSet::all().thread_unblock();
                let _ = raise(signal);
                // Reached only if the signal was inherited as ignored.
                ExitCode::FAILURE
            }
        }
    }
}

/// Writes to stderr as it is; a reader that has gone does not matter.
pub(crate) fn complain(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// Endings that strike before there is a file, if they strike before the first message.
pub(crate) fn before_any_file(then: Ending, channel: &str) -> Option<End> {
    Some(match then {
        Ending::InvalidToken => End::error(texts::INVALID_TOKEN),
        Ending::Unreachable => End::error(texts::UNREACHABLE),
        Ending::Forbidden => End::error(texts::forbidden(channel)),
        Ending::Unknown => End::error(texts::unknown(channel)),
        _ => return None,
    })
}

/// Ends a performance. `channel` is the id that was asked for, `next` the message that would have been written next.
pub(crate) fn strike(
    performance: &mut Performance<'_>,
    then: Ending,
    channel: &str,
    header: &Header,
    next: Option<&[u8]>,
) -> Result<Outcome, Stop> {
    let request = request(channel, performance.last);
    let writer = &mut performance.writer;
    let fatal = |signal| Ok(Outcome::Fatal(End::Killed(signal)));
    let words: String = match then {
        Ending::Complete => {
            writer.finish()?;
            return Ok(Outcome::Done);
        }
        Ending::Hang => {
            performance.hang()?;
            return Ok(Outcome::Done);
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
            // A worker takes its children with it.
            loop {
                thread::park();
            }
        }
        Ending::Crash | Ending::Sigkill | Ending::Sigterm => {
            writer.flush()?;
            return fatal(match then {
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
            return Ok(Outcome::Fatal(End::Cancelled));
        }
        Ending::DiskFull => {
            let half = next.map_or(&[][..], |message| &message[..message.len() / 2]);
            writer.torn_message(half)?;
            let path = writer.path().display().to_string();
            return Ok(Outcome::Fatal(End::error(texts::disk_full(&path))));
        }
        Ending::ForbiddenMessages => {
            writer.finish()?;
            return Ok(Outcome::Failed(format!("Request to '{request}' failed: forbidden.")));
        }
        Ending::Forum => {
            return Ok(Outcome::Failed(texts::forum(&header.channel.name, &header.guild.name)));
        }
        Ending::Silent => String::new(),
        Ending::Dropped => texts::DROPPED.into(),
        Ending::Unavailable => texts::unavailable(&request),
        Ending::RateLimited => texts::rate_limited(&request),
        Ending::BadRequest => texts::bad_request(&request),
        Ending::Unreachable => texts::UNREACHABLE.into(),
        Ending::InvalidToken => texts::INVALID_TOKEN.into(),
        Ending::NoIntent => texts::NO_INTENT.into(),
        Ending::Unreadable => texts::UNREADABLE.into(),
        Ending::Forbidden => texts::forbidden(channel),
        Ending::Unknown => texts::unknown(channel),
    };
    writer.finish()?;
    Ok(Outcome::Fatal(End::error(words)))
}

/// The request that fails: DCE asks for the newest message first, then for pages.
fn request(channel: &str, last: Option<Snowflake>) -> String {
    match last {
        None => format!("channels/{channel}/messages?limit=1"),
        Some(Snowflake(last)) => format!("channels/{channel}/messages?limit=100&after={last}"),
    }
}

/// The beginning of a message up to an array of which only the first element is there; of a message whose arrays
/// are all empty, up to the first of them.
fn cut_short(message: &[u8]) -> Vec<u8> {
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
