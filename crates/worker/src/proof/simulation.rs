//! Random channels, windows, clocks and readings against the verdict: a proven run has read everything, a short one has not,
//! and every run ends.

mod channel;
mod run;

use dce_core::ids::Snowflake;
use proptest::prelude::*;

use channel::{BEGINNING, Channel, channel, first_id};
use run::{Attempt, Conclusion, Reading, Run};

/// An attempt that has no trouble.
const UNDISTURBED: Attempt = Attempt {
    reading: Reading::Whole,
    resolves_starter: true,
    is_answered: true,
    start: 1_100,
    duration: 500,
    pause: 50,
};
/// Milliseconds between two attempts.
const BETWEEN: u64 = 5_000;

#[derive(Debug, Clone)]
struct Story {
    channel: Channel,
    claimed_at: u64,
    /// The id just below `start_at`.
    start: Option<Snowflake>,
    upper: Snowflake,
    /// The attempts before the undisturbed ones.
    attempts: Vec<Attempt>,
}

prop_compose! {
    fn attempt()(
        reading in prop_oneof![
            Just(Reading::Whole),
            Just(Reading::Refused),
            (0..350_usize).prop_map(Reading::CutShort),
            (0..350_usize).prop_map(Reading::Dropped),
        ],
        resolves_starter in any::<bool>(),
        is_answered in prop::bool::weighted(0.8),
        start in 0..3_000_u64,
        duration in 1..40_000_u64,
        pause in 1..70_000_u64,
    ) -> Attempt {
        Attempt { reading, resolves_starter, is_answered, start, duration, pause }
    }
}

prop_compose! {
    fn story(can_be_late: bool)(
        channel in channel(can_be_late),
        // Thousandths of the channel's time, and of some time after it.
        claimed in 0..1_200_u64,
        start in prop::option::of(0..1_100_u64),
        end in prop_oneof![
            // Now, by a clock that is up to a minute wrong; around now; tomorrow.
            -60_000..60_000_i64,
            -600_000..600_000_i64,
            Just(86_400_000_i64),
        ],
        attempts in prop::collection::vec(attempt(), 0..5),
    ) -> Story {
        let time = |thousandths: u64| BEGINNING + channel.span() * thousandths / 1_000;
        let claimed_at = time(claimed);
        let start = start.map(|start| first_id(time(start)).before());
        let upper = first_id(claimed_at.saturating_add_signed(end));
        Story { channel, claimed_at, start, upper, attempts }
    }
}

/// Plays the story's attempts, and undisturbed ones until the run is proven.
fn play(story: &Story) -> Result<(), TestCaseError> {
    let Story { channel, claimed_at, start, upper, attempts } = story;
    let mut run = Run::new(*start, *upper);
    let mut is_through = false;
    let mut now = *claimed_at;
    let late_messages = channel.late_messages();
    let most_attempts = 2 * attempts.len() + late_messages + 3;
    for number in 0..most_attempts {
        let attempt = attempts.get(number).unwrap_or(&UNDISTURBED);
        now += BETWEEN;
        if is_through {
            if !attempt.is_answered {
                continue;
            }
            if run.reread_from.is_none() && run.conclude(channel, None, now)? == Conclusion::Proven {
                return Ok(());
            }
        }
        let read = run.read(channel, attempt, now);
        now += attempt.start + attempt.duration + attempt.pause;
        is_through = !matches!(attempt.reading, Reading::Dropped(_));
        if !is_through || !attempt.is_answered {
            continue;
        }
        if run.conclude(channel, Some(&read), now)? == Conclusion::Proven {
            return Ok(());
        }
        prop_assert!(attempt.reading != Reading::Whole || late_messages > 0, "a false alarm: {run:?}");
    }
    Err(TestCaseError::fail(format!("not proven after {most_attempts} attempts: {run:?}")))
}

proptest! {
    #[test]
    fn a_run_is_proven_exactly_if_dce_left_nothing_out(story in story(false)) {
        play(&story)?;
    }

    #[test]
    fn messages_that_become_visible_late_are_found_and_end_no_run(story in story(true)) {
        play(&story)?;
    }
}
