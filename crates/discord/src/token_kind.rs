//! Whose token it is: Discord wants another header for a bot than for a user, and no token says what it is.

use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret, SecretString};

use crate::settings::SettingsError;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenKind {
    Bot,
    User,
}

/// The header of each kind. Both are marked as sensitive, which hides them from `Debug`.
#[derive(Debug)]
pub(crate) struct Authorization {
    bot: HeaderValue,
    user: HeaderValue,
}

impl Authorization {
    pub(crate) fn new(token: &SecretString) -> Result<Self, SettingsError> {
        let token = token.expose_secret();
        Ok(Self { bot: sensitive(&format!("Bot {token}"))?, user: sensitive(token)? })
    }

    pub(crate) const fn header(&self, kind: TokenKind) -> &HeaderValue {
        match kind {
            TokenKind::Bot => &self.bot,
            TokenKind::User => &self.user,
        }
    }
}

fn sensitive(text: &str) -> Result<HeaderValue, SettingsError> {
    let mut value = HeaderValue::from_str(text).map_err(|_| SettingsError::Token)?;
    value.set_sensitive(true);
    Ok(value)
}
