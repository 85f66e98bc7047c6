//! What a check found, as a sentence with its remedy.

use std::fmt::{self, Write};

use dce_discord::{Application, Error, ErrorKind, Guild, MessageContentIntent, TokenKind, Url, User};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Severity {
    Fine,
    /// Exports work, with a restriction.
    Warning,
    /// Prevents exports.
    Problem,
}

/// One result. Names come from Discord, so control characters in them are not printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) severity: Severity,
    text: String,
}

impl Finding {
    fn new(severity: Severity, text: impl Into<String>) -> Self {
        Self { severity, text: text.into() }
    }

    /// The token is accepted, and the worker may ask with it.
    pub(super) fn owner(kind: TokenKind, user: &User) -> Self {
        let (id, username) = (user.id, printable(&user.username));
        match kind {
            TokenKind::Bot => Self::new(
                Severity::Fine,
                format!("Discord accepts the token. It belongs to the bot {username} (id {id})."),
            ),
            TokenKind::User => Self::new(
                Severity::Warning,
                format!(
                    "Discord accepts the token. It belongs to the user {username} (id {id}), not to a bot. Discord's \
                     terms forbid automated user accounts, and Discord bans them. ALLOW_USER_TOKEN=true accepts this \
                     risk."
                ),
            ),
        }
    }

    /// The token is a user's, and the worker may not ask with it.
    pub(super) fn user_token_not_allowed() -> Self {
        Self::new(
            Severity::Problem,
            "Discord accepts the token, but it belongs to a user, not to a bot. Discord's terms forbid automated user \
             accounts, and Discord bans them. Set DISCORD_TOKEN to a bot's token. If you accept the risk, set \
             ALLOW_USER_TOKEN=true; until then, the worker does not ask Discord with this token, and exports end with \
             the warning not_verified.",
        )
    }

    /// The first question, which shows whether the token is accepted, has no answer.
    pub(super) fn no_owner(error: &Error) -> Self {
        let text = match error.kind() {
            ErrorKind::Unauthorized => {
                "Discord does not accept the token. Set DISCORD_TOKEN to the bot's token from \
                                        Discord's developer portal."
                    .to_owned()
            }
            ErrorKind::UserTokenNotAllowed => return Self::user_token_not_allowed(),
            ErrorKind::Unavailable(_) => format!(
                "Whether the token is accepted is unknown: {error}. Check the network and, behind a proxy, HTTPS_PROXY \
                 and SSL_CERT_FILE."
            ),
            _ => format!("Whether the token is accepted is unknown: {error}."),
        };
        Self::new(Severity::Problem, text)
    }

    pub(super) fn intents(application: &Application) -> Self {
        match application.message_content() {
            MessageContentIntent::Approved => Self::new(
                Severity::Fine,
                "The Message Content intent is enabled, and Discord has approved it. Messages come with their content.",
            ),
            MessageContentIntent::Limited => Self::new(
                Severity::Fine,
                "The Message Content intent is enabled. Messages come with their content. Discord has not reviewed the \
                 application; when the bot reaches 10,000 users, Discord demands a review and otherwise withdraws the \
                 content.",
            ),
            MessageContentIntent::Missing => Self::new(
                Severity::Problem,
                "The Message Content intent is off. Content, embeds, attachments and components of most messages would be \
                 empty in the archive. Enable it for the bot in Discord's developer portal.",
            ),
        }
    }

    pub(super) fn servers(guilds: &[Guild]) -> Self {
        let [first, others @ ..] = guilds else {
            return Self::new(
                Severity::Warning,
                "The token gives access to no server. Invite the bot to the servers whose channels it should export.",
            );
        };
        let mut text = if others.is_empty() {
            "The token gives access to 1 server:".to_owned()
        } else {
            format!("The token gives access to {} servers:", guilds.len())
        };
        for guild in std::iter::once(first).chain(others) {
            // Writing to a String does not fail.
            let _ = write!(text, "\n{:>20}  {}", guild.id, printable(&guild.name));
        }
        Self::new(Severity::Fine, text)
    }

    /// A later question has no answer.
    pub(super) fn unanswered(question: &str, error: &Error) -> Self {
        Self::new(Severity::Problem, format!("{question} is unknown: {error}."))
    }

    pub(super) fn other_api(url: &Url) -> Self {
        Self::new(
            Severity::Warning,
            format!(
                "DISCORD_API_URL is {url}, not Discord. DiscordChatExporter always asks Discord's own API."
            ),
        )
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Fine => "ok",
            Severity::Warning => "warning",
            Severity::Problem => "problem",
        };
        write!(f, "{severity:<8} {}", self.text)
    }
}

fn printable(name: &str) -> String {
    name.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use dce_core::ids::Snowflake;

    use super::*;

    fn application(flags: u64) -> Application {
        Application { id: Snowflake::new(1), name: "archiver".to_owned(), flags }
    }

    #[test]
    fn only_a_missing_intent_prevents_exports() {
        for (flags, severity) in
            [(1 << 18, Severity::Fine), (1 << 19, Severity::Fine), (1 << 15, Severity::Problem)]
        {
            assert_eq!(Finding::intents(&application(flags)).severity, severity);
        }
    }

    #[test]
    fn a_name_cannot_write_to_the_terminal() {
        let guild = Guild { id: Snowflake::new(7), name: "red \u{1b}[31m\nok".to_owned() };
        let text = Finding::servers(&[guild]).to_string();
        assert_eq!(text.lines().count(), 2, "{text:?}");
        assert!(!text.contains('\u{1b}'), "{text:?}");
    }
}
