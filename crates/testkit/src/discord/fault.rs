//! Scripted faults: which requests, when, how often, and what happens to them.

use std::fmt;
use std::time::Duration;

use super::answer::{Answer, Delivery};
use super::request::Request;
use super::route::Route;

/// What happens to a request instead of its answer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Effect {
    /// This status with Discord's body for it.
    Status(u16),
    /// This status with a page of Discord's edge.
    Html(u16),
    /// 429.
    RateLimited { retry_after: Duration, scope: Scope },
    /// The connection is closed without an answer.
    Drop,
    /// The connection is closed after half of the body.
    DropInside,
    /// No answer comes, and the connection stays open.
    Stall,
    /// Half of the body comes, and the connection stays open.
    StallInside,
    /// `200 []`
    EmptyPage,
    /// The answer comes later.
    Delay(Duration),
}

/// Whom a rate limit concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    User,
    Global,
    Shared,
}

impl Scope {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Global => "global",
            Self::Shared => "shared",
        }
    }
}

impl Effect {
    /// Changes an answer to what reaches the client. Only the effects on delivery need the answer itself.
    pub(super) fn apply(self, answer: impl FnOnce() -> Answer) -> Answer {
        match self {
            Self::Status(status) => Answer::status(status),
            Self::Html(status) => Answer::html(status),
            Self::RateLimited { retry_after, scope } => Answer::rate_limited(retry_after, scope),
            Self::EmptyPage => Answer::raw_json(b"[]".to_vec()),
            Self::Drop => Answer::status(500).delivered(Delivery::Dropped),
            Self::Stall => Answer::status(500).delivered(Delivery::Stalled),
            Self::DropInside => answer().delivered(Delivery::DroppedInside),
            Self::StallInside => answer().delivered(Delivery::StalledInside),
            Self::Delay(delay) => Answer { delay, ..answer() },
        }
    }
}

type Condition = Box<dyn Fn(&Request) -> bool + Send>;

/// A fault of the requests that it matches. Without further calls it is a 500, once, on the next of them.
pub struct Fault {
    route: Option<Route>,
    condition: Option<Condition>,
    first: u64,
    /// None: no end.
    times: Option<u64>,
    from: Duration,
    until: Duration,
    effect: Effect,
    matched: u64,
}

impl Fault {
    fn new(route: Option<Route>) -> Self {
        Self {
            route,
            condition: None,
            first: 1,
            times: Some(1),
            from: Duration::ZERO,
            until: Duration::MAX,
            effect: Effect::Status(500),
            matched: 0,
        }
    }

    /// Matches the requests of one route.
    pub fn on(route: Route) -> Self {
        Self::new(Some(route))
    }

    /// Matches every request.
    pub fn anywhere() -> Self {
        Self::new(None)
    }

    /// Matches only requests for which this holds.
    #[must_use]
    pub fn matching(mut self, condition: impl Fn(&Request) -> bool + Send + 'static) -> Self {
        self.condition = Some(Box::new(condition));
        self
    }

    /// Begins with the `number`th matching request from now on, from 1.
    #[must_use]
    pub fn nth(mut self, number: u64) -> Self {
        self.first = number;
        self
    }

    /// Affects this many matching requests.
    #[must_use]
    pub fn times(mut self, times: u64) -> Self {
        self.times = Some(times);
        self
    }

    /// Affects all further matching requests.
    #[must_use]
    pub fn always(mut self) -> Self {
        self.times = None;
        self
    }

    /// Matches only requests that come in this time since the start of the fake.
    #[must_use]
    pub fn between(mut self, from: Duration, until: Duration) -> Self {
        (self.from, self.until) = (from, until);
        self
    }

    #[must_use]
    pub fn effect(mut self, effect: Effect) -> Self {
        self.effect = effect;
        self
    }

