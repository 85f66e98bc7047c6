//! Confirms what DCE reports of token, access and intent: Discord's edge refuses single requests, and DCE takes each for
//! the final answer.

use dce_core::export::failure::{Failure, FailureKind};
use dce_core::ids::Snowflake;
use dce_discord::Position as Place;

use super::Inquiry;
use super::failure::Refusal;

/// Whether DCE's failure is final only if Discord tells our own client the same.
pub const fn needs_confirmation(kind: FailureKind) -> bool {
    matches!(
        kind,
        FailureKind::InvalidToken
            | FailureKind::MissingAccess
            | FailureKind::UnknownChannel
            | FailureKind::MissingMessageContentIntent
    )
}

impl Inquiry<'_> {
    /// The failure once our own client has asked, too: the same, Discord's own refusal, or `discord_unavailable` if
    /// Discord refuses us nothing.
    pub async fn confirm(&mut self, reported: Failure, channel_id: Snowflake) -> Failure {
        let refused = match reported.kind {
            FailureKind::MissingMessageContentIntent => self.intent_is_missing().await,
            _ => self.channel_is_refused(channel_id).await,
        };
        match refused {
            Err(Refusal::NotAllowed) | Ok(true) => reported,
            Err(Refusal::Failed(failure)) if failure.kind == reported.kind => reported,
            Err(Refusal::Failed(failure)) if needs_confirmation(failure.kind) => failure,
            Err(Refusal::Failed(failure) | Refusal::Later(failure)) => unconfirmed(&reported, failure.detail),
            Ok(false) => unconfirmed(&reported, None),
        }
    }

    /// Asks what DCE asks first, up to the first refusal.
    async fn channel_is_refused(&mut self, channel_id: Snowflake) -> Result<bool, Refusal> {
        let user = self.client.current_user(self.deadline).await;
        self.count(user)?;
        let channel = self.client.channel(channel_id, self.deadline).await;
        self.count(channel)?;
        self.messages(channel_id, 1, Place::Newest).await?;
        Ok(false)
    }

    async fn intent_is_missing(&mut self) -> Result<bool, Refusal> {
        let application = self.client.application(self.deadline).await;
        Ok(!self.count(application)?.value.has_message_content())
    }
}

fn unconfirmed(reported: &Failure, answer: Option<String>) -> Failure {
    let reason = reported.detail.as_deref().unwrap_or(reported.kind.message());
    let answer = answer.unwrap_or_else(|| "Discord did not confirm it".to_owned());
    Failure::new(FailureKind::DiscordUnavailable)
        .with_detail(format!("{} was reported: {reason}; {answer}", reported.kind.code()))
}
