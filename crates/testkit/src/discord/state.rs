//! The state of the fake: channels, changes, faults and the log of requests.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use dce_standin::source::ListedMessages;
use serde_json::Value;

use super::answer::Answer;
use super::buckets::{Buckets, Usage};
use super::changes::Changes;
use super::channels::ChannelInfo;
use super::fault::{Fault, Scope};
use super::history::History;
use super::people::People;
use super::random_faults::RandomFaults;
use super::request::{Auth, Request};
use super::sources::Sources;
use super::truth::{self, Refusal};

/// Requests that the log keeps; older ones are forgotten.
const LOGGED: usize = 100_000;

pub(super) struct State {
    pub(super) sources: Sources,
    pub(super) people: People,
    /// Parents and servers of the channels asked for so far, by id.
    pub(super) seen: HashMap<String, Value>,
    /// Channels asked for so far whose messages were not read for members and roles, with their servers.
    unread: BTreeSet<(String, String)>,
    /// Those that were.
    read: BTreeSet<String>,
    changes: HashMap<String, Changes>,
    pub(super) faults: Vec<Fault>,
    pub(super) random_faults: Option<RandomFaults>,
    pub(super) buckets: Buckets,
    /// Tokens are a user's, which are sent without `Bot `.
    pub(super) takes_user_tokens: bool,
    /// The bot may read the contents of messages.
    pub(super) has_content_intent: bool,
    /// Discord's clock, ahead of this machine's.
    pub(super) clock_offset: TimeDelta,
    pub(super) log: VecDeque<Request>,
}

/// A channel at the time of a request.
pub(super) struct CurrentChannel {
    pub(super) info: ChannelInfo,
    pub(super) messages: Option<Arc<ListedMessages>>,
    pub(super) refusal: Option<Refusal>,
}

impl State {
    pub(super) fn new(dir: PathBuf) -> Self {
        Self {
            sources: Sources::new(dir),
            people: People::default(),
            seen: HashMap::new(),
            unread: BTreeSet::new(),
            read: BTreeSet::new(),
            changes: HashMap::new(),
            faults: Vec::new(),
            random_faults: None,
            buckets: Buckets::default(),
            takes_user_tokens: false,
            has_content_intent: true,
            clock_offset: TimeDelta::zero(),
            log: VecDeque::new(),
        }
    }

    /// Answers a request and logs it.
    pub(super) fn answer(&mut self, mut request: Request, token: Option<&str>) -> Answer {
        let usage = self.buckets.count(request.route.bucket(), request.at);
        let effects: Vec<_> = self.faults.iter_mut().filter_map(|fault| fault.effect_on(&request)).collect();
        // Every fault counts the request; the first one decides.
        let effect = effects.first().copied().or_else(|| self.random_faults.as_mut()?.draw(&request));
        let mut answer = match effect {
            Some(effect) => effect.apply(|| self.regular_answer(&request, token, &usage)),
            None => self.regular_answer(&request, token, &usage),
        };
        answer.headers.extend(limit_headers(&request, &usage));
        request.status = answer.delivery.begins_answer().then_some(answer.status);
        if self.log.len() == LOGGED {
            self.log.pop_front();
        }
        self.log.push_back(request);
        answer
    }

    fn regular_answer(&mut self, request: &Request, token: Option<&str>, usage: &Usage) -> Answer {
        if usage.is_exceeded {
            return Answer::rate_limited(usage.reset_after, Scope::User);
        }
        match self.accepts(request.auth, token) {
            Ok(true) => {}
            Ok(false) => return Answer::unauthorized(),
            Err(error) => return broken(&error),
        }
        self.endpoint(request).unwrap_or_else(|error| broken(&error))
    }

    /// Whether the token is valid in this form.
    fn accepts(&mut self, auth: Auth, token: Option<&str>) -> io::Result<bool> {
        let scenario = self.sources.scenario()?;
        let form = if self.takes_user_tokens { Auth::User } else { Auth::Bot };
        let is_good = scenario.token.as_ref().is_none_or(|good| Some(good.as_str()) == token);
        Ok(auth == form && is_good && !truth::token_is_refused(self.sources.dir(), &scenario)?)
    }

    /// None: Discord does not know the channel.
    pub(super) fn channel(&mut self, id: &str) -> io::Result<Option<CurrentChannel>> {
        let scenario = self.sources.scenario()?;
        let Some(channel) = scenario.channels.get(id) else { return Ok(None) };
        let truth = truth::of_channel(self.sources.dir(), id, channel)?;
        let (mut info, mut messages) = self.sources.open(id, &channel.source)?;
        if let Some(source) = truth.source.filter(|source| *source != channel.source)
            && let (_, Some(replayed)) = self.sources.open(id, &source)?
        {
            messages = Some(replayed);
        }
        if truth.refusal == Some(Refusal::Forum) {
            info = info.into_forum();
        }
        self.seen.extend(info.parent_object());
        self.seen.extend(info.guild_object());
        if let Some(guild) = info.guild_id().filter(|_| !self.read.contains(id)) {
            self.unread.insert((guild.to_owned(), id.to_owned()));
        }
        let is_lifted = self.changes(id).lifts_scripted_refusals;
        let refusal = truth.refusal.filter(|_| !is_lifted);
        Ok(Some(CurrentChannel { info, messages, refusal }))
    }

    /// The channels of a server whose messages are to be read for members and roles; each is returned once.
    pub(super) fn channels_without_people(&mut self, guild: &str) -> Vec<String> {
        let of_guild = self.unread.extract_if(.., |(of, _)| of == guild).map(|(_, channel)| channel);
        let channels: Vec<_> = of_guild.collect();
        self.read.extend(channels.iter().cloned());
        channels
    }

    /// What a test has changed about a channel.
    pub(super) fn changes(&mut self, channel: &str) -> &mut Changes {
        self.changes.entry(channel.to_owned()).or_default()
    }

    /// The messages of a channel as they are now.
    pub(super) fn history<'a>(&'a mut self, channel: &'a CurrentChannel) -> History<'a> {
        let id = channel.info.id();
        History { source: channel.messages.as_deref(), changes: self.changes(id) }
    }
}

/// The scenario is broken: whoever asked sees it.
fn broken(error: &io::Error) -> Answer {
    let mut answer = Answer::status(500);
    answer.body = format!("the fake Discord cannot answer: {error}").into_bytes();
    answer
}

fn limit_headers(request: &Request, usage: &Usage) -> [(&'static str, String); 4] {
    let seconds = |duration: Duration| format!("{:.3}", duration.as_secs_f64());
    [
        ("X-RateLimit-Bucket", request.route.bucket()),
        ("X-RateLimit-Limit", usage.limit.to_string()),
        ("X-RateLimit-Remaining", usage.remaining.to_string()),
        ("X-RateLimit-Reset-After", seconds(usage.reset_after)),
    ]
}
