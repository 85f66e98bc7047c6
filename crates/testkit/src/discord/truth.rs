//! What Discord says about a channel while a scripted attempt is the latest one: the stand-in may say that it was refused
//! only if everybody is.

use std::fs;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use dce_standin::scenario::{Attempt, Channel, Ending, INVOCATIONS_FILE, Invocation, Scenario, Source};

/// Enough for the last calls of the log.
const TAIL: u64 = 64 * 1024;

/// The refusal that concerns all clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    InvalidToken,
    /// 403 on the channel.
    Forbidden,
    /// 404 on the channel.
    Unknown,
    /// 403 on its messages.
    ForbiddenMessages,
    /// Message contents are withheld.
    NoIntent,
    /// The channel is a forum.
    Forum,
}

impl Refusal {
    /// Endings about connections concern the process that had them, not Discord.
    fn from_ending(ending: Ending) -> Option<Self> {
        match ending {
            Ending::InvalidToken => Some(Self::InvalidToken),
            Ending::Forbidden => Some(Self::Forbidden),
            Ending::Unknown => Some(Self::Unknown),
            Ending::ForbiddenMessages => Some(Self::ForbiddenMessages),
            Ending::NoIntent => Some(Self::NoIntent),
            Ending::Forum => Some(Self::Forum),
            _ => None,
        }
    }

    /// From the errors of a recorded DCE.
    fn from_stderr(stderr: &str) -> Option<Self> {
        let failed = |end: &str| stderr.lines().find(|line| line.ends_with(end));
        if stderr.contains("Authentication token is invalid.") {
            Some(Self::InvalidToken)
        } else if stderr.contains("MESSAGE_CONTENT") {
            Some(Self::NoIntent)
        } else if stderr.contains("is a forum and cannot be exported directly") {
            Some(Self::Forum)
        } else if let Some(line) = failed("failed: forbidden.") {
            let is_about_messages = line.contains("/messages");
            Some(if is_about_messages { Self::ForbiddenMessages } else { Self::Forbidden })
        } else {
            failed("failed: not found.").map(|_| Self::Unknown)
        }
    }
}

/// The state of a channel after its attempts so far.
#[derive(Debug, PartialEq)]
pub(super) struct Truth {
    pub(super) refusal: Option<Refusal>,
    /// Replaces the channel's own source.
    pub(super) source: Option<Source>,
}

/// Reads what the latest attempt at a channel was scripted to be. Before the first one a channel is as its source.
pub(super) fn of_channel(dir: &Path, id: &str, channel: &Channel) -> io::Result<Truth> {
    let attempt = attempts_at(dir, id)?.checked_sub(1).and_then(|last| usize::try_from(last).ok());
    let recording = match (attempt.and_then(|attempt| channel.attempts.get(attempt)), &channel.source) {
        (Some(Attempt::Play { then, .. }), _) => {
            return Ok(Truth { refusal: Refusal::from_ending(*then), source: None });
        }
        (Some(Attempt::Replay(folder)), _) | (None, Source::Case(folder)) => folder,
        (None, _) => return Ok(Truth { refusal: None, source: None }),
    };
    let refusal = recorded_refusal(&dir.join(recording))?;
    Ok(Truth { refusal, source: Some(Source::Case(recording.clone())) })
}

/// Whether the latest call of the stand-in was scripted to have its token refused.
pub(super) fn token_is_refused(dir: &Path, scenario: &Scenario) -> io::Result<bool> {
    let Some(call) = last_invocation(dir)? else { return Ok(false) };
    for id in call.attempts.keys() {
        if let Some(channel) = scenario.channels.get(id)
            && of_channel(dir, id, channel)?.refusal == Some(Refusal::InvalidToken)
        {
            return Ok(true);
        }
    }
    Ok(false)
}

