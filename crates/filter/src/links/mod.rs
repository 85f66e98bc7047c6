//! The links in a message, as `DiscordChatExporter`'s reader of Markdown finds them: not those in code.

mod markdown;
mod patterns;

use std::ops::ControlFlow;

use crate::unicode::is_word;

/// Whether the text has a link: with `http://` or `https://`, or named as in `[name](target)`.
pub(crate) fn has_link(text: &str) -> bool {
    may_have_link(text) && markdown::each_link(text, &mut |_| ControlFlow::Break(())).is_break()
}

/// Whether the text has a link that is an invitation.
pub(crate) fn has_invite(text: &str) -> bool {
    may_have_link(text)
        && markdown::each_link(text, &mut |url| {
            if is_invite(url) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
        .is_break()
}

/// Spares nearly all messages the reading.
fn may_have_link(text: &str) -> bool {
    text.contains("http") || text.contains("](")
}

fn is_invite(url: &str) -> bool {
    let code = ["http://discord.gg/", "https://discord.gg/"].iter().find_map(|start| url.strip_prefix(start));
    code.map(|code| code.strip_suffix('/').unwrap_or(code))
        .is_some_and(|code| !code.is_empty() && code.chars().all(is_word))
}
