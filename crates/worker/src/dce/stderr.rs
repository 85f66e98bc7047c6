//! The stderr of a process: bounded, decoded, without the token.

use std::collections::VecDeque;

/// Bytes kept from the beginning, where DCE prints its error (under 5 KB).
const HEAD_BYTES: usize = 48 * 1024;
/// Bytes kept from the end.
const TAIL_BYTES: usize = 16 * 1024;
/// Replaces the token.
const REDACTED: &str = "[redacted]";

/// The text of stderr; if it is very long, its beginning and its end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stderr(String);

impl Stderr {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns at most the last `bytes` bytes, for the history of attempts.
    pub fn tail(&self, bytes: usize) -> &str {
        let start = self.0.len().saturating_sub(bytes);
        &self.0[self.0.ceil_char_boundary(start)..]
    }
}

impl From<&str> for Stderr {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

/// Buffers stderr in constant memory.
#[derive(Debug, Default)]
pub(super) struct StderrBuffer {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    omitted: u64,
}

impl StderrBuffer {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        let (head, rest) = bytes.split_at(bytes.len().min(HEAD_BYTES - self.head.len()));
        self.head.extend_from_slice(head);
        self.tail.extend(rest);
        let surplus = self.tail.len().saturating_sub(TAIL_BYTES);
        self.tail.drain(..surplus);
        self.omitted += surplus as u64;
    }

    /// Returns the text so far, with `token` redacted. Invalid UTF-8, and NUL, which Postgres cannot store, become
    /// U+FFFD.
    pub(super) fn text(&self, token: &str) -> Stderr {
        let tail: Vec<u8> = self.tail.iter().copied().collect();
        let bytes = if self.omitted == 0 {
            [&self.head[..], &tail].concat()
        } else {
            let gap = format!("\n[{} bytes omitted]\n", self.omitted);
            let token = token.as_bytes();
            [without_token_start(&self.head, token), gap.as_bytes(), without_token_end(&tail, token)].concat()
        };
        let text = String::from_utf8_lossy(&bytes).replace('\0', "\u{fffd}");
        Stderr(if token.is_empty() { text } else { text.replace(token, REDACTED) })
    }
}

/// Removes the first part of a token that was split at the cut.
fn without_token_start<'a>(head: &'a [u8], token: &[u8]) -> &'a [u8] {
    let cut = (1..token.len()).rev().find(|&length| head.ends_with(&token[..length]));
    &head[..head.len() - cut.unwrap_or(0)]
}

/// Removes the last part of a token that was split at the cut.
fn without_token_end<'a>(tail: &'a [u8], token: &[u8]) -> &'a [u8] {
    let cut = (1..token.len()).find(|&start| tail.starts_with(&token[start..]));
    &tail[cut.map_or(0, |start| token.len() - start)..]
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "MTA.secret-token.xyz";

    fn captured(chunks: &[&[u8]]) -> Stderr {
        let mut buffer = StderrBuffer::default();
        for chunk in chunks {
            buffer.push(chunk);
        }
        buffer.text(TOKEN)
    }

    #[test]
    fn a_short_text_is_kept_whole() {
        assert_eq!(captured(&[b"ERR", b"OR\n", "길드".as_bytes()]).as_str(), "ERROR\n길드");
        let long = "x".repeat(HEAD_BYTES + TAIL_BYTES);
        assert_eq!(captured(&[long.as_bytes()]).as_str(), long);
    }

    #[test]
    fn the_beginning_and_the_end_of_a_long_text_are_kept() {
        let mut buffer = StderrBuffer::default();
        buffer.push(b"BEGIN");
        for _ in 0..1000 {
            buffer.push(&[b'x'; 1000]);
        }
        buffer.push(b"END");
        let text = buffer.text(TOKEN);
        assert!(text.as_str().starts_with("BEGINx") && text.as_str().ends_with("xEND"));
        assert!(
            text.as_str().contains("\n[934472 bytes omitted]\n"),
            "{}",
            &text.as_str()[HEAD_BYTES..][..50]
        );
        assert!(text.as_str().len() < HEAD_BYTES + TAIL_BYTES + 64);
    }

    #[test]
    fn the_token_is_redacted_even_if_the_cut_splits_it() {
        assert_eq!(captured(&[b"Bot MTA.secret", b"-token.xyz!"]).as_str(), "Bot [redacted]!");
        for shift in 0..TOKEN.len() + 2 {
            let mut text = vec![b'-'; HEAD_BYTES - shift];
            text.extend_from_slice(TOKEN.as_bytes());
            text.resize(text.len() + 5000, b'-');
            text.extend_from_slice(TOKEN.as_bytes());
            text.resize(text.len() + TAIL_BYTES - TOKEN.len() + shift, b'-');
            let kept = captured(&[&text]);
            for part in ["secret", "token", "MTA", "xyz"] {
                assert!(!kept.as_str().contains(part), "{shift}: {part}");
            }
        }
    }

    #[test]
    fn nul_and_invalid_utf8_are_replaced() {
        assert_eq!(captured(&[b"a\xff\0b"]).as_str(), "a\u{fffd}\u{fffd}b");
    }

    #[test]
    fn the_tail_starts_at_a_character_boundary() {
        let text = Stderr::from("ab길");
        assert_eq!((text.tail(2), text.tail(3), text.tail(4), text.tail(99)), ("", "길", "b길", "ab길"));
    }
}
