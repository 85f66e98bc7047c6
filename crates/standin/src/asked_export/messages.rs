//! The messages of a channel: DCE's questions in DCE's order, and what DCE does with the answers.

use std::collections::HashSet;

use dce_standin::header::Header;
use dce_standin::scenario::{DceVersion, Ending};
use dce_standin::snowflake::Snowflake;
use serde::de::IgnoredAny;

use super::outcome::AskedExportError;
use crate::channel_export::{ChannelExport, ExportError};
use crate::discord::{Application, Channel, DiscordClient, Message, RequestError, TokenKind, WithId};
use crate::ending::{ChannelOutcome, cut_short, play_ending};
use crate::thread_starter::rename_placeholder;

/// The messages of one channel.
pub(crate) struct AskedExport<'a, 'b> {
    pub(crate) client: &'a mut DiscordClient,
    pub(crate) export: &'a mut ChannelExport<'b>,
    pub(crate) channel: &'a Channel,
    pub(crate) header: &'a Header,
    pub(crate) before: Option<Snowflake>,
    /// Maximum number of messages before the ending.
    pub(crate) limit: u64,
    pub(crate) ending: Ending,
    /// The users whose membership is known.
    pub(crate) members: HashSet<String>,
}

impl AskedExport<'_, '_> {
    pub(crate) fn run(&mut self) -> Result<ChannelOutcome, AskedExportError> {
        let newest = self.newest_message()?;
        let since = self.export.after.map(Snowflake::date);
        let Some(newest) = newest.filter(|newest| since.is_none_or(|since| newest.timestamp >= since)) else {
            return self.end(None);
        };
        let mut position = self.export.after.unwrap_or(Snowflake(0));
        let mut is_first = true;
        loop {
            let page = self.page(position)?;
            // The last one of the page as listed: not necessarily the one with the highest id.
            let Some(last) = page.last() else { return self.end(None) };
            position = last.id;
            if page.iter().all(Message::is_empty) {
                self.ensure_message_content()?;
            }
            if let Some(first) = page.first().filter(|_| is_first) {
                self.export.progress.cover(first.id, newest.id);
                is_first = false;
            }
            for message in page {
                if message.timestamp > newest.timestamp {
                    return self.end(None);
                }
                if let Some(outcome) = self.message(message)? {
                    return Ok(outcome);
                }
            }
        }
    }

    /// Ends as scripted: completely, unless the scenario wants it otherwise.
    fn end(&mut self, next: Option<&[u8]>) -> Result<ChannelOutcome, AskedExportError> {
        Ok(play_ending(self.export, self.ending, &self.channel.id, self.header, next)?)
    }

    /// DCE's first question. 2.48 takes every refusal for the answer that there is none.
    fn newest_message(&mut self) -> Result<Option<Message>, RequestError> {
        let before = self.before.map_or(String::new(), |Snowflake(before)| format!("&before={before}"));
        let request = format!("channels/{}/messages?limit=1{before}", self.channel.id);
        let messages: Vec<Message> = match self.export.version {
            DceVersion::V2_47 => self.client.get(&request, self.export)?,
            DceVersion::V2_48 => self.client.try_get(&request, self.export)?.unwrap_or_default(),
        };
        Ok(messages.into_iter().next_back())
    }

    /// The messages that follow, oldest first.
    fn page(&mut self, Snowflake(after): Snowflake) -> Result<Vec<Message>, RequestError> {
        let request = format!("channels/{}/messages?limit=100&after={after}", self.channel.id);
        let mut messages: Vec<Message> = self.client.get(&request, self.export)?;
        messages.reverse();
        Ok(messages)
    }

    /// A page of empty messages may mean that the bot does not see contents.
    fn ensure_message_content(&mut self) -> Result<(), RequestError> {
        if self.client.token_kind(self.export)? == TokenKind::User {
            return Ok(());
        }
        let application: Application = self.client.get("applications/@me", self.export)?;
        if application.has_message_content() { Ok(()) } else { Err(RequestError::NoIntent) }
    }

    /// Exports one message, or ends as scripted before it.
    fn message(&mut self, listed: Message) -> Result<Option<ChannelOutcome>, AskedExportError> {
        let id = listed.id;
        let message = self.resolve_starter(listed)?;
        self.ask_members(&message).map_err(|source| AskedExportError::Message { id, source })?;
        let mut written = message.dce.clone().ok_or(AskedExportError::NotAFake(id))?.into_bytes();
        rename_placeholder(&mut written, self.export.version);
        if !self.export.passes_filter(&written)? {
            self.export.skip(id)?;
            return Ok(None);
        }
        if self.export.written >= self.limit {
            return self.end(Some(&written)).map(Some);
        }
        if let Err(source) = self.ask_reactions(&message) {
            // The users of reactions are asked for while the message is being written.
            self.export.writer.cut_message(&cut_short(&written)).map_err(ExportError::from)?;
            return Err(AskedExportError::CutMessage { id: message.id, source });
        }
        self.export.write(id, &written)?;
        Ok(None)
    }

    /// 2.48 puts the starter in place of its placeholder, if the parent shows it.
    fn resolve_starter(&mut self, message: Message) -> Result<Message, RequestError> {
        let (DceVersion::V2_48, Some((channel, starter))) = (self.export.version, message.starter()) else {
            return Ok(message);
        };
        let request = format!("channels/{channel}/messages?around={starter}&limit=1");
        let around: Option<Vec<Message>> = self.client.try_get(&request, self.export)?;
        let found = around.into_iter().flatten().find(|found| found.id.0.to_string() == starter);
        Ok(found.unwrap_or(message))
    }

    /// Asks for each user once.
    fn ask_members(&mut self, message: &Message) -> Result<(), RequestError> {
        let Some(guild) = &self.channel.guild_id else { return Ok(()) };
        for user in message.users() {
            if self.members.insert(user.to_owned()) {
                let request = format!("guilds/{guild}/members/{user}");
                let _: Option<IgnoredAny> = self.client.try_get(&request, self.export)?;
            }
        }
        Ok(())
    }

    /// Asks for the users of each reaction until there are no more; of a starter's too in this channel.
    fn ask_reactions(&mut self, message: &Message) -> Result<(), RequestError> {
        let channel = &self.channel.id;
        for reaction in &message.reactions {
            let emoji = reaction.emoji.escaped();
            let mut after = "0".to_owned();
            loop {
                let request = format!(
                    "channels/{channel}/messages/{}/reactions/{emoji}?limit=100&after={after}",
                    message.id.0
                );
                let users: Option<Vec<WithId>> = self.client.try_get(&request, self.export)?;
                match users.and_then(|users| users.into_iter().next_back()) {
                    Some(last) => after = last.id,
                    None => break,
                }
            }
        }
        Ok(())
    }
}
