//! This worker's access to Discord itself, beside DCE's.

use dce_discord::{Client, ClientSettings, DEFAULT_BASE_URL, SettingsError};

use crate::settings::Settings;

/// Our own client, and whether what it sees is what DCE reads.
#[derive(Debug)]
pub struct DiscordAccess {
    client: Client,
    /// Whether the end of an export is proven.
    verifies: bool,
}

impl DiscordAccess {
    /// `is_standin`: `DCE_BIN` is the stand-in, which asks the address in `DISCORD_API_URL`; the real DCE always asks Discord.
    /// Both must read what our client sees, or nothing is proven.
    pub fn new(settings: &Settings, is_standin: bool) -> Result<Self, SettingsError> {
        let client = Client::new(ClientSettings {
            base_url: settings.discord_api_url.clone(),
            token: settings.token.clone(),
            allow_user_token: settings.allow_user_token,
            shared_by: settings.workers_per_address,
        })?;
        let asks_discord = settings.discord_api_url.as_str().trim_end_matches('/') == DEFAULT_BASE_URL;
        let same = asks_discord != is_standin;
        if settings.verify && !same {
            tracing::warn!(
                discord_api_url = %settings.discord_api_url,
                is_standin,
                consequence = "exports complete with the warning not_verified",
                remedy = "leave DISCORD_API_URL unset with the real DiscordChatExporter",
                "discord.not_asked"
            );
        }
        if settings.allow_user_token {
            tracing::warn!(
                consequence = "Discord's terms forbid automated user accounts, and Discord bans them",
                remedy = "use a bot's token and leave ALLOW_USER_TOKEN unset",
                "discord.user_token_allowed"
            );
        }
        Ok(Self { client, verifies: settings.verify && same })
    }

    /// The client that proves ends; `None`: DCE's word counts.
    pub fn verifier(&self) -> Option<&Client> {
        self.verifies.then_some(&self.client)
    }

    /// Counts the request that Discord refuses at each start of DCE: DCE tries every token as a user's first (DCE 2.47:
    /// docs/dce.md).
    pub fn count_dce_start(&self) {
        self.client.invalid_requests().record();
    }

    /// Whether Discord may be asked, by DCE or by us: not so close to the number of refused requests in ten minutes after
    /// which it blocks this address.
    pub fn is_open(&self) -> bool {
        !self.client.invalid_requests().is_exhausted()
    }
}
