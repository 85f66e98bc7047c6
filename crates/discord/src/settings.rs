//! What a client needs to know.

use std::num::NonZeroU32;
use std::path::PathBuf;

use reqwest::Url;
use secrecy::SecretString;

/// The API that the service is written for.
pub const DEFAULT_BASE_URL: &str = "https://discord.com/api/v10";

#[derive(Debug, Clone)]
pub struct ClientSettings {
    pub base_url: Url,
    pub token: SecretString,
    /// Otherwise a user's token is asked for its kind only.
    pub allow_user_token: bool,
    /// Number of processes that share one address, and with it Discord's limit of invalid requests.
    pub shared_by: NonZeroU32,
}

#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    #[error("the URL of Discord's API must begin with http:// or https:// and have neither ? nor #: {0}")]
    BaseUrl(Url),
    #[error("the token has characters that cannot be sent in a header")]
    Token,
    #[error("SSL_CERT_FILE {} cannot be read: {cause}", .path.display())]
    CertificateFile { path: PathBuf, cause: String },
    #[error("TLS cannot be set up: {0}")]
    Tls(String),
    #[error("the HTTP client cannot be built: {0}")]
    Http(String),
}
