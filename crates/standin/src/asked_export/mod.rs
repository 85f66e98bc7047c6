//! The export of a channel by HTTP, from the Discord at `DISCORD_API_URL`, as DCE does it.

mod messages;
mod outcome;

use std::collections::HashSet;

use anyhow::{Context as _, bail};
use dce_standin::header::Header;
use dce_standin::scenario::{Ending, Source};
use dce_standin::source::{self, Generated, ListedMessages, Messages as _, Opened};
use serde::de::IgnoredAny;

use crate::channel_export::ExportError;
use crate::discord::{Channel, DiscordClient, RequestError, Waiter};
use crate::ending::{ChannelOutcome, conclude};
use crate::export_context::ExportContext;
use messages::AskedExport;
pub(crate) use outcome::fatal;
use outcome::{close, request_outcome};

/// What this attempt does with a channel.
pub(crate) struct AskedChannel<'a> {
    pub(crate) id: &'a str,
    /// What the fake Discord serves: its head is that of the document.
    pub(crate) source: &'a Source,
    pub(crate) rate: Option<u32>,
    pub(crate) limit: u64,
    pub(crate) ending: Ending,
}

/// The channel with its parents, as DCE resolves it before it exports anything.
pub(crate) fn resolve(
    client: &mut DiscordClient,
    id: &str,
    waiter: &mut dyn Waiter,
) -> Result<Channel, RequestError> {
    let channel: Channel = client.get(&format!("channels/{id}"), waiter)?;
    if let Some(parent) = &channel.parent_id {
        match resolve(client, parent, waiter) {
            Err(error) if !error.is_dces_own() => return Err(error),
            // A parent may be out of reach though the channel is not.
            Ok(_) | Err(_) => {}
        }
    }
    Ok(channel)
}

/// Asks for the server. It is known before DCE looks at what kind of channel it exports.
fn ask_guild(
    client: &mut DiscordClient,
    channel: &Channel,
    waiter: &mut dyn Waiter,
) -> Result<(), RequestError> {
    let Some(guild) = &channel.guild_id else { return Ok(()) };
    client.get(&format!("guilds/{guild}"), waiter).map(|_: IgnoredAny| ())
}

/// Asks for the channels and roles that messages may mention.
fn ask_channels_and_roles(
    client: &mut DiscordClient,
    channel: &Channel,
    waiter: &mut dyn Waiter,
) -> Result<(), RequestError> {
    let requests = match &channel.guild_id {
        Some(guild) => vec![format!("guilds/{guild}/channels"), format!("guilds/{guild}/roles")],
        None => vec!["users/@me/channels".to_owned()],
    };
    for request in requests {
        let _: IgnoredAny = client.get(&request, waiter)?;
    }
    Ok(())
}

impl ExportContext<'_> {
    pub(crate) fn discord_client(&self) -> anyhow::Result<DiscordClient> {
        let base = self.discord.as_deref().context("a channel that asks Discord needs DISCORD_API_URL")?;
        let (hasty, respects_advice) = (self.loaded.scenario.hasty, self.options.respect_rate_limits);
        DiscordClient::new(base, &self.options.token, hasty, respects_advice).context("DISCORD_API_URL")
    }

    /// Exports a channel that was resolved before; returns its label and how that ended.
    pub(crate) fn play_asked(
        &self,
        client: &mut DiscordClient,
        asked: &AskedChannel<'_>,
        channel: &Channel,
    ) -> anyhow::Result<(String, ChannelOutcome)> {
        let header = self.head_of_source(asked)?;
        let label = header.label();
        let mut waiter = self.sigint;
        if let Err(error) = ask_guild(client, channel, &mut waiter) {
            return Ok((label, request_outcome(&error, self.texts())));
        }
        if channel.is_forum() {
            let text = crate::recorded_texts::forum(&header.channel.name, &header.guild.name);
            return Ok((label, ChannelOutcome::Failed(text)));
        }
        if channel.is_category() {
            bail!("{} is a category: this program exports its channels one by one", asked.id);
        }
        if let Err(error) = ask_channels_and_roles(client, channel, &mut waiter) {
            return Ok((label, request_outcome(&error, self.texts())));
        }
        let last = channel.last_message_id.map(|last| (last, last));
        let mut export = self.channel_export(&header, None, asked.rate);
        export.writer.write_each();
        if let Some(warning) = self.empty_warning(asked.id, &header, last) {
            let closed = export.writer.finish().map_err(ExportError::from);
            let outcome = conclude(&mut export, closed.map(|()| ChannelOutcome::Warning(warning)))?;
            return Ok((label, outcome));
        }
        let exported = AskedExport {
            client,
            export: &mut export,
            channel,
            header: &header,
            before: self.options.before,
            limit: asked.limit,
            ending: asked.ending,
            members: HashSet::new(),
        }
        .run();
        Ok((label, close(&mut export, &header, exported)?))
    }

    fn head_of_source(&self, asked: &AskedChannel<'_>) -> anyhow::Result<Header> {
        match asked.source {
            Source::Generate(generate) => Ok(Generated::new(asked.id, *generate)?.header().clone()),
            Source::File(path) => {
                let path = self.loaded.path(path);
                match source::open(&path).with_context(|| format!("cannot read {}", path.display()))? {
                    Opened::Messages(messages) => Ok(messages.header().clone()),
                    Opened::Other(_) => bail!("{} is not in DCE's layout", path.display()),
                }
            }
            Source::Case(_) => {
                let listed = ListedMessages::open(asked.id, asked.source, &self.loaded.dir)?;
                Ok(listed.map_or_else(|| Header::nameless(asked.id), |listed| listed.header().clone()))
            }
        }
    }
}
