//! The channels that may be exported, by `DEFAULT_CHANNEL_ID` and `ALLOWED_CHANNEL_IDS`.

use std::collections::{BTreeSet, HashMap};
use std::str::FromStr;

use crate::ids::Snowflake;

/// The value of `ALLOWED_CHANNEL_IDS`: `*`, or ids separated by commas or spaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AllowedChannels {
    /// Any channel that the token can read.
    Any,
    /// These and their threads.
    Only(BTreeSet<Snowflake>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be `*` or a list of channel ids separated by commas, such as 102938475647382910,102938475647382911"
)]
pub struct NotAChannelList;

impl FromStr for AllowedChannels {
    type Err = NotAChannelList;

    fn from_str(text: &str) -> Result<Self, NotAChannelList> {
        if text.trim() == "*" {
            return Ok(Self::Any);
        }
        let ids = text.split([',', ' ', '\t', '\n']).filter(|id| !id.is_empty());
        let ids = ids.map(str::parse).collect::<Result<BTreeSet<_>, _>>().map_err(|_| NotAChannelList)?;
        if ids.is_empty() { Err(NotAChannelList) } else { Ok(Self::Only(ids)) }
    }
}

/// The default channel and the allowed ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelRules {
    default: Option<Snowflake>,
    allowed: AllowedChannels,
}

impl ChannelRules {
    /// With a default and no list, only the default is allowed; with neither, any channel. The default is always allowed:
    /// the operator has named it.
    pub fn new(default: Option<Snowflake>, allowed: Option<AllowedChannels>) -> Self {
        let mut allowed = allowed.unwrap_or(match default {
            Some(_) => AllowedChannels::Only(BTreeSet::new()),
            None => AllowedChannels::Any,
        });
        if let (AllowedChannels::Only(ids), Some(id)) = (&mut allowed, default) {
            ids.insert(id);
        }
        Self { default, allowed }
    }

    pub const fn default_channel(&self) -> Option<Snowflake> {
        self.default
    }

    /// The channels that are not allowed by their own ids: only their parents must be looked up.
    pub fn not_listed(&self, channels: &[Snowflake]) -> Vec<Snowflake> {
        match &self.allowed {
            AllowedChannels::Any => Vec::new(),
            AllowedChannels::Only(ids) => channels.iter().copied().filter(|id| !ids.contains(id)).collect(),
        }
    }

    /// The channels that may not be exported. A thread counts as its parent if `parents` (thread to parent) contains it;
    /// an unknown id counts as a channel.
    pub fn refused(&self, channels: &[Snowflake], parents: &HashMap<Snowflake, Snowflake>) -> Vec<Snowflake> {
        let mut refused = self.not_listed(channels);
        refused.retain(|id| parents.get(id).is_none_or(|parent| !self.not_listed(&[*parent]).is_empty()));
        refused
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(value: u64) -> Snowflake {
        Snowflake::new(value)
    }

    fn refused(rules: &ChannelRules, channels: &[u64]) -> Vec<Snowflake> {
        // 20 is a thread of 2, 30 one of 3.
        let parents = HashMap::from([(id(20), id(2)), (id(30), id(3))]);
        rules.refused(&channels.iter().copied().map(Snowflake::new).collect::<Vec<_>>(), &parents)
    }

    #[test]
    fn with_neither_setting_any_channel_is_allowed_and_none_is_the_default() {
        let rules = ChannelRules::new(None, None);
        assert_eq!(rules.default_channel(), None);
        assert_eq!(refused(&rules, &[1, 2, 20]), []);
    }

    #[test]
    fn a_default_alone_allows_itself_and_its_threads_only() {
        let rules = ChannelRules::new(Some(id(2)), None);
        assert_eq!(rules.default_channel(), Some(id(2)));
        assert_eq!(refused(&rules, &[1, 2, 20, 30]), [id(1), id(30)]);
    }

    #[test]
    fn a_list_allows_its_channels_and_the_default() {
        let rules = ChannelRules::new(Some(id(2)), Some("3, 4".parse().unwrap()));
        assert_eq!(refused(&rules, &[1, 2, 3, 4, 20, 30, 40]), [id(1), id(40)]);
        let any = ChannelRules::new(Some(id(2)), Some("*".parse().unwrap()));
        assert_eq!(refused(&any, &[1, 30]), []);
    }

    #[test]
    fn a_list_is_a_star_or_ids() {
        assert_eq!("*".parse(), Ok(AllowedChannels::Any));
        assert_eq!("1, 2,1".parse(), Ok(AllowedChannels::Only(BTreeSet::from([id(1), id(2)]))));
        for text in ["", ",", "general", "1,x", "*,1", "1;2"] {
            assert_eq!(text.parse::<AllowedChannels>(), Err(NotAChannelList), "{text:?}");
        }
    }
}
