//! The stand-in's channels that are measured.

use std::time::Duration;

use dce_standin::scenario::{Channel, Scenario};

/// A channel, and its name in the report.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MeasuredChannel {
    pub(crate) channel: &'static str,
    pub(crate) messages: u32,
    pub(crate) name: &'static str,
}

impl MeasuredChannel {
    pub(crate) fn per_second(self, took: Duration) -> f64 {
        f64::from(self.messages) / took.as_secs_f64()
    }
}

pub(crate) const TEN: &str = "810000000000000001";
pub(crate) const TEN_THOUSAND: &str = "810000000000000002";
pub(crate) const PACED: &str = "810000000000000003";
pub(crate) const TENS_OF_THOUSANDS: MeasuredChannel =
    MeasuredChannel { channel: TEN_THOUSAND, messages: 10_000, name: "10,000 messages" };
pub(crate) const HUNDRED_THOUSAND: MeasuredChannel =
    MeasuredChannel { channel: "810000000000000004", messages: 100_000, name: "100,000 messages" };
pub(crate) const MILLION: MeasuredChannel =
    MeasuredChannel { channel: "810000000000000005", messages: 1_000_000, name: "1,000,000 messages" };
pub(crate) const BACKGROUND: &str = "810000000000000006";
/// Four at DCE's rate, four at full speed.
pub(crate) const PACED_CHANNELS: [&str; 4] =
    ["811000000000000001", "811000000000000002", "811000000000000003", "811000000000000004"];
pub(crate) const FAST_CHANNELS: [&str; 4] =
    ["812000000000000001", "812000000000000002", "812000000000000003", "812000000000000004"];
/// The first of the channels of one message.
pub(crate) const FIRST_SINGLE: u64 = 820_000_000_000_000_001;
/// Channels of one message.
pub(crate) const SINGLES: u64 = 500;
/// Requests whose latency is measured, at most one for each channel of one message.
pub(crate) const POSTS: u64 = 200;
/// Messages per second of the real DCE (2.47, its JSON to a local disk).
const DCE_RATE: u32 = 6_000;
/// Messages in each of these channels: some seconds at DCE's rate.
pub(crate) const PACED_MESSAGES: u32 = 24_000;

/// The stand-in's channels; `background` messages for the ingest that runs while requests are measured.
pub(crate) fn scenario(background: u32) -> Scenario {
    let channels = Scenario::new()
        .channel(TEN, Channel::generated(10, 1))
        .channel(TEN_THOUSAND, Channel::generated(10_000, 2))
        .channel(PACED, Channel::generated(10_000, 3).rate(DCE_RATE))
        .channel(HUNDRED_THOUSAND.channel, Channel::generated(100_000, 4))
        .channel(MILLION.channel, Channel::generated(1_000_000, 5))
        .channel(BACKGROUND, Channel::generated(background.into(), 6));
    let four = |scenario: Scenario, channels: [&str; 4], rate| {
        channels.into_iter().zip(10..).fold(scenario, |scenario, (channel, seed)| {
            scenario.channel(channel, Channel::generated(PACED_MESSAGES.into(), seed).rate(rate))
        })
    };
    let channels = four(four(channels, PACED_CHANNELS, DCE_RATE), FAST_CHANNELS, 0);
    (0..SINGLES).fold(channels, |scenario, number| {
        scenario.channel((FIRST_SINGLE + number).to_string(), Channel::generated(1, number))
    })
}
