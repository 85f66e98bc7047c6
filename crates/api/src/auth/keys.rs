//! `API_KEYS`: who may ask, known by the digests of their keys.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

/// Longest name, in characters.
pub const MAX_NAME: usize = 64;

/// What a key lets its holder do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Look at exports and at the archive.
    Read,
    /// That, and create, cancel and retry exports.
    Write,
}

impl Scope {
    /// As it is written in `API_KEYS`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

/// A key as `API_KEYS` knows it.
#[derive(Clone)]
struct Known {
    name: String,
    scope: Scope,
    digest: [u8; 32],
}

/// All keys. Its `Debug` shows names alone.
#[derive(Clone)]
pub struct Keys(Vec<Known>);

/// Why the setting cannot be used; says which entry, not what stands there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadKeys {
    /// There is no entry.
    #[error("names no key: make one with `dce-api keys new NAME`")]
    Empty,
    /// An entry has not three parts.
    #[error(
        "has an entry ({0}. of the list) that is not name:scope:sha256, as `dce-api keys new NAME` prints it"
    )]
    Shape(usize),
    /// A name that is none.
    #[error("has a name ({0}. of the list) that is not 1 to 64 of A-Z a-z 0-9 . _ -")]
    Name(usize),
    /// A scope that is none.
    #[error("has a scope ({0}. of the list) that is neither read nor write")]
    Scope(usize),
    /// A digest that is none.
    #[error(
        "has a digest ({0}. of the list) that is not 64 hexadecimal digits: the SHA-256 of the key, not the key"
    )]
    Digest(usize),
    /// Two entries of one key.
    #[error("has the same key twice ({0}. of the list)")]
    Twice(usize),
}

impl FromStr for Keys {
    type Err = BadKeys;

    fn from_str(text: &str) -> Result<Self, BadKeys> {
        let mut keys: Vec<Known> = Vec::new();
        let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        for (number, entry) in (1..).zip(entries) {
            let parts: Vec<&str> = entry.split(':').map(str::trim).collect();
            let [name, scope, digest] = parts[..] else { return Err(BadKeys::Shape(number)) };
            if !is_name(name) {
                return Err(BadKeys::Name(number));
            }
            let scope = [Scope::Read, Scope::Write]
                .into_iter()
                .find(|known| known.as_str() == scope)
                .ok_or(BadKeys::Scope(number))?;
            let digest = unhex(digest).ok_or(BadKeys::Digest(number))?;
            if keys.iter().any(|known| known.digest == digest) {
                return Err(BadKeys::Twice(number));
            }
            keys.push(Known { name: name.to_owned(), scope, digest });
        }
        if keys.is_empty() { Err(BadKeys::Empty) } else { Ok(Self(keys)) }
    }
}

impl Keys {
    /// Name and scope of the key, if it is one of these. Takes as long whichever it is, if any.
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

/// Whether a key may have this name.
pub fn is_name(text: &str) -> bool {
    (1..=MAX_NAME).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

/// The digest of a key as `API_KEYS` holds it.
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
    fn a_key_is_found_by_its_digest_whatever_its_place() {
        let keys: Keys =
            format!("{}, {},", entry("one", "read", "a"), entry("two", "write", "b")).parse().unwrap();
        assert_eq!(keys.find("a"), Some(("one", Scope::Read)));
        assert_eq!(keys.find("b"), Some(("two", Scope::Write)));
        for stranger in ["", "c", "A", &digest("a")] {
            assert_eq!(keys.find(stranger), None);
        }
    }

    #[test]
    fn a_mistake_names_the_entry_and_quotes_nothing() {
        let good = entry("one", "read", "a");
        for (text, mistake) in [
            (String::new(), BadKeys::Empty),
            (" , ".to_owned(), BadKeys::Empty),
            (format!("{good},secret"), BadKeys::Shape(2)),
            (format!("{good}:x"), BadKeys::Shape(1)),
            (entry("o ne", "read", "a"), BadKeys::Name(1)),
            (entry("", "read", "a"), BadKeys::Name(1)),
            (entry("one", "admin", "a"), BadKeys::Scope(1)),
            ("one:read:secret".to_owned(), BadKeys::Digest(1)),
            (format!("one:read:{}x", &digest("a")[..63]), BadKeys::Digest(1)),
            (format!("{good},{}", entry("two", "write", "a")), BadKeys::Twice(2)),
        ] {
            let found = text.parse::<Keys>().unwrap_err();
            assert_eq!(found, mistake, "{text}");
            assert!(!found.to_string().contains("secret"));
        }
    }

    #[test]
    fn nothing_of_a_key_is_shown() {
        let keys: Keys = entry("one", "read", "a").parse().unwrap();
        assert_eq!(format!("{keys:?}"), r#"["one"]"#);
    }
}
