//! Appends bytes that are nearly always few.

/// Longest short piece, in bytes.
const SHORT: usize = 32;

/// Appends the first `len` bytes of `bytes`. Copying a fixed number of bytes and cutting off the surplus is faster than a
/// call that copies a variable number.
#[inline]
pub(crate) fn append(out: &mut Vec<u8>, bytes: &[u8], len: usize) {
    match bytes.first_chunk::<SHORT>() {
        Some(short) if len <= SHORT => {
            let end = out.len() + len;
            out.extend_from_slice(short);
            out.truncate(end);
        }
        _ => out.extend_from_slice(&bytes[..len]),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn exactly_the_requested_bytes_are_appended(
            before in proptest::collection::vec(any::<u8>(), 0..40),
            bytes in proptest::collection::vec(any::<u8>(), 0..80),
            len in any::<proptest::sample::Index>(),
        ) {
            let len = len.index(bytes.len() + 1);
            let mut out = before.clone();
            append(&mut out, &bytes, len);
            prop_assert_eq!(out, [&before[..], &bytes[..len]].concat());
        }
    }
}
