//! The source of the demo's export: a channel of Discord, or a sample through the stand-in and a fake Discord.

use std::env;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use anyhow::Context;
use serde_json::json;

use dce_local::built_program;

use super::sample_discord::SampleDiscord;

/// The sample's channel: an id as Discord makes them.
const SAMPLE_CHANNEL: &str = "910000000000000000";
/// The sample's size and rate: long enough to watch, short enough to wait for.
const SAMPLE_MESSAGES: u32 = 2000;
const SAMPLE_MESSAGES_PER_SECOND: u32 = 1500;

pub(super) enum Source {
    /// `DiscordChatExporter` itself.
    Discord { exporter: String, token: String, channel_id: String },
    /// The stand-in, called by this path, and the reason.
    Sample { exporter: String, reason: String },
}

impl Source {
    /// Discord if `DCE_BIN` and `DISCORD_TOKEN` are set, else the sample, set up below `directory`.
    pub(super) fn choose(directory: &Path) -> anyhow::Result<Self> {
        match (setting("DCE_BIN"), setting("DISCORD_TOKEN")) {
            (Some(exporter), Some(token)) => {
                let channel_id = setting("DEFAULT_CHANNEL_ID").context(
                    "DEFAULT_CHANNEL_ID is not set: set it to the id of the channel to export \
                     (in Discord: developer mode on, right click on the channel, Copy Channel ID)",
                )?;
                Ok(Self::Discord { exporter, token, channel_id })
            }
            (exporter, token) => {
                let missing = [("DCE_BIN", exporter), ("DISCORD_TOKEN", token)]
                    .into_iter()
                    .filter_map(|(name, value)| value.is_none().then_some(name))
                    .collect::<Vec<_>>()
                    .join(" and ");
                let exporter = set_up_sample(&directory.join("sample"))?;
                Ok(Self::Sample { exporter, reason: format!("{missing} not set") })
            }
        }
    }

    pub(super) fn is_sample(&self) -> bool {
        matches!(self, Self::Sample { .. })
    }

    pub(super) fn channel_id(&self) -> &str {
        match self {
            Self::Discord { channel_id, .. } => channel_id,
            Self::Sample { .. } => SAMPLE_CHANNEL,
        }
    }

    /// Tells the user what is exported.
    pub(super) fn announcement(&self) -> String {
        match self {
            Self::Discord { channel_id, .. } => {
                format!("This exports the channel {channel_id} from Discord with DiscordChatExporter.")
            }
            Self::Sample { reason, .. } => format!(
                "This exports a sample: {SAMPLE_MESSAGES} generated messages through a stand-in for DiscordChatExporter \
                 ({reason}).\nTo export a channel of yours, set DISCORD_TOKEN, DEFAULT_CHANNEL_ID and DCE_BIN (the path \
                 of DiscordChatExporter.Cli) first."
            ),
        }
    }

    /// Starts what answers for Discord; none if Discord itself does.
    pub(super) async fn discord(&self) -> anyhow::Result<Option<SampleDiscord>> {
        match self {
            Self::Discord { .. } => Ok(None),
            Self::Sample { exporter, .. } => {
                let directory = Path::new(exporter).parent().context("the sample has no directory")?;
                SampleDiscord::start(directory).await.map(Some)
            }
        }
    }

    /// The worker's settings for this source.
    pub(super) fn variables(&self, discord: Option<&SampleDiscord>) -> Vec<(&'static str, String)> {
        let (exporter, token) = match self {
            Self::Discord { exporter, token, .. } => (exporter, &**token),
            Self::Sample { exporter, .. } => (exporter, "the-sample-needs-no-token"),
        };
        let mut variables = vec![("DCE_BIN", exporter.clone()), ("DISCORD_TOKEN", token.to_owned())];
        if let Some(discord) = discord {
            variables.push(("DISCORD_API_URL", discord.url().to_owned()));
            variables.push(("NO_PROXY", "127.0.0.1".to_owned())); // the inherited proxies do not reach it
        }
        variables
    }
}

/// The value of a variable that is set and not empty.
fn setting(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

/// Writes the scenario beside a link to the stand-in, which reads it there. Returns the link's path.
fn set_up_sample(directory: &Path) -> anyhow::Result<String> {
    let scenario = json!({ "channels": { SAMPLE_CHANNEL: {
        "generate": { "messages": SAMPLE_MESSAGES, "seed": 1 },
        "rate": SAMPLE_MESSAGES_PER_SECOND,
    } } });
    let exporter = directory.join("DiscordChatExporter.Cli");
    fs::create_dir(directory)?;
    fs::write(directory.join("scenario.json"), scenario.to_string())?;
    symlink(built_program("dce-standin")?, &exporter)?;
    Ok(exporter.to_string_lossy().into_owned())
}
