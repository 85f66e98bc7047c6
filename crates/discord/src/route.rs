//! The questions that the client asks, as paths of the API.

use dce_snowflake::Snowflake;
use reqwest::Url;

/// Discord's largest page of servers.
pub(crate) const GUILDS_A_PAGE: usize = 200;

/// A page of a channel's messages. Discord lists them newest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessagesQuery {
    /// 1 to 100.
    pub limit: u8,
    pub position: Position,
}

/// Where a page of messages lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Position {
    Newest,
    /// The newest below this id.
    Before(Snowflake),
    /// The oldest above this id.
    After(Snowflake),
    /// The nearest to this id, which is one of them if it exists.
    Around(Snowflake),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Route {
    CurrentUser,
    Guilds { after: Option<Snowflake> },
    Application,
    Channel(Snowflake),
    Messages(Snowflake, MessagesQuery),
    Message { channel: Snowflake, message: Snowflake },
}

/// What Discord limits together until it names the bucket: the route without its parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Endpoint {
    CurrentUser,
    Guilds,
    Application,
    Channel,
    Messages,
    Message,
}

impl Route {
    pub(crate) const fn endpoint(self) -> Endpoint {
        match self {
            Self::CurrentUser => Endpoint::CurrentUser,
            Self::Guilds { .. } => Endpoint::Guilds,
            Self::Application => Endpoint::Application,
            Self::Channel(_) => Endpoint::Channel,
            Self::Messages(..) => Endpoint::Messages,
            Self::Message { .. } => Endpoint::Message,
        }
    }

    /// The parameter for which Discord keeps a limit of its own.
    pub(crate) const fn major_parameter(self) -> Option<Snowflake> {
        match self {
            Self::CurrentUser | Self::Guilds { .. } | Self::Application => None,
            Self::Channel(channel) | Self::Messages(channel, _) | Self::Message { channel, .. } => {
                Some(channel)
            }
        }
    }

    pub(crate) fn url(self, base: &Url) -> Url {
        let (path, query) = self.path_and_query();
        let mut url = base.clone();
        url.set_path(&format!("{}/{path}", base.path().trim_end_matches('/')));
        url.set_query(query.as_deref());
        url
    }

    fn path_and_query(self) -> (String, Option<String>) {
        match self {
            Self::CurrentUser => ("users/@me".to_owned(), None),
            Self::Guilds { after } => {
                let after = after.map(|id| format!("&after={id}")).unwrap_or_default();
                ("users/@me/guilds".to_owned(), Some(format!("limit={GUILDS_A_PAGE}{after}")))
            }
            Self::Application => ("applications/@me".to_owned(), None),
            Self::Channel(id) => (format!("channels/{id}"), None),
            Self::Messages(channel, MessagesQuery { limit, position }) => {
                let position = match position {
                    Position::Newest => String::new(),
                    Position::Before(id) => format!("&before={id}"),
                    Position::After(id) => format!("&after={id}"),
                    Position::Around(id) => format!("&around={id}"),
                };
                (format!("channels/{channel}/messages"), Some(format!("limit={limit}{position}")))
            }
            Self::Message { channel, message } => (format!("channels/{channel}/messages/{message}"), None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(route: Route, base: &str) -> String {
        route.url(&base.parse().unwrap()).to_string()
    }

    #[test]
    fn routes_become_paths_below_the_base() {
        let id = Snowflake::new(7);
        for base in ["https://discord.com/api/v10", "https://discord.com/api/v10/"] {
            let of = |route| url(route, base).replace("https://discord.com/api/v10", "");
            assert_eq!(of(Route::CurrentUser), "/users/@me");
            assert_eq!(of(Route::Guilds { after: None }), "/users/@me/guilds?limit=200");
            assert_eq!(of(Route::Guilds { after: Some(id) }), "/users/@me/guilds?limit=200&after=7");
            assert_eq!(of(Route::Application), "/applications/@me");
            assert_eq!(of(Route::Channel(id)), "/channels/7");
            assert_eq!(
                of(Route::Message { channel: id, message: Snowflake::new(9) }),
                "/channels/7/messages/9"
            );
            for (position, query) in [
                (Position::Newest, "limit=100"),
                (Position::Before(id), "limit=100&before=7"),
                (Position::After(id), "limit=100&after=7"),
                (Position::Around(id), "limit=100&around=7"),
            ] {
                let route = Route::Messages(id, MessagesQuery { limit: 100, position });
                assert_eq!(of(route), format!("/channels/7/messages?{query}"));
            }
        }
    }

    #[test]
    fn an_empty_path_is_a_base_too() {
        assert_eq!(url(Route::Application, "http://127.0.0.1:80"), "http://127.0.0.1/applications/@me");
    }
}
