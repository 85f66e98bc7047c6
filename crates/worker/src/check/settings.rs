//! Settings of `dce-worker check`.

use std::num::NonZeroU32;

use clap::Args;
use dce_core::settings::{Mistakes, SettingsParser};
use dce_discord::ClientSettings;

use crate::discord_settings::DiscordArguments;

/// Arguments of `check`.
#[derive(Args)]
#[command(after_help = "Exit code: 0 if nothing prevents exports, 1 otherwise, 2 for invalid settings.\n\
                        A .env file in the working directory is read unless DOTENV=false.")]
pub struct CheckArguments {
    #[command(flatten)]
    discord: DiscordArguments,
}

impl CheckArguments {
    /// Parses all settings, or reports every mistake.
    pub fn settings(&self) -> Result<ClientSettings, Mistakes> {
        let mut parser = SettingsParser::default();
        let settings = self.parse_with(&mut parser);
        parser.finish(settings)
    }

    fn parse_with(&self, parser: &mut SettingsParser) -> Option<ClientSettings> {
        // Every setting is read before the first missing one returns, so that all mistakes are reported.
        let token = self.discord.token(parser);
        let allow_user_token = self.discord.allow_user_token(parser);
        let base_url = self.discord.api_url(parser);
        Some(ClientSettings {
            base_url: base_url?,
            token: token?,
            allow_user_token: allow_user_token?,
            // A few requests that end with this process.
            shared_by: NonZeroU32::MIN,
        })
    }
}