    /// Answers with this status and Discord's body for it.
    #[must_use]
    pub fn status(self, status: u16) -> Self {
        self.effect(Effect::Status(status))
    }

    /// Answers with this status and a page of Discord's edge.
    #[must_use]
    pub fn html(self, status: u16) -> Self {
        self.effect(Effect::Html(status))
    }

    /// Answers with 429 for the client alone.
    #[must_use]
    pub fn rate_limited(self, retry_after: Duration) -> Self {
        self.effect(Effect::RateLimited { retry_after, scope: Scope::User })
    }

    /// Closes the connection without an answer.
    #[must_use]
    pub fn drops(self) -> Self {
        self.effect(Effect::Drop)
    }

    /// Closes the connection after half of the body.
    #[must_use]
    pub fn drops_inside(self) -> Self {
        self.effect(Effect::DropInside)
    }

    /// Sends nothing and keeps the connection open.
    #[must_use]
    pub fn stalls(self) -> Self {
        self.effect(Effect::Stall)
    }

    /// Sends half of the body and keeps the connection open.
    #[must_use]
    pub fn stalls_inside(self) -> Self {
        self.effect(Effect::StallInside)
    }

    /// Answers with `200 []`.
    #[must_use]
    pub fn empty_page(self) -> Self {
        self.effect(Effect::EmptyPage)
    }

    /// Answers later.
    #[must_use]
    pub fn delays(self, delay: Duration) -> Self {
        self.effect(Effect::Delay(delay))
    }

    /// What happens to this request. None: nothing by this fault.
    pub(super) fn effect_on(&mut self, request: &Request) -> Option<Effect> {
        let is_matched = self.route.as_ref().is_none_or(|route| *route == request.route)
            && (self.from..self.until).contains(&request.at)
            && self.condition.as_ref().is_none_or(|condition| condition(request));
        if !is_matched {
            return None;
        }
        self.matched += 1;
        let affected = self.matched.checked_sub(self.first)?;
        self.times.is_none_or(|times| affected < times).then_some(self.effect)
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fault")
            .field("route", &self.route)
            .field("first", &self.first)
            .field("times", &self.times)
            .field("effect", &self.effect)
            .field("matched", &self.matched)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Effect, Fault};
    use crate::discord::request::{Auth, Request};
    use crate::discord::route::Route;

    fn request(route: Route, seconds: u64) -> Request {
        let (at, query) = (Duration::from_secs(seconds), vec![("limit".to_owned(), "1".to_owned())]);
        Request { at, route, auth: Auth::Bot, query, status: None }
    }

    fn effects(fault: Fault, count: u64) -> Vec<bool> {
        let mut fault = fault;
        let mut is_hit = |at| fault.effect_on(&request(Route::messages("7"), at)).is_some();
        (0..count).map(&mut is_hit).collect()
    }

    #[test]
    fn a_fault_affects_the_chosen_requests_only() {
        let on = || Fault::on(Route::messages("7"));
        assert_eq!(effects(on(), 3), [true, false, false]);
        assert_eq!(effects(on().nth(2).times(2), 4), [false, true, true, false]);
        assert_eq!(effects(on().nth(2).always(), 4), [false, true, true, true]);
        let in_time = on().between(Duration::from_secs(1), Duration::from_secs(3)).always();
        assert_eq!(effects(in_time, 4), [false, true, true, false]);
        assert_eq!(effects(Fault::on(Route::channel("7")).always(), 2), [false, false]);
        assert_eq!(effects(Fault::anywhere().always(), 2), [true, true]);
        let other = on().matching(|request| request.parameter("limit") == Some("100")).always();
        assert_eq!(effects(other, 2), [false, false]);
    }

    #[test]
    fn a_fault_has_the_effect_it_was_given() {
        let mut fault = Fault::on(Route::CurrentUser).html(400);
        assert_eq!(fault.effect_on(&request(Route::CurrentUser, 0)), Some(Effect::Html(400)));
    }
}
