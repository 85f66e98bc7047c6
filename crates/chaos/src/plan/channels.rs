//! The channels of a seed, and how each attempt of DCE ends.

use dce_standin::scenario::{Attempt, Channel, DceVersion, Ending, Scenario};

use crate::random::Random;

/// Ids as Discord's; those of threads and channels do not differ.
const FIRST_ID: u64 = 710_000_000_000_000_001;
/// Scripted attempts per channel; later ones complete.
const SCRIPTED: u64 = 4;

/// Endings after which the same run may succeed.
const TRANSIENT: [Ending; 14] = [
    Ending::Dropped,
    Ending::Dropped, // the most common one
    Ending::Unavailable,
    Ending::RateLimited,
    Ending::BadRequest,
    Ending::Unreachable,
    Ending::CutInside,
    Ending::Hang,
    Ending::Deaf,
    Ending::Crash,
    Ending::Sigkill,
    Ending::Sigterm,
    Ending::DiskFull,
    Ending::Silent,
];
/// Endings that fail a run at once. None concerns the token: after that no worker starts a run for minutes.
const FINAL: [Ending; 6] = [
    Ending::Forbidden,
    Ending::Unknown,
    Ending::Forum,
    Ending::ForbiddenMessages,
    Ending::NoIntent,
    Ending::Unreadable,
];

/// Of the channels, where Discord is unreliable: DCE asks it instead of playing its source.
const ASKED_SHARE: u64 = 60;

/// 6 to 12 channels.
pub(super) fn draw(random: &mut Random, asks_discord: bool) -> Scenario {
    let count = random.between(6, 12);
    let version = *random.pick(&[DceVersion::V2_47, DceVersion::V2_48]);
    (0..count).fold(Scenario::new().version(version).hasty(true), |scenario, number| {
        let channel = channel(random);
        let asks = asks_discord && random.percent(ASKED_SHARE);
        scenario.channel((FIRST_ID + number).to_string(), channel.asks_discord(asks))
    })
}

fn channel(random: &mut Random) -> Channel {
    // Most are small: half of them below 2,400 messages.
    let share = random.between(0, 100);
    let messages = 500 + share * share * 7_500 / 10_000;
    let channel = Channel::generated(messages, random.draw());
    let channel = if random.percent(20) {
        channel // as fast as the disk allows
    } else {
        let rate = messages / random.between(2, 25);
        channel.rate(u32::try_from(rate.max(100)).unwrap_or(u32::MAX))
    };
    (0..SCRIPTED).fold(channel, |channel, _| channel.attempt(attempt(random, messages)))
}

fn attempt(random: &mut Random, messages: u64) -> Attempt {
    let ending = match random.between(0, 99) {
        0..=49 => return Attempt::ends(Ending::Complete),
        50..=92 => *random.pick(&TRANSIENT),
        _ => *random.pick(&FINAL),
    };
    // Before the first message, which DCE handles differently, or anywhere.
    if random.percent(15) {
        Attempt::ends(ending)
    } else {
        Attempt::ends_after(random.between(1, messages), ending)
    }
}
