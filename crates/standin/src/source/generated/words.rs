//! The texts of a synthetic channel.

use super::emoji::Emoji;
use super::json::{push, push_hex, push_number};
use super::random::{Random, index};

/// How many different words there are.
const VOCABULARY: u64 = 2_000;
/// Chooses the words: the same in every channel.
const SEED: u64 = 2_000;
/// Characters of a content, in steps of five percent of all messages, measured on a community of researchers.
const LENGTHS: [u64; 20] = [1, 2, 8, 13, 18, 22, 27, 32, 38, 43, 49, 57, 65, 74, 87, 103, 123, 152, 208, 374];
/// Discord's limit.
const LONGEST: u64 = 2_000;
/// Words that are not ASCII.
const FOREIGN: [&str; 8] = ["안녕하세요", "채널", "백업", "오늘", "привет", "日本語", "مرحبا", "façade"];

/// The words that are ASCII, the common ones first.
pub(super) struct Words(Vec<String>);

/// The parts of a content besides words.
pub(super) struct Content {
    /// The message has more than words.
    pub(super) is_lively: bool,
    /// The mentioned user.
    pub(super) mention: Option<u64>,
    pub(super) has_link: bool,
}

impl Words {
    pub(super) fn new() -> Self {
        const ONSETS: [&str; 12] = ["b", "d", "f", "k", "l", "m", "n", "r", "s", "st", "t", "w"];
        const VOWELS: [&str; 6] = ["a", "e", "i", "o", "u", "ea"];
        const CODAS: [&str; 4] = ["", "n", "s", "t"];
        let word = |number| {
            let mut random = Random::new(SEED, number);
            // The common words of a language are its short ones.
            let syllables = 1 + u64::from(number > 60) + random.below(2);
            let word: String =
                (0..syllables).flat_map(|_| [*random.pick(&ONSETS), *random.pick(&VOWELS)]).collect();
            word + *random.pick(&CODAS)
        };
        Self((0..VOCABULARY).map(word).collect())
    }

    /// One word.
    pub(super) fn one(&self, random: &mut Random) -> &str {
        &self.0[index(random.low_below(VOCABULARY))]
    }

    /// About this many characters.
    pub(super) fn push(&self, to: &mut Vec<u8>, random: &mut Random, length: u64) {
        let mut left = length;
        while left > 0 {
            left = left.saturating_sub(self.push_word(to, random, left));
        }
    }

    /// A whole content; returns the set of the emoji in it.
    pub(super) fn push_content(
        &self,
        to: &mut Vec<u8>,
        random: &mut Random,
        emoji: &[Emoji],
        content: &Content,
    ) -> u64 {
        let (mut left, mut used) = (length(random, content.is_lively), 0);
        if let Some(id) = content.mention {
            push(to, "<@");
            push_number(to, id);
            push(to, "> ");
            left = left.saturating_sub(22);
        }
        if content.has_link {
            push(to, "https://example.org/");
            push_hex(to, random, 12);
            push(to, " ");
            left = left.saturating_sub(33);
        }
        while left > 0 {
            let length = match random.below(1_000) {
                0..3 => {
                    let which = random.below(emoji.len() as u64);
                    used |= 1 << which;
                    push(to, emoji[index(which)].text);
                    emoji[index(which)].length
                }
                3..18 => {
                    let word = random.pick(&FOREIGN);
                    push(to, word);
                    word.chars().count() as u64
                }
                18..22 => {
                    push(to, r#"\"said\" a \\ path"#);
                    15
                }
                22..29 => {
                    push(to, r"\n");
                    1
                }
                _ => self.push_word(to, random, left),
            };
            left = left.saturating_sub(length);
            if left > 0 {
                to.push(b' ');
                left -= 1;
            }
        }
        // Discord allows NUL; Postgres can store it neither in text nor in jsonb.
        if random.below(5_000) == 0 {
            push(to, r"\u0000");
        }
        used
    }

    /// Appends a word of at most `left` characters; returns its length.
    fn push_word(&self, to: &mut Vec<u8>, random: &mut Random, left: u64) -> u64 {
        let word = self.one(random).as_bytes();
        let word = &word[..word.len().min(index(left))];
        to.extend_from_slice(word);
        word.len() as u64
    }
}

/// How long a content is. Lively messages have the longer of two lengths and the others the shorter: as they are
/// equally many, lengths are spread over all messages as if each had one.
fn length(random: &mut Random, is_lively: bool) -> u64 {
    const STEP: u64 = 1_000;
    let mut draw = || random.below(STEP * LENGTHS.len() as u64);
    let (one, other) = (draw(), draw());
    let drawn = if is_lively { one.max(other) } else { one.min(other) };
    let (step, within) = (index(drawn / STEP), drawn % STEP);
    match LENGTHS.get(step + 1) {
        Some(longer) => LENGTHS[step] + (longer - LENGTHS[step]) * within / STEP,
        // The longest are rare: one message in a hundred has more than a thousand characters.
        None => LENGTHS[step] + (LONGEST - LENGTHS[step]) * within.pow(4) / STEP.pow(4),
    }
}
