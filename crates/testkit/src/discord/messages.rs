//! The answers about messages.

use std::io;

use dce_standin::snowflake::Snowflake;
use serde_json::Value;

use super::answer::Answer;
use super::api_message::{emoji_in_path, from_dce, parse_dce, user, without_content};
use super::changes::Access;
use super::endpoints::number;
use super::history::{Entry, LARGEST_PAGE, Position};
use super::request::Request;
use super::state::{CurrentChannel, State};
use super::truth::Refusal;

/// Messages of a page without a `limit`.
const DEFAULT_LIMIT: usize = 50;
/// Messages of a channel that are read for its members and roles.
const SAMPLED: u64 = 300;

impl State {
    /// The channel if its messages can be asked for.
    fn readable_channel(&mut self, id: &str) -> io::Result<Result<CurrentChannel, Answer>> {
        let channel = match self.visible_channel(id)? {
            Ok(channel) => channel,
            refused => return Ok(refused),
        };
        let is_forbidden = channel.refusal == Some(Refusal::ForbiddenMessages);
        Ok(if is_forbidden || self.changes(id).access == Access::MessagesForbidden {
            Err(Answer::missing_access())
        } else if channel.info.has_messages() {
            Ok(channel)
        } else {
            Err(Answer::wrong_channel_type())
        })
    }

    pub(super) fn messages(&mut self, id: &str, request: &Request) -> io::Result<Answer> {
        let channel = match self.readable_channel(id)? {
            Ok(channel) => channel,
            // The parent of a thread that the scenario does not have: a channel whose messages are gone.
            Err(refused) if refused.status == 404 && self.seen.contains_key(id) => {
                return Ok(Answer::raw_json(b"[]".to_vec()));
            }
            Err(refused) => return Ok(refused),
        };
        let (Some(position), Some(limit)) = (position(request), limit(request)) else {
            return Ok(Answer::invalid_query());
        };
        let changes = self.changes(id);
        changes.count_request();
        if changes.access == Access::HistoryHidden {
            return Ok(Answer::raw_json(b"[]".to_vec()));
        }
        let page = self.history(&channel).page(position, limit);
        let page: Vec<_> = page.iter().map(Entry::id).collect();
        let mut body = b"[".to_vec();
        for id in page {
            if body.len() > 1 {
                body.push(b',');
            }
            body.extend(self.object(&channel, id)?.unwrap_or_default());
        }
        body.push(b']');
        Ok(Answer::raw_json(body))
    }

    pub(super) fn message(&mut self, channel: &str, id: &str) -> io::Result<Answer> {
        let channel = match self.readable_channel(channel)? {
            Ok(channel) => channel,
            Err(refused) => return Ok(refused),
        };
        let Some(id) = number(id) else { return Ok(Answer::invalid_query()) };
        if self.changes(channel.info.id()).access == Access::HistoryHidden {
            return Ok(Answer::missing_permissions());
        }
        let object = self.object(&channel, id)?;
        Ok(object.map_or_else(Answer::unknown_message, Answer::raw_json))
    }

    /// A message's object, or none if it is not there.
    fn object(&mut self, channel: &CurrentChannel, id: Snowflake) -> io::Result<Option<Vec<u8>>> {
        if let Some(Entry::Posted(post)) = self.history(channel).find(id)
            && let Some(api) = post.api_json()
        {
            return Ok(Some(api.as_bytes().to_vec()));
        }
        let Some((verbatim, message)) = self.dce_message(channel, id)? else { return Ok(None) };
        self.people.learn(&message);
        let mut object = from_dce(&message, &verbatim, channel.info.id());
        if !self.has_content_intent || channel.refusal == Some(Refusal::NoIntent) {
            without_content(&mut object);
        }
        Ok(Some(object.to_string().into_bytes()))
    }

    /// A message as DCE writes it, as bytes and parsed.
    fn dce_message(
        &mut self,
        channel: &CurrentChannel,
        id: Snowflake,
    ) -> io::Result<Option<(Vec<u8>, Value)>> {
        let guild = channel.info.guild_id().unwrap_or_default();
        let history = self.history(channel);
        let Some(entry) = history.find(id) else { return Ok(None) };
        let mut verbatim = Vec::new();
        history.read_dce(entry, guild, &mut verbatim)?;
        let message = parse_dce(&verbatim)?;
        Ok(Some((verbatim, message)))
    }

    /// The users of a reaction by id, those after `after`.
    pub(super) fn reaction_users(
        &mut self,
        channel: &str,
        message: &str,
        emoji: &str,
        request: &Request,
    ) -> io::Result<Answer> {
        let channel = match self.readable_channel(channel)? {
            Ok(channel) => channel,
            Err(refused) => return Ok(refused),
        };
        if self.changes(channel.info.id()).access == Access::HistoryHidden {
            return Ok(Answer::missing_permissions());
        }
        let (Some(id), Some(limit)) = (number(message), limit(request)) else {
            return Ok(Answer::invalid_query());
        };
        let Some((_, message)) = self.dce_message(&channel, id)? else {
            return Ok(Answer::unknown_message());
        };
        let mut reactions = message["reactions"].as_array().into_iter().flatten();
        let Some(reaction) = reactions.find(|reaction| emoji_in_path(&reaction["emoji"]) == emoji) else {
            return Ok(Answer::unknown_emoji());
        };
        let after = request.parameter("after").and_then(number).unwrap_or(Snowflake(0));
        let id_of = |user: &Value| user["id"].as_str().and_then(number).unwrap_or(Snowflake(0));
        let mut users: Vec<_> = reaction["users"].as_array().cloned().unwrap_or_default();
        users.retain(|user| id_of(user) > after);
        users.sort_by_key(id_of);
        users.truncate(limit);
        Ok(Answer::json(&users.iter().map(user).collect()))
    }

    /// Learns members and roles from the first messages of a channel.
    pub(super) fn learn_people(&mut self, id: &str) -> io::Result<()> {
        let Some(channel) = self.channel(id)? else { return Ok(()) };
        let Some(messages) = &channel.messages else { return Ok(()) };
        for number in 0..messages.count().min(SAMPLED) {
            let mut message = Vec::new();
            messages.read(number, &mut message)?;
            self.people.learn(&parse_dce(&message)?);
        }
        Ok(())
    }
}

/// None: not valid.
fn position(request: &Request) -> Option<Position> {
    for (name, make) in [
        ("around", Position::Around as fn(Snowflake) -> Position),
        ("before", Position::Before),
        ("after", Position::After),
    ] {
        if let Some(value) = request.parameter(name) {
            return number(value).map(make);
        }
    }
    Some(Position::Newest)
}

/// None: not valid.
fn limit(request: &Request) -> Option<usize> {
    match request.parameter("limit") {
        None => Some(DEFAULT_LIMIT),
        Some(limit) => limit.parse().ok().filter(|limit| (1..=LARGEST_PAGE).contains(limit)),
    }
}
