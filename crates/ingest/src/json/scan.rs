//! Finds the next byte that matters, many bytes at a time. DCE's output is nearly all indentation and plain text, so a
//! document's time goes into these two loops.

use wide::{u8x16, u8x32};

const fn spread(byte: u8) -> u64 {
    u64::from_le_bytes([byte; 8])
}

const TOP_BITS: u64 = spread(0x80);

/// Sets the top bit of each byte of `word` below `limit` (at most 0x80). Exact up to the lowest one set: a borrow can only
/// spoil the bytes above a true hit.
const fn bytes_below(word: u64, limit: u8) -> u64 {
    word.wrapping_sub(spread(limit)) & !word & TOP_BITS
}

/// Number of bytes at the start of `text` that a JSON string holds as they are: no `"`, no `\`, no control character.
#[inline]
pub(crate) fn plain_len(text: &[u8]) -> usize {
    let (blocks, rest) = text.as_chunks::<32>();
    for (index, block) in blocks.iter().enumerate() {
        let block = u8x32::new(*block);
        let special = block.simd_eq(u8x32::splat(b'"'))
            | block.simd_eq(u8x32::splat(b'\\'))
            | block.min(u8x32::splat(0x1F)).simd_eq(block);
        let hits = special.to_bitmask();
        if hits != 0 {
            return index * 32 + hits.trailing_zeros() as usize;
        }
    }
    blocks.len() * 32 + plain_len_of_few(rest)
}

/// [`plain_len`], eight bytes at a time.
fn plain_len_of_few(text: &[u8]) -> usize {
    let (words, rest) = text.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let hits = bytes_below(word, 0x20)
            | bytes_below(word ^ spread(b'"'), 1)
            | bytes_below(word ^ spread(b'\\'), 1);
        if hits != 0 {
            return index * 8 + first_byte(hits);
        }
    }
    let special = |byte: &u8| *byte < 0x20 || *byte == b'"' || *byte == b'\\';
    words.len() * 8 + rest.iter().position(special).unwrap_or(rest.len())
}

/// Number of bytes of JSON whitespace at the start of `text`.
#[inline]
pub(crate) fn whitespace_len(text: &[u8]) -> usize {
    if text.first().is_none_or(|byte| *byte > b' ') {
        return 0;
    }
    let mut len = 0;
    while let Some(block) = text[len..].first_chunk::<16>() {
        let block = u8x16::new(*block);
        let white = block.simd_eq(u8x16::splat(b' '))
            | block.simd_eq(u8x16::splat(b'\n'))
            | block.simd_eq(u8x16::splat(b'\r'))
            | block.simd_eq(u8x16::splat(b'\t'));
        let white = white.to_bitmask().trailing_ones() as usize;
        len += white;
        if white < 16 {
            return len;
        }
    }
    let white = |byte: &u8| matches!(byte, b' ' | b'\n' | b'\r' | b'\t');
    len + text[len..].iter().take_while(|byte| white(byte)).count()
}

/// Number of bytes at the start of `text` that a number or a literal may contain.
pub(crate) fn scalar_len(text: &[u8]) -> usize {
    text.iter().position(|byte| !is_scalar_byte(*byte)).unwrap_or(text.len())
}

/// Whether a number or a literal may contain this byte.
pub(crate) const fn is_scalar_byte(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'+' | b'-' | b'.')
}

/// Whether a JSON value may begin with this byte.
pub(crate) const fn begins_value(byte: u8) -> bool {
    matches!(byte, b'"' | b'{' | b'[') || is_scalar_byte(byte)
}

/// Longest accepted number in characters, and longest exponent in digits. Within them every number fits Postgres's
/// `numeric`, which fails the whole COPY beyond 131072 digits before and 16383 after the point.
pub(crate) const MAX_NUMBER_LEN: usize = 1000;
const MAX_EXPONENT_LEN: usize = 4;

/// Whether this is `true`, `false`, `null` or a JSON number that `jsonb` accepts.
pub(crate) fn is_scalar(text: &[u8]) -> bool {
    matches!(text, b"null" | b"true" | b"false") || (text.len() <= MAX_NUMBER_LEN && is_number(text))
}

fn is_number(text: &[u8]) -> bool {
    let text = text.strip_prefix(b"-").unwrap_or(text);
    let (whole, rest) = digits(text);
    if whole.is_empty() || (whole.len() > 1 && whole.starts_with(b"0")) {
        return false;
    }
    let rest = match rest.strip_prefix(b".").map(digits) {
        Some(([], _)) => return false,
        Some((_, rest)) => rest,
        None => rest,
    };
    let Some(exponent) = rest.strip_prefix(b"e").or(rest.strip_prefix(b"E")) else {
        return rest.is_empty();
    };
    let exponent = exponent.strip_prefix(b"+").or(exponent.strip_prefix(b"-")).unwrap_or(exponent);
    matches!(digits(exponent), ([_, ..], [])) && exponent.len() <= MAX_EXPONENT_LEN
}

fn digits(text: &[u8]) -> (&[u8], &[u8]) {
    text.split_at(text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len()))
}

/// Index of the lowest byte with a bit set, 8 if there is none.
const fn first_byte(word: u64) -> usize {
    (word.trailing_zeros() / 8) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn plain_len_equals_a_bytewise_search(text in proptest::collection::vec(any::<u8>(), 0..100)) {
            let expected = text.iter().take_while(|b| !matches!(b, 0..0x20 | b'"' | b'\\')).count();
            prop_assert_eq!(plain_len(&text), expected);
        }

        #[test]
        fn whitespace_len_equals_a_bytewise_search(text in "[ \n\r\t]{0,40}[ \nx\u{b}\u{0}]{0,4}") {
            let expected = text.bytes().take_while(|b| matches!(b, b' ' | b'\n' | b'\r' | b'\t')).count();
            prop_assert_eq!(whitespace_len(text.as_bytes()), expected);
        }

        #[test]
        fn numbers_are_those_that_serde_json_accepts(text in "-?[0-9]{0,3}(\\.[0-9]{0,2})?([eE][+-]?[0-9]{0,2})?") {
            prop_assert_eq!(is_scalar(text.as_bytes()), serde_json::from_str::<serde_json::Number>(&text).is_ok());
        }
    }

    #[test]
    fn literals_must_be_spelled_in_full() {
        for text in ["null", "true", "false"] {
            assert!(is_scalar(text.as_bytes()), "{text}");
        }
        for text in ["", "nul", "nulll", "True", "NaN", "Infinity", "-", "+1", "1.", ".5", "01", "1e"] {
            assert!(!is_scalar(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn numbers_that_jsonb_refuses_are_refused() {
        assert!(is_scalar(b"1e9999") && is_scalar(b"-1.5E-9999") && is_scalar(&[b'9'; 1000]));
        assert!(!is_scalar(b"1e99999") && !is_scalar(b"1e-99999") && !is_scalar(&[b'9'; 1001]));
    }
}
