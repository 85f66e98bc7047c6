//! A Discord for tests: the REST API, as far as DCE and the service call it, over the channels of a scenario.
//!
//! It serves the same channels that the stand-in exports, so that the service's own client, the stand-in and a real DCE are
//! told one truth. A test changes channels, refuses requests and breaks connections through [`FakeDiscord`].

mod answer;
mod api_message;
mod buckets;
mod changes;
mod channels;
mod endpoints;
mod fault;
mod history;
mod http;
mod messages;
mod people;
mod post;
mod random_faults;
mod request;
mod route;
mod server;
mod sources;
mod state;
mod tls;
mod truth;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::TimeDelta;
use dce_standin::snowflake::Snowflake;
use tokio::runtime::{Builder, Runtime};

use buckets::Buckets;
use changes::{Access, Changes, LastMessageId};
pub use fault::{Effect, Fault, Scope};
pub use post::Post;
pub use random_faults::RandomFaults;
pub use request::{Auth, Request};
pub use route::Route;
use server::{Port, Protocol, Shared, listen};
use state::State;
use tls::Authority;

/// A running fake. Ends with all its connections when dropped.
pub struct FakeDiscord {
    shared: Arc<Shared>,
    port: u16,
    proxy: Mutex<Option<(u16, Authority)>>,
    /// None only while it is dropped.
    runtime: Option<Runtime>,
}

/// The variables that send a client of `https://discord.com` to the fake.
#[derive(Debug, Clone)]
pub struct ProxyVariables {
    /// For `HTTPS_PROXY`.
    pub https_proxy: String,
    /// For `SSL_CERT_FILE`: the authority that the client must trust.
    pub ssl_cert_file: PathBuf,
}

impl FakeDiscord {
    /// Listens on a free port of 127.0.0.1 and serves the scenario in this directory.
    pub fn start(scenario_dir: &Path) -> io::Result<Self> {
        Self::start_on(scenario_dir, 0)
    }

    /// The same on a given port.
    pub fn start_on(scenario_dir: &Path, port: u16) -> io::Result<Self> {
        let mut state = State::new(scenario_dir.to_owned());
        state.sources.scenario()?; // a broken scenario is found at once
        let port = Port::reserve(port)?;
        let (shared, number) = (Arc::new(Shared::new(state)), port.number());
        // Its own threads: a test may block its own.
        let runtime =
            Builder::new_multi_thread().worker_threads(1).thread_name("fake-discord").enable_all().build()?;
        let listening = listen(&runtime, port, Protocol::Http, &shared)?;
        runtime.spawn(listening);
        Ok(Self { shared, port: number, proxy: Mutex::default(), runtime: Some(runtime) })
    }