fn recorded_refusal(folder: &Path) -> io::Result<Option<Refusal>> {
    // DCE 2.48 takes this one for an empty channel and says nothing.
    if folder.file_name().is_some_and(|case| case == "forbidden-messages") {
        return Ok(Some(Refusal::ForbiddenMessages));
    }
    match fs::read_to_string(folder.join("stderr")) {
        Ok(stderr) => Ok(Refusal::from_stderr(&stderr)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn attempts_at(dir: &Path, channel: &str) -> io::Result<u64> {
    // An id that is no number names no file of ours.
    if !channel.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(0);
    }
    let counter: PathBuf = dir.join(format!("attempts-{channel}"));
    match fs::read_to_string(counter) {
        Ok(count) => Ok(count.trim().parse().unwrap_or(0)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(error),
    }
}

/// The last call in the log that is written to its end.
fn last_invocation(dir: &Path) -> io::Result<Option<Invocation>> {
    let mut log = match fs::File::open(dir.join(INVOCATIONS_FILE)) {
        Ok(log) => log,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let length = log.metadata()?.len();
    log.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
    let mut tail = Vec::new();
    log.read_to_end(&mut tail)?;
    let whole = tail.iter().rposition(|byte| *byte == b'\n').map_or(&[][..], |end| &tail[..end]);
    let line = whole.rsplit(|byte| *byte == b'\n').next().unwrap_or_default();
    Ok(serde_json::from_slice(line).ok())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use dce_standin::scenario::{Attempt, Channel, Ending, Scenario, Source, recording};
    use tempfile::TempDir;

    use super::{Refusal, Truth, of_channel, token_is_refused};

    fn attempt(dir: &TempDir, channel: &str, number: u64) {
        fs::write(dir.path().join(format!("attempts-{channel}")), number.to_string()).unwrap();
        let call = format!("{{\"pid\":1,\"argv\":[],\"attempts\":{{\"{channel}\":{number}}}}}\n");
        let log = dir.path().join("invocations.jsonl");
        let before = fs::read_to_string(&log).unwrap_or_default();
        fs::write(log, before + &call).unwrap();
    }

    #[test]
    fn a_scripted_refusal_holds_until_the_next_attempt() {
        let dir = TempDir::new().unwrap();
        let channel = Channel::generated(5, 1)
            .attempt(Attempt::ends_after(3, Ending::Forbidden))
            .attempt(Attempt::ends(Ending::Dropped));
        let refusal = || of_channel(dir.path(), "7", &channel).unwrap().refusal;
        assert_eq!(refusal(), None);
        attempt(&dir, "7", 1);
        assert_eq!(refusal(), Some(Refusal::Forbidden));
        attempt(&dir, "7", 2);
        assert_eq!(refusal(), None);
    }

    #[test]
    fn a_refused_token_holds_until_any_other_attempt() {
        let dir = TempDir::new().unwrap();
        let refused = Channel::generated(5, 1).attempt(Attempt::ends(Ending::InvalidToken));
        let scenario = Scenario::new().channel("1", refused).channel("2", Channel::generated(5, 2));
        let is_refused = || token_is_refused(dir.path(), &scenario).unwrap();
        assert!(!is_refused());
        attempt(&dir, "1", 1);
        assert!(is_refused());
        attempt(&dir, "2", 1);
        assert!(!is_refused());
    }

    #[test]
    fn a_recording_tells_what_discord_refused() {
        let dir = TempDir::new().unwrap();
        for (case, expected) in [
            ("small", None),
            ("dies", None),
            ("limited", None),
            ("bad-token", Some(Refusal::InvalidToken)),
            ("forbidden", Some(Refusal::Forbidden)),
            ("forbidden-messages", Some(Refusal::ForbiddenMessages)),
            ("unknown", Some(Refusal::Unknown)),
            ("no-intent", Some(Refusal::NoIntent)),
            ("forum", Some(Refusal::Forum)),
        ] {
            let folder = recording(case);
            let truth = of_channel(dir.path(), "7", &Channel::case(&folder)).unwrap();
            assert_eq!(truth, Truth { refusal: expected, source: Some(Source::Case(folder)) }, "{case}");
        }
    }
}
