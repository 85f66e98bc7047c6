//! Settings of Discord, which the worker and `dce-worker check` share.

#![expect(clippy::doc_markdown, reason = "--help shows these comments as they are")]

use clap::Args;
use dce_core::settings::SettingsParser;
use dce_discord::{DEFAULT_BASE_URL, Url};
use secrecy::SecretString;

/// The settings as text. Not `Debug`, because it contains the token.
#[derive(Args)]
pub(crate) struct DiscordArguments {
    /// Discord bot token. The worker passes it to DiscordChatExporter only in an environment variable. Required
    #[arg(long, env, hide_env_values = true, value_name = "TOKEN")]
    discord_token: Option<String>,
    /// Allow the worker itself to use a user's token. Discord's terms forbid automated user accounts
    /// and Discord bans them. false: with a user token, exports complete as with DISCORD_VERIFY=false
    #[arg(long, env, hide_env_values = true, value_name = "BOOL", default_value = "false")]
    allow_user_token: String,
    /// Base URL of Discord's API, for tests. DiscordChatExporter always asks Discord's own
    #[arg(long, env, hide_env_values = true, value_name = "URL", default_value = DEFAULT_BASE_URL)]
    discord_api_url: String,
}

impl DiscordArguments {
    pub(crate) fn token(&self, parser: &mut SettingsParser) -> Option<SecretString> {
        let remedy = "set it to the bot's token from Discord's developer portal";
        let token = parser.required("DISCORD_TOKEN", self.discord_token.clone(), remedy)?;
        Some(SecretString::from(token.trim()))
    }

    pub(crate) fn allow_user_token(&self, parser: &mut SettingsParser) -> Option<bool> {
        parser.flag("ALLOW_USER_TOKEN", &self.allow_user_token)
    }

    pub(crate) fn api_url(&self, parser: &mut SettingsParser) -> Option<Url> {
        let url = self.discord_api_url.trim().parse().ok();
        let url = url.filter(|url: &Url| matches!(url.scheme(), "http" | "https"));
        if url.is_none() {
            parser.mistake("DISCORD_API_URL", format_args!("must be a URL such as {DEFAULT_BASE_URL}"));
        }
        url
    }
}