    /// The value of `DISCORD_API_URL`.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/api/v10", self.port)
    }

    /// A proxy through which clients of `https://discord.com` reach the fake.
    pub fn proxy(&self) -> io::Result<ProxyVariables> {
        let mut proxy = self.proxy.lock().unwrap_or_else(PoisonError::into_inner);
        if proxy.is_none() {
            let (authority, port) = (Authority::create()?, Port::reserve(0)?);
            let number = port.number();
            let runtime = self.runtime.as_ref().ok_or(io::ErrorKind::NotConnected)?;
            let protocol = Protocol::Proxy(authority.acceptor()?);
            runtime.spawn(listen(runtime, port, protocol, &self.shared)?);
            *proxy = Some((number, authority));
        }
        let (port, authority) = proxy.as_ref().ok_or(io::ErrorKind::NotConnected)?;
        let https_proxy = format!("http://127.0.0.1:{port}");
        Ok(ProxyVariables { https_proxy, ssl_cert_file: authority.file().to_owned() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state()
    }

    fn change(&self, channel: &str, change: impl FnOnce(&mut Changes)) {
        change(self.state().changes(channel));
    }
}

/// Requests that came, and faults of those that come.
impl FakeDiscord {
    /// The requests so far, oldest first; of very many the latest.
    pub fn requests(&self) -> Vec<Request> {
        self.state().log.iter().cloned().collect()
    }

    /// The time since the start, which requests and faults are measured in.
    pub fn elapsed(&self) -> Duration {
        self.shared.start().elapsed()
    }

    /// Adds a fault. Where several match a request, the oldest one decides.
    pub fn fault(&self, fault: Fault) {
        self.state().faults.push(fault);
    }

    /// Removes all faults, those at random too.
    pub fn clear_faults(&self) {
        let mut state = self.state();
        state.faults.clear();
        state.random_faults = None;
    }

    /// Faults at random, for requests that no other fault affects.
    pub fn random_faults(&self, faults: RandomFaults) {
        self.state().random_faults = Some(faults);
    }

    /// Limits each bucket to this many requests in a time.
    pub fn limit_buckets(&self, requests: u32, window: Duration) {
        self.state().buckets = Buckets::new(requests, window);
    }

    /// Discord cannot be reached: new connections are refused, open ones are closed.
    pub fn away(&self) {
        self.shared.is_away.send_replace(true);
    }

    /// Discord can be reached again.
    pub fn back(&self) {
        self.shared.is_away.send_replace(false);
    }

    /// Sets Discord's clock, which is seen in `Date`, ahead of this machine's, or behind it.
    pub fn set_clock_offset(&self, offset: TimeDelta) {
        self.state().clock_offset = offset;
    }

    /// Tokens are a user's: valid without `Bot ` and refused with it.
    pub fn take_user_tokens(&self, takes: bool) {
        self.state().takes_user_tokens = takes;
    }

    /// Whether the bot may read message contents.
    pub fn content_intent(&self, has: bool) {
        self.state().has_content_intent = has;
    }
}

/// Changes of channels.
impl FakeDiscord {
    /// Withdraws Read Message History, or grants it again: pages are empty, single messages are refused.
    pub fn hide_history(&self, channel: &str, is_hidden: bool) {
        self.change(channel, |changes| changes.restrict(Access::HistoryHidden, is_hidden));
    }

    /// Refuses the channel with 403, or admits it again.
    pub fn forbid(&self, channel: &str, is_forbidden: bool) {
        self.change(channel, |changes| changes.restrict(Access::Forbidden, is_forbidden));
    }

    /// Refuses the channel's messages with 403, or admits them again.
    pub fn forbid_messages(&self, channel: &str, are_forbidden: bool) {
        self.change(channel, |changes| changes.restrict(Access::MessagesForbidden, are_forbidden));
    }

    /// Grants from now on what scripted attempts are refused: a run that asks before it starts DCE would otherwise be
    /// refused for ever.
    pub fn lift_scripted_refusals(&self, channel: &str) {
        self.change(channel, |changes| changes.lifts_scripted_refusals = true);
    }

    /// Adds a message, or replaces the one of its id.
    pub fn post(&self, channel: &str, post: Post) {
        self.change(channel, |changes| changes.post(post));
    }

    pub fn delete(&self, channel: &str, message: u64) {
        self.change(channel, |changes| changes.delete(Snowflake(message)));
    }

    /// Deletes every message of a channel, which must be small. Its `last_message_id` stays, as in Discord.
    pub fn delete_all(&self, channel: &str) {
        for message in self.message_ids(channel) {
            self.delete(channel, message);
        }
    }

    /// Hides a message until this many requests for the channel's messages have been answered.
    pub fn appears_after(&self, channel: &str, message: u64, requests: u64) {
        self.change(channel, |changes| changes.appears_after(Snowflake(message), requests));
    }

    /// Hides a message until [`appear`](Self::appear).
    pub fn hide(&self, channel: &str, message: u64) {
        self.change(channel, |changes| changes.hide_until_called(Snowflake(message)));
    }

    /// Shows a hidden message.
    pub fn appear(&self, channel: &str, message: u64) {
        self.change(channel, |changes| changes.appear(Snowflake(message)));
    }

    /// Lists messages of one millisecond in this order from old to new, whatever their ids. Pages are cut by id all the same.
    pub fn list_in_order(&self, channel: &str, messages: &[u64]) {
        self.change(channel, |changes| changes.list_in_order(messages));
    }

    /// Ends no page inside a millisecond, where a pair in the wrong order would be lost to everybody who pages forward.
    pub fn keep_milliseconds_whole(&self, channel: &str) {
        self.change(channel, |changes| changes.keeps_milliseconds_whole = true);
    }

    /// Replaces the channel's `last_message_id`; by default it is that of the newest message, deleted or not.
    pub fn set_last_message_id(&self, channel: &str, id: Option<u64>) {
        let last = id.map_or(LastMessageId::Null, |id| LastMessageId::Fixed(Snowflake(id)));
        self.change(channel, |changes| changes.last_message_id = last);
    }

    /// The ids of a channel's visible messages, the lowest first; of a channel that cannot be read none.
    pub fn message_ids(&self, channel: &str) -> Vec<u64> {
        let mut state = self.state();
        let found = state.channel(channel).ok().flatten();
        found.map_or_else(Vec::new, |channel| state.history(&channel).ids())
    }

    /// A channel's visible messages as DCE writes them, the lowest id first; none of a channel that the scenario lacks.
    pub fn dce_messages(&self, channel: &str) -> io::Result<Vec<Vec<u8>>> {
        let mut state = self.state();
        let Some(channel) = state.channel(channel)? else { return Ok(Vec::new()) };
        let guild = channel.info.guild_id().unwrap_or_default();
        state.history(&channel).dce_messages(guild)
    }
}

impl std::fmt::Debug for FakeDiscord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FakeDiscord").field("port", &self.port).finish_non_exhaustive()
    }
}

impl Drop for FakeDiscord {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background(); // does not wait: a test may end in an asynchronous context
        }
    }
}
