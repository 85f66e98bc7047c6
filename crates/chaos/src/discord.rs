//! Makes the fake Discord as unreliable as the plan says.

use std::time::Duration;

use dce_testkit::discord::{Effect, FakeDiscord, Post, RandomFaults, Request, Route, Scope};

use crate::plan::DiscordPlan;
use crate::random::index;

/// Writes the pairs, and begins with faults at random. No token is refused: after that no worker starts a run for minutes.
pub(crate) fn make_unreliable(discord: &FakeDiscord, plan: &DiscordPlan) {
    for pair in &plan.pairs {
        let messages = discord.message_ids(&pair.channel);
        let Some(first) = messages.get(index(pair.message, messages.len())) else { continue };
        let second = first + 1;
        discord.post(&pair.channel, Post::new(second));
        discord.list_in_order(&pair.channel, &[second, *first]);
        // Otherwise DCE loses the first one without a word where a page ends between them.
        discord.keep_milliseconds_whole(&pair.channel);
    }
    let retry_after = Duration::from_millis(300);
    discord.random_faults(
        RandomFaults::new(plan.seed)
            .per_mille(4, Effect::Html(400))
            .per_mille(2, Effect::Status(403))
            .per_mille(2, Effect::Status(404))
            .per_mille(10, Effect::Status(500))
            .per_mille(5, Effect::Html(502))
            .per_mille(10, Effect::RateLimited { retry_after, scope: Scope::User })
            .per_mille(5, Effect::RateLimited { retry_after, scope: Scope::Global })
            .per_mille(8, Effect::Drop)
            .per_mille(5, Effect::DropInside)
            .per_mille(2, Effect::Stall)
            .per_mille(20, Effect::Delay(Duration::from_millis(200)))
            .per_mille_of(is_forward_page, 10, Effect::EmptyPage),
    );
}

/// Discord does nothing wrong any more; what it holds stays.
pub(crate) fn make_reliable<'a>(discord: &FakeDiscord, channels: impl IntoIterator<Item = &'a String>) {
    discord.clear_faults();
    discord.back();
    for channel in channels {
        discord.hide_history(channel, false);
        discord.lift_scripted_refusals(channel);
    }
}

/// A page that DCE reads, as opposed to a question whose answer is a proof.
fn is_forward_page(request: &Request) -> bool {
    matches!(request.route, Route::Messages(_)) && request.parameter("after").is_some()
}
