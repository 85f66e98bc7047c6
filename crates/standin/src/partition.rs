//! `--partition`: when a file is full.

/// The limit of one file, checked before each message: files of a size exceed it by up to one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PartitionLimit {
    /// One file for all.
    None,
    /// Exactly this many messages.
    Messages(u64),
    /// At least this many bytes.
    Bytes(u64),
}

/// DCE's error for a value that is neither a number nor a size.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("Invalid partition limit '{0}'.")]
pub(crate) struct InvalidLimit(String);

impl PartitionLimit {
    /// Parses `100` (messages) or `10mb`, `5kb`, `1gb`, `500b` (decimal units).
    pub(crate) fn parse(value: &str) -> Result<Self, InvalidLimit> {
        let invalid = || InvalidLimit(value.into());
        let text = value.trim().to_ascii_lowercase();
        let Some(size) = text.strip_suffix('b') else {
            return text.parse().map(Self::Messages).map_err(|_| invalid());
        };
        let (number, unit) = match size.char_indices().next_back() {
            Some((at, 'k')) => (&size[..at], 1e3),
            Some((at, 'm')) => (&size[..at], 1e6),
            Some((at, 'g')) => (&size[..at], 1e9),
            _ => (size, 1.0),
        };
        let number: f64 = number.trim().parse().map_err(|_| invalid())?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "DCE casts likewise")]
        Ok(Self::Bytes((number * unit) as u64))
    }

    /// Whether a file with this content is full.
    pub(crate) fn is_reached(self, messages: u64, bytes: u64) -> bool {
        match self {
            Self::None => false,
            Self::Messages(limit) => messages >= limit,
            Self::Bytes(limit) => bytes >= limit,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::PartitionLimit;

    #[test]
    fn counts_and_decimal_sizes_are_parsed() {
        assert_eq!(PartitionLimit::parse("1000"), Ok(PartitionLimit::Messages(1000)));
        assert_eq!(PartitionLimit::parse("10kb"), Ok(PartitionLimit::Bytes(10_000)));
        assert_eq!(PartitionLimit::parse("1.5 MB"), Ok(PartitionLimit::Bytes(1_500_000)));
        assert_eq!(PartitionLimit::parse("500b"), Ok(PartitionLimit::Bytes(500)));
        assert_eq!(PartitionLimit::parse("many").unwrap_err().to_string(), "Invalid partition limit 'many'.");
    }
}
