//! The requests that the fake knows, by their paths.

use percent_encoding::percent_decode_str;

/// A path of the REST API below `/api/v10/`. Ids are as the client wrote them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// `users/@me`
    CurrentUser,
    /// `users/@me/guilds`
    Guilds,
    /// `users/@me/channels`
    DirectMessages,
    /// `applications/@me`
    Application,
    /// `guilds/G`
    Guild(String),
    /// `guilds/G/channels`
    GuildChannels(String),
    /// `guilds/G/roles`
    GuildRoles(String),
    /// `guilds/G/members/U`
    Member { guild: String, user: String },
    /// `guilds/G/threads/active`
    ActiveThreads(String),
    /// `channels/C`
    Channel(String),
    /// `channels/C/threads/…`
    Threads(String),
    /// `channels/C/messages`
    Messages(String),
    /// `channels/C/messages/M`
    Message { channel: String, message: String },
    /// `channels/C/messages/M/reactions/E`
    Reaction { channel: String, message: String, emoji: String },
    /// Any other path.
    Unknown(String),
}

impl Route {
    pub fn channel(channel: impl Into<String>) -> Self {
        Self::Channel(channel.into())
    }

    pub fn messages(channel: impl Into<String>) -> Self {
        Self::Messages(channel.into())
    }

    /// The channel that this is about.
    pub fn channel_id(&self) -> Option<&str> {
        match self {
            Self::Channel(channel)
            | Self::Threads(channel)
            | Self::Messages(channel)
            | Self::Message { channel, .. }
            | Self::Reaction { channel, .. } => Some(channel),
            _ => None,
        }
    }

    /// Parses a path without its query.
    pub(super) fn parse(path: &str) -> Self {
        let unknown = || Self::Unknown(path.to_owned());
        let Some(versioned) = path.strip_prefix("/api/") else { return unknown() };
        let mut parts = versioned.split('/');
        if parts.next() != Some("v10") {
            return unknown();
        }
        let parts: Vec<_> =
            parts.map(|part| percent_decode_str(part).decode_utf8_lossy().into_owned()).collect();
        let parts: Vec<_> = parts.iter().map(String::as_str).collect();
        let own = |id: &str| id.to_owned();
        match parts[..] {
            ["users", "@me"] => Self::CurrentUser,
            ["users", "@me", "guilds"] => Self::Guilds,
            ["users", "@me", "channels"] => Self::DirectMessages,
            ["applications", "@me"] => Self::Application,
            ["guilds", guild] => Self::Guild(own(guild)),
            ["guilds", guild, "channels"] => Self::GuildChannels(own(guild)),
            ["guilds", guild, "roles"] => Self::GuildRoles(own(guild)),
            ["guilds", guild, "members", user] => Self::Member { guild: own(guild), user: own(user) },
            ["guilds", guild, "threads", "active"] => Self::ActiveThreads(own(guild)),
            ["channels", channel] => Self::Channel(own(channel)),
            ["channels", channel, "threads", ..] => Self::Threads(own(channel)),
            ["channels", channel, "messages"] => Self::Messages(own(channel)),
            ["channels", channel, "messages", message] => {
                Self::Message { channel: own(channel), message: own(message) }
            }
            ["channels", channel, "messages", message, "reactions", emoji] => {
                Self::Reaction { channel: own(channel), message: own(message), emoji: own(emoji) }
            }
            _ => unknown(),
        }
    }

    /// Requests of one bucket share a limit: by the kind of the route and by channel or guild, as Discord's do.
    pub(super) fn bucket(&self) -> String {
        match self {
            Self::CurrentUser => "user".into(),
            Self::Guilds => "user-guilds".into(),
            Self::DirectMessages => "user-channels".into(),
            Self::Application => "application".into(),
            Self::Guild(guild) => format!("guild-{guild}"),
            Self::GuildChannels(guild) => format!("guild-channels-{guild}"),
            Self::GuildRoles(guild) => format!("guild-roles-{guild}"),
            Self::Member { guild, .. } => format!("member-{guild}"),
            Self::ActiveThreads(guild) => format!("guild-threads-{guild}"),
            Self::Channel(channel) => format!("channel-{channel}"),
            Self::Threads(channel) => format!("threads-{channel}"),
            Self::Messages(channel) => format!("messages-{channel}"),
            Self::Message { channel, .. } => format!("message-{channel}"),
            Self::Reaction { channel, .. } => format!("reactions-{channel}"),
            Self::Unknown(_) => "unknown".into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Route;

    #[test]
    fn paths_are_recognised_and_decoded() {
        assert_eq!(Route::parse("/api/v10/users/@me"), Route::CurrentUser);
        assert_eq!(Route::parse("/api/v10/channels/7/messages"), Route::messages("7"));
        let reaction = Route::parse("/api/v10/channels/7/messages/8/reactions/blob%3A9");
        let expected = Route::Reaction { channel: "7".into(), message: "8".into(), emoji: "blob:9".into() };
        assert_eq!(reaction, expected);
        for path in ["/", "/api/v6/users/@me", "/api/v10/channels", "/api/v10/channels/7/messages/8/9"] {
            assert_eq!(Route::parse(path), Route::Unknown(path.into()));
        }
    }
}
