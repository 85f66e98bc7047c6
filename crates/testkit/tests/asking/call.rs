//! Calls of the stand-in with a fake Discord to ask.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use dce_standin::scenario::{Channel, Scenario, ScenarioDir};
use dce_testkit::discord::{Auth, FakeDiscord, Request, Route};
use tempfile::TempDir;

pub(crate) const CHANNEL: &str = "900000000000001001";
/// Bound of every wait.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Call {
    pub(crate) discord: FakeDiscord,
    scenario: ScenarioDir,
    pub(crate) out: TempDir,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    /// `1`, or `signal 9`, as in the recordings.
    pub(crate) exit: String,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Call {
    /// Every channel of the scenario asks Discord, without waiting long.
    pub(crate) fn new(scenario: Scenario) -> Self {
        let mut scenario = scenario.hasty(true);
        for channel in scenario.channels.values_mut() {
            channel.asks_discord = true;
        }
        let dir = ScenarioDir::create(&scenario);
        Self { discord: FakeDiscord::start(dir.dir()).unwrap(), scenario: dir, out: TempDir::new().unwrap() }
    }

    /// A scenario of one channel, [`CHANNEL`].
    pub(crate) fn to(channel: Channel) -> Self {
        Self::new(Scenario::new().channel(CHANNEL, channel))
    }

    /// The command with these arguments, `OUT` in them replaced by the output folder.
    pub(crate) fn command(&self, argv: &[&str]) -> Command {
        let out = self.out.path().to_str().unwrap();
        let mut command = Command::new(self.scenario.dce_bin());
        command
            .args(argv.iter().map(|argument| argument.replace("OUT", out)))
            .env_clear()
            .envs([("DISCORD_TOKEN", "bot-good"), ("FUCK_RUSSIA", "1"), ("TZ", "UTC"), ("TERM", "dumb")])
            .env("DISCORD_API_URL", self.discord.url())
            .current_dir(out)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// The command that exports [`CHANNEL`] to `part.json`.
    pub(crate) fn export(&self, more: &[&str]) -> Command {
        let argv =
            ["export", "-c", CHANNEL, "-f", "Json", "--utc", "--markdown", "false", "-o", "OUT/part.json"];
        self.command(&[&argv, more].concat())
    }

    pub(crate) fn run(&self, more: &[&str]) -> Ended {
        self.finish(self.export(more).spawn().unwrap())
    }

    /// Waits for the end; the output folder in its texts becomes `OUT` again.
    pub(crate) fn finish(&self, child: Child) -> Ended {
        let output = child.wait_with_output().unwrap();
        let out = self.out.path().to_str().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().replace(out, "OUT");
        let exit = match output.status.signal() {
            Some(signal) => format!("signal {signal}"),
            None => output.status.code().unwrap().to_string(),
        };
        Ended { exit, stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    pub(crate) fn part(&self) -> PathBuf {
        self.out.path().join("part.json")
    }

    /// The ids in `part.json`, which must be a closed document with the right count.
    pub(crate) fn ids(&self) -> Vec<u64> {
        let document: serde_json::Value = serde_json::from_slice(&fs::read(self.part()).unwrap()).unwrap();
        let messages = document["messages"].as_array().unwrap();
        assert_eq!(document["messageCount"], messages.len());
        messages.iter().map(|message| message["id"].as_str().unwrap().parse().unwrap()).collect()
    }

    /// The ids of the channel as Discord shows them.
    pub(crate) fn listed(&self) -> Vec<u64> {
        self.discord.message_ids(CHANNEL)
    }

    /// The requests so far as lines of a recording, for messages only.
    pub(crate) fn requests_for_messages(&self) -> Vec<String> {
        let requests = self.discord.requests();
        requests.iter().filter(|request| request.is_for_messages_of(CHANNEL)).map(line).collect()
    }
}

/// A request as in the recordings, with its emoji not escaped.
pub(crate) fn line(request: &Request) -> String {
    let path = match &request.route {
        Route::CurrentUser => "users/@me".into(),
        Route::DirectMessages => "users/@me/channels".into(),
        Route::Application => "applications/@me".into(),
        Route::Guild(guild) => format!("guilds/{guild}"),
        Route::GuildChannels(guild) => format!("guilds/{guild}/channels"),
        Route::GuildRoles(guild) => format!("guilds/{guild}/roles"),
        Route::Member { guild, user } => format!("guilds/{guild}/members/{user}"),
        Route::Channel(channel) => format!("channels/{channel}"),
        Route::Messages(channel) => format!("channels/{channel}/messages"),
        Route::Reaction { channel, message, emoji } => {
            format!("channels/{channel}/messages/{message}/reactions/{emoji}")
        }
        other => format!("{other:?}"),
    };
    let query: Vec<_> = request.query.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let query = if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) };
    let auth = if request.auth == Auth::Bot { "Bot " } else { "" };
    format!("{auth}bot-good GET /api/v10/{path}{query}")
}

/// Waits until this holds.
pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A document without the line that differs from run to run.
pub(crate) fn without_time(path: &Path) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    Some(text.split_inclusive('\n').filter(|line| !line.starts_with("  \"exportedAt\": \"")).collect())
}
