//! Emoji of a synthetic channel, rendered once for each place.

use super::json::deeper;

/// The text in JSON (DCE escapes characters outside the basic plane), its code, its picture's name, and its length
/// in UTF-16 units.
const ALL: [(&str, &str, &str, u64); 4] = [
    (r"\uD83D\uDC4D", "thumbsup", "1f44d", 2),
    ("✅", "white_check_mark", "2705", 1),
    (r"\uD83D\uDE80", "rocket", "1f680", 2),
    ("❤", "heart", "2764", 1),
];

pub(super) struct Emoji {
    /// In a string.
    pub(super) text: &'static str,
    /// In UTF-16 units, as Discord counts.
    pub(super) length: u64,
    /// The object of a reaction.
    pub(super) as_reaction: String,
    /// The object among a message's emoji.
    pub(super) inline: String,
}

/// All of them; a set of them is a bit mask.
pub(super) fn all() -> Vec<Emoji> {
    ALL.iter()
        .map(|&(text, code, picture, length)| {
            let object = format!(
                "{{\n  \"id\": \"\",\n  \"name\": \"{text}\",\n  \"code\": \"{code}\",\n  \"isAnimated\": false,\n  \
                 \"imageUrl\": \"https://cdn.jsdelivr.net/gh/twitter/twemoji@latest/assets/svg/{picture}.svg\"\n}}"
            );
            Emoji { text, length, as_reaction: deeper(&object, 5), inline: deeper(&object, 4) }
        })
        .collect()
}
