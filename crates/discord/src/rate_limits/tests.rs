use proptest::prelude::*;

use super::*;

fn messages(channel: u64) -> Route {
    let query = crate::MessagesQuery { limit: 100, position: crate::Position::Newest };
    Route::Messages(Snowflake::new(channel), query)
}

fn headers(bucket: Option<&str>, limit: u32, remaining: u32, reset_after: Duration) -> BucketHeaders {
    BucketHeaders {
        bucket: bucket.map(str::to_owned),
        limit: Some(limit),
        remaining: Some(remaining),
        reset_after: Some(reset_after),
    }
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_used_up_bucket_opens_when_its_window_ends() {
    let (mut limits, now) = (RateLimits::default(), Instant::now());
    assert_eq!(limits.reserve(messages(1), now), Ok(()));
    limits.observe(messages(1), &headers(Some("b"), 2, 1, 5 * SECOND), now);
    assert_eq!(limits.reserve(messages(1), now), Ok(()));
    let ends = now + 5 * SECOND;
    assert_eq!(limits.reserve(messages(1), now), Err(ends));
    assert_eq!(limits.reserve(messages(1), ends), Ok(()));
    assert_eq!(limits.reserve(messages(1), ends), Ok(()));
    assert_eq!(limits.reserve(messages(1), ends), Err(ends + 5 * SECOND));
}

#[test]
fn each_channel_has_a_limit_of_its_own() {
    let (mut limits, now) = (RateLimits::default(), Instant::now());
    limits.observe(messages(1), &headers(Some("b"), 1, 0, SECOND), now);
    assert!(limits.reserve(messages(1), now).is_err());
    assert_eq!(limits.reserve(messages(2), now), Ok(()));
    assert_eq!(limits.reserve(Route::Channel(Snowflake::new(1)), now), Ok(()));
}

#[test]
fn routes_that_discord_puts_into_one_bucket_share_its_limit() {
    let (mut limits, now) = (RateLimits::default(), Instant::now());
    limits.observe(messages(1), &headers(Some("b"), 2, 1, SECOND), now);
    let message = Route::Message { channel: Snowflake::new(1), message: Snowflake::new(2) };
    limits.observe(message, &headers(Some("b"), 2, 0, SECOND), now);
    assert_eq!(limits.reserve(messages(1), now), Err(now + SECOND));
}

#[test]
fn a_route_without_a_named_bucket_keeps_its_limit_when_the_name_is_learnt() {
    let (mut limits, now) = (RateLimits::default(), Instant::now());
    limits.observe(Route::CurrentUser, &headers(None, 1, 0, 9 * SECOND), now);
    assert_eq!(limits.reserve(Route::CurrentUser, now), Err(now + 9 * SECOND));
    let named = BucketHeaders { bucket: Some("b".to_owned()), ..BucketHeaders::default() };
    limits.observe(Route::CurrentUser, &named, now);
    assert_eq!(limits.reserve(Route::CurrentUser, now), Err(now + 9 * SECOND));
}

#[test]
fn an_answer_does_not_give_back_what_others_have_reserved_since() {
    let (mut limits, now) = (RateLimits::default(), Instant::now());
    limits.observe(messages(1), &headers(Some("b"), 5, 2, SECOND), now);
    for _ in 0..2 {
        assert_eq!(limits.reserve(messages(1), now), Ok(()));
    }
    limits.observe(messages(1), &headers(Some("b"), 5, 1, SECOND), now);
    assert!(limits.reserve(messages(1), now).is_err());
}

#[test]
fn a_429_blocks_its_bucket_or_all_routes() {
    for scope in [Scope::User, Scope::Shared, Scope::Global] {
        let (mut limits, now) = (RateLimits::default(), Instant::now());
        limits.limited(messages(1), scope, 3 * SECOND, now);
        // A shorter wait that is learnt later does not end the longer one.
        limits.limited(messages(1), scope, SECOND, now);
        assert_eq!(limits.reserve(messages(1), now), Err(now + 3 * SECOND));
        assert_eq!(limits.reserve(messages(2), now).is_err(), scope == Scope::Global);
        assert_eq!(limits.reserve(messages(1), now + 3 * SECOND), Ok(()));
    }
}

#[test]
fn fifty_requests_a_second_leave_over_all_routes() {
    let (mut limits, now) = (RateLimits::default(), Instant::now());
    for channel in 0..50 {
        assert_eq!(limits.reserve(messages(channel), now), Ok(()));
    }
    assert_eq!(limits.reserve(messages(50), now), Err(now + SECOND));
    assert_eq!(limits.reserve(messages(50), now + SECOND), Ok(()));
}

#[test]
fn idle_buckets_are_forgotten() {
    let (mut limits, start) = (RateLimits::default(), Instant::now());
    for channel in 0..5_000 {
        let now = start + channel * SECOND;
        limits.observe(messages(channel.into()), &headers(Some("b"), 5, 4, SECOND), now);
    }
    assert!(limits.buckets.len() <= KEPT_BUCKETS);
}

/// Discord's side of one bucket.
#[derive(Clone, Default)]
struct Served {
    since: Option<Instant>,
    used: u32,
}

proptest! {
    /// Requests over three channels at random times, served by buckets of a random limit: Discord never has to refuse one,
    /// and none waits longer than a window.
    #[test]
    fn discord_never_refuses_a_request_that_the_limits_allowed(
        limit in 1_u32..8,
        window_ms in 1_u64..4_000,
        requests in proptest::collection::vec((0_u64..3, 0_u64..400), 1..300),
    ) {
        let window = Duration::from_millis(window_ms);
        let mut limits = RateLimits::default();
        let mut served = vec![Served::default(); 3];
        let mut now = Instant::now();
        let mut sent: Vec<Instant> = Vec::new();
        for (channel, pause) in requests {
            now += Duration::from_millis(pause);
            while let Err(until) = limits.reserve(messages(channel), now) {
                prop_assert!(until > now && until - now <= window.max(GLOBAL_WINDOW));
                now = until;
            }
            let bucket = &mut served[usize::try_from(channel).unwrap()];
            let since = bucket.since.filter(|since| *since + window > now).unwrap_or(now);
            *bucket = Served { used: if bucket.since == Some(since) { bucket.used + 1 } else { 1 }, since: Some(since) };
            prop_assert!(bucket.used <= limit, "Discord would answer 429");
            let reset_after = since + window - now;
            limits.observe(messages(channel), &headers(Some("b"), limit, limit - bucket.used, reset_after), now);
            sent.push(now);
            let within_a_second = sent.iter().filter(|then| **then + GLOBAL_WINDOW > now).count();
            prop_assert!(within_a_second <= GLOBAL_LIMIT);
        }
    }
}
