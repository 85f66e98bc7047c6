//! `API_KEYS`: names, scopes and digests of the clients' keys.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

/// Maximum length of a name, in characters.
pub const MAX_NAME: usize = 64;

/// What a key permits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Read exports and the archive.
    Read,
    /// Read, and create, cancel and retry exports.
    Write,
}

impl Scope {
    /// The word in `API_KEYS`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

/// One entry of `API_KEYS`.
#[derive(Clone)]
struct Entry {
    name: String,
    scope: Scope,
    digest: [u8; 32],
}

/// All keys. `Debug` shows only names.
#[derive(Clone)]
pub struct Keys(Vec<Entry>);

/// Why `API_KEYS` is invalid. Names the entry by its number and never quotes it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKeys {
    #[error("contains no key: make one with `dce-api keys new NAME`")]
    Empty,
    #[error("entry {0} is not name:scope:sha256: copy the entry that `dce-api keys new NAME` prints")]
    Malformed(usize),
    #[error("entry {0} has an invalid name: use 1 to 64 of the characters A-Z a-z 0-9 . _ -")]
    Name(usize),
    #[error("entry {0} has an unknown scope: use read or write")]
    Scope(usize),
    #[error(
        "entry {0} has an invalid digest: use the SHA-256 of the key, 64 hexadecimal digits, not the key itself"
    )]
    Digest(usize),
    #[error("entry {0} repeats a key of an earlier entry: remove one of them")]
    Duplicate(usize),
}

impl FromStr for Keys {
    type Err = InvalidKeys;

    fn from_str(text: &str) -> Result<Self, InvalidKeys> {
        let mut keys: Vec<Entry> = Vec::new();
        let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        for (number, entry) in (1..).zip(entries) {
            let parts: Vec<&str> = entry.split(':').map(str::trim).collect();
            let [name, scope, digest] = parts[..] else { return Err(InvalidKeys::Malformed(number)) };
            if !is_name(name) {
                return Err(InvalidKeys::Name(number));
            }
            let scope = [Scope::Read, Scope::Write]
                .into_iter()
                .find(|known| known.as_str() == scope)
                .ok_or(InvalidKeys::Scope(number))?;
            let digest = unhex(digest).ok_or(InvalidKeys::Digest(number))?;
            if keys.iter().any(|known| known.digest == digest) {
                return Err(InvalidKeys::Duplicate(number));
            }
            keys.push(Entry { name: name.to_owned(), scope, digest });
        }
        if keys.is_empty() { Err(InvalidKeys::Empty) } else { Ok(Self(keys)) }
    }
}

impl Keys {
    /// Name and scope of a key, if it is known. Takes the same time for every key, known or not.
    pub fn find(&self, key: &str) -> Option<(&str, Scope)> {
        let digest: [u8; 32] = Sha256::digest(key.as_bytes()).into();
        let mut found = u64::MAX;
        for (index, known) in (0_u64..).zip(&self.0) {
            let same: Choice = known.digest.ct_eq(&digest);
            found.conditional_assign(&index, same);
        }
        let known = self.0.get(usize::try_from(found).ok()?)?;
        Some((&known.name, known.scope))
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|known| &known.name)).finish()
    }
}

pub fn is_name(text: &str) -> bool {
    (1..=MAX_NAME).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

/// The digest of a key as written in `API_KEYS`.
pub fn digest(key: &str) -> String {
    let digits = |byte: &u8| [byte >> 4, byte & 15].map(|digit| char::from_digit(digit.into(), 16));
    Sha256::digest(key.as_bytes()).iter().flat_map(digits).flatten().collect()
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    let (digits, rest) = text.as_bytes().as_chunks::<2>();
    if digits.len() != bytes.len() || !rest.is_empty() {
        return None;
    }
    for (byte, digits) in bytes.iter_mut().zip(digits) {
        let [high, low] = digits.map(|digit| char::from(digit).to_digit(16));
        *byte = u8::try_from(high? << 4 | low?).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, scope: &str, key: &str) -> String {
        format!("{name}:{scope}:{}", digest(key))
    }

    #[test]
    fn a_key_is_found_by_its_digest_at_any_position() {
        let keys: Keys =
            format!("{}, {},", entry("one", "read", "a"), entry("two", "write", "b")).parse().unwrap();
        assert_eq!(keys.find("a"), Some(("one", Scope::Read)));
        assert_eq!(keys.find("b"), Some(("two", Scope::Write)));
        for stranger in ["", "c", "A", &digest("a")] {
            assert_eq!(keys.find(stranger), None);
        }
    }

    #[test]
    fn an_error_names_the_entry_and_quotes_nothing() {
        let good = entry("one", "read", "a");
        for (text, mistake) in [
            (String::new(), InvalidKeys::Empty),
            (" , ".to_owned(), InvalidKeys::Empty),
            (format!("{good},secret"), InvalidKeys::Malformed(2)),
            (format!("{good}:x"), InvalidKeys::Malformed(1)),
            (entry("o ne", "read", "a"), InvalidKeys::Name(1)),
            (entry("", "read", "a"), InvalidKeys::Name(1)),
            (entry("one", "admin", "a"), InvalidKeys::Scope(1)),
            ("one:read:secret".to_owned(), InvalidKeys::Digest(1)),
            (format!("one:read:{}x", &digest("a")[..63]), InvalidKeys::Digest(1)),
            (format!("{good},{}", entry("two", "write", "a")), InvalidKeys::Duplicate(2)),
        ] {
            let found = text.parse::<Keys>().unwrap_err();
            assert_eq!(found, mistake, "{text}");
            assert!(!found.to_string().contains("secret"));
        }
    }

    #[test]
    fn debug_output_shows_only_names() {
        let keys: Keys = entry("one", "read", "a").parse().unwrap();
        assert_eq!(format!("{keys:?}"), r#"["one"]"#);
    }
}
