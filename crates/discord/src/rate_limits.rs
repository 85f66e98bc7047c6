//! Decides when the next request may be sent: by Discord's buckets, by its global limit, and by its 429 answers.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use dce_snowflake::Snowflake;

use crate::rate_limit_headers::{BucketHeaders, Scope};
use crate::route::{Endpoint, Route};

/// Discord's limit of one token over all routes.
const GLOBAL_LIMIT: usize = 50;
const GLOBAL_WINDOW: Duration = Duration::from_secs(1);
/// Above this number, buckets whose window is over are forgotten.
const KEPT_BUCKETS: usize = 1_000;

#[derive(Debug, Default)]
pub(crate) struct RateLimits {
    /// Times of the last requests, at most `GLOBAL_LIMIT`.
    sent: VecDeque<Instant>,
    blocked_until: Option<Instant>,
    names: HashMap<Endpoint, String>,
    buckets: HashMap<Key, Bucket>,
}

/// A bucket of Discord's; before the first answer names it, the endpoint stands for it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    name: Name,
    major: Option<Snowflake>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Name {
    Discord(String),
    Endpoint(Endpoint),
}

#[derive(Debug, Clone, Default)]
struct Bucket {
    window: Option<Window>,
    blocked_until: Option<Instant>,
}

#[derive(Debug, Clone)]
struct Window {
    limit: u32,
    remaining: u32,
    resets_at: Instant,
    /// The longest time to a reset seen: how long a new window will last.
    length: Duration,
}

impl RateLimits {
    /// Takes one request from the limits, or returns the time before which none is allowed.
    pub(crate) fn reserve(&mut self, route: Route, now: Instant) -> Result<(), Instant> {
        let global = self.blocked_until.filter(|until| *until > now).or_else(|| self.global_window_ends(now));
        let key = self.key(route);
        let bucket = self.buckets.get_mut(&key);
        let limited = bucket.as_ref().and_then(|bucket| bucket.closed_until(now));
        if let Some(until) = global.max(limited) {
            return Err(until);
        }
        if let Some(bucket) = bucket {
            bucket.take(now);
        }
        self.sent.push_back(now);
        if self.sent.len() > GLOBAL_LIMIT {
            self.sent.pop_front();
        }
        Ok(())
    }

    /// Learns from the headers of an answer.
    pub(crate) fn observe(&mut self, route: Route, headers: &BucketHeaders, now: Instant) {
        let unnamed = self.key(route);
        if let Some(name) = &headers.bucket {
            self.names.insert(route.endpoint(), name.clone());
        }
        let key = self.key(route);
        if key != unnamed
            && let Some(bucket) = self.buckets.remove(&unnamed)
        {
            self.buckets.entry(key.clone()).or_insert(bucket);
        }
        let (Some(remaining), Some(reset_after)) = (headers.remaining, headers.reset_after) else { return };
        self.forget_idle_buckets(now);
        self.buckets.entry(key).or_default().update(headers.limit, remaining, reset_after, now);
    }

    /// Learns from a 429.
    pub(crate) fn limited(&mut self, route: Route, scope: Scope, retry_after: Duration, now: Instant) {
        let until = Some(now + retry_after);
        if scope == Scope::Global {
            self.blocked_until = self.blocked_until.max(until);
        } else {
            let bucket = self.buckets.entry(self.key(route)).or_default();
            bucket.blocked_until = bucket.blocked_until.max(until);
        }
    }

    fn key(&self, route: Route) -> Key {
        let endpoint = route.endpoint();
        let name = self.names.get(&endpoint).cloned().map_or(Name::Endpoint(endpoint), Name::Discord);
        Key { name, major: route.major_parameter() }
    }

    fn global_window_ends(&self, now: Instant) -> Option<Instant> {
        let oldest = self.sent.front().filter(|_| self.sent.len() >= GLOBAL_LIMIT)?;
        Some(*oldest + GLOBAL_WINDOW).filter(|ends| *ends > now)
    }

    fn forget_idle_buckets(&mut self, now: Instant) {
        if self.buckets.len() >= KEPT_BUCKETS {
            self.buckets.retain(|_, bucket| bucket.is_active(now));
        }
    }
}

impl Bucket {
    fn closed_until(&self, now: Instant) -> Option<Instant> {
        let blocked = self.blocked_until.filter(|until| *until > now);
        let used_up =
            self.window.as_ref().filter(|window| window.remaining == 0).map(|window| window.resets_at);
        blocked.max(used_up.filter(|until| *until > now))
    }

    fn take(&mut self, now: Instant) {
        if let Some(window) = &mut self.window {
            if window.resets_at <= now {
                // Until an answer says better, the new window is like the last one and begins with this request.
                window.remaining = window.limit;
                window.resets_at = now + window.length;
            }
            window.remaining = window.remaining.saturating_sub(1);
        }
    }

    fn update(&mut self, limit: Option<u32>, remaining: u32, reset_after: Duration, now: Instant) {
        let limit = limit.unwrap_or(0).max(remaining).max(1);
        let resets_at = now + reset_after;
        self.window = Some(match self.window.take() {
            // Other requests may be on their way, which the answer does not know of yet.
            Some(window) if window.resets_at > now => Window {
                limit,
                remaining: window.remaining.min(remaining),
                resets_at: window.resets_at.max(resets_at),
                length: window.length.max(reset_after),
            },
            Some(window) => Window { limit, remaining, resets_at, length: window.length.max(reset_after) },
            None => Window { limit, remaining, resets_at, length: reset_after },
        });
    }

    fn is_active(&self, now: Instant) -> bool {
        self.blocked_until.is_some_and(|until| until > now)
            || self.window.as_ref().is_some_and(|window| window.resets_at > now)
    }
}

#[cfg(test)]
mod tests;
