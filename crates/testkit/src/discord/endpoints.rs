//! The answers about users, servers and channels.

use std::collections::BTreeMap;
use std::io;

use dce_standin::snowflake::Snowflake;
use serde_json::{Value, json};

use super::answer::Answer;
use super::changes::Access;
use super::channels::ChannelInfo;
use super::request::Request;
use super::route::Route;
use super::state::{CurrentChannel, State};
use super::truth::{self, Refusal};

/// The id of the bot, and of its application.
const BOT: &str = "700000000000000000";
/// Flag of an application that may read message contents.
const CONTENT_INTENT: u64 = 1 << 18;

impl State {
    pub(super) fn endpoint(&mut self, request: &Request) -> io::Result<Answer> {
        Ok(match &request.route {
            Route::CurrentUser => Answer::json(&self.current_user()),
            Route::Guilds => self.guilds(request)?,
            Route::DirectMessages => self.direct_messages()?,
            Route::Application => Answer::json(&self.application()?),
            Route::Guild(guild) => self.guild(guild)?,
            Route::GuildChannels(guild) => self.guild_channels(guild)?,
            Route::GuildRoles(guild) => self.guild_roles(guild)?,
            Route::Member { user, .. } => {
                self.people.member(user).map_or_else(Answer::unknown_member, Answer::json)
            }
            Route::ActiveThreads(_) | Route::Threads(_) => {
                Answer::json(&json!({ "threads": [], "members": [], "has_more": false }))
            }
            Route::Channel(channel) => self.channel_object(channel)?,
            Route::Messages(channel) => self.messages(channel, request)?,
            Route::Message { channel, message } => self.message(channel, message)?,
            Route::Reaction { channel, message, emoji } => {
                self.reaction_users(channel, message, emoji, request)?
            }
            Route::Unknown(_) => Answer::unknown_route(),
        })
    }

    fn current_user(&self) -> Value {
        json!({
            "id": BOT, "username": "fake", "global_name": null, "discriminator": "0", "avatar": null,
            "bot": !self.takes_user_tokens,
        })
    }

    fn application(&mut self) -> io::Result<Value> {
        let scenario = self.sources.scenario()?;
        let mut has_intent = self.has_content_intent;
        for (id, channel) in &scenario.channels {
            let truth = truth::of_channel(self.sources.dir(), id, channel)?;
            has_intent &= truth.refusal != Some(Refusal::NoIntent);
        }
        let flags = if has_intent { CONTENT_INTENT } else { 0 };
        Ok(json!({ "id": BOT, "name": "fake", "flags": flags }))
    }

    /// The servers of the scenario's channels, by id.
    fn known_guilds(&mut self) -> io::Result<BTreeMap<String, Value>> {
        Ok(self.sources.all()?.iter().filter_map(ChannelInfo::guild_object).collect())
    }

    fn guilds(&mut self, request: &Request) -> io::Result<Answer> {
        let after = request.parameter("after").and_then(number).unwrap_or(Snowflake(0));
        let guilds = self.known_guilds()?;
        let later = guilds.iter().filter(|(id, _)| number(id).is_some_and(|id| id > after));
        Ok(Answer::json(&later.map(|(_, guild)| guild.clone()).collect()))
    }

    fn direct_messages(&mut self) -> io::Result<Answer> {
        let all = self.sources.all()?;
        let direct = all.iter().filter(|channel| channel.guild_id().is_none());
        Ok(Answer::json(&direct.map(|channel| channel.object(None)).collect()))
    }

    fn guild(&mut self, guild: &str) -> io::Result<Answer> {
        if let Some(seen) = self.seen.get(guild) {
            return Ok(Answer::json(seen));
        }
        Ok(self.known_guilds()?.get(guild).map_or_else(Answer::unknown_guild, Answer::json))
    }

    /// The channels of a server with their categories, without threads.
    fn guild_channels(&mut self, guild: &str) -> io::Result<Answer> {
        let all = self.sources.all()?;
        let of_guild = || all.iter().filter(|channel| channel.guild_id() == Some(guild));
        let mut objects: BTreeMap<String, Value> =
            of_guild().filter_map(ChannelInfo::parent_object).collect();
        let channels = of_guild().filter(|channel| !channel.is_thread());
        objects.extend(channels.map(|channel| (channel.id().to_owned(), channel.object(None))));
        if objects.is_empty() && !self.seen.contains_key(guild) {
            return Ok(Answer::unknown_guild());
        }
        Ok(Answer::json(&objects.into_values().collect()))
    }

    /// DCE asks for roles before it reads messages, so the first ones of each channel are read for them here.
    fn guild_roles(&mut self, guild: &str) -> io::Result<Answer> {
        for id in self.channels_without_people(guild) {
            self.learn_people(&id)?;
        }
        Ok(Answer::json(&self.people.roles(guild).into()))
    }

    /// The channel as it can be seen, or the answer that says why it cannot.
    pub(super) fn visible_channel(&mut self, id: &str) -> io::Result<Result<CurrentChannel, Answer>> {
        if self.changes(id).access == Access::Forbidden {
            return Ok(Err(Answer::missing_access()));
        }
        let Some(channel) = self.channel(id)? else { return Ok(Err(Answer::unknown_channel())) };
        Ok(match channel.refusal {
            Some(Refusal::Forbidden) => Err(Answer::missing_access()),
            Some(Refusal::Unknown) => Err(Answer::unknown_channel()),
            _ => Ok(channel),
        })
    }

    fn channel_object(&mut self, id: &str) -> io::Result<Answer> {
        Ok(match self.visible_channel(id)? {
            Ok(channel) => {
                let last = self.history(&channel).last_message_id();
                Answer::json(&channel.info.object(last))
            }
            // A category or a parent that the scenario does not have itself.
            Err(refused) if refused.status == 404 => self.seen.get(id).map_or(refused, Answer::json),
            Err(refused) => refused,
        })
    }
}

/// An id as Discord reads it.
pub(super) fn number(text: &str) -> Option<Snowflake> {
    let is_decimal = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_decimal).map(Snowflake)
}
