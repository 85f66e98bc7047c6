//! Discord's refusals as failures of a run, so that a code means the same whoever met it: DCE or our own client.

use dce_core::export::failure::{Failure, FailureKind};
use dce_core::store::StoreError;
use dce_discord::{Error, ErrorKind};

/// What a run does about an answer of Discord that is no answer to the question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// Discord was unavailable until our patience ended: the question is asked again later.
    Later(Failure),
    /// Discord refused the question.
    Failed(Failure),
    /// Our client may not ask: the token is a user's.
    NotAllowed,
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        let failure = |kind| Failure::new(kind).with_detail(error.to_string());
        match *error.kind() {
            ErrorKind::Unauthorized => Self::Failed(failure(FailureKind::InvalidToken)),
            ErrorKind::Forbidden { .. } => Self::Failed(failure(FailureKind::MissingAccess)),
            ErrorKind::NotFound { .. } => Self::Failed(failure(FailureKind::UnknownChannel)),
            ErrorKind::Refused { .. } | ErrorKind::Unreadable { .. } => {
                Self::Failed(failure(FailureKind::DiscordUnavailable))
            }
            ErrorKind::Unavailable(_) => Self::Later(failure(FailureKind::DiscordUnavailable)),
            ErrorKind::RateLimited { retry_after } | ErrorKind::TooManyInvalidRequests { retry_after } => {
                Self::Later(Failure { retry_after: Some(retry_after), ..failure(FailureKind::RateLimited) })
            }
            ErrorKind::UserTokenNotAllowed => Self::NotAllowed,
        }
    }
}

/// The archive did not answer what Discord's answer means.
impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        let failure = |kind| Failure::new(kind).with_detail(error.to_string());
        if error.is_transient() || error.is_read_only() {
            Self::Later(failure(FailureKind::DatabaseUnavailable))
        } else {
            Self::Failed(failure(FailureKind::DatabaseRefused))
        }
    }
}
