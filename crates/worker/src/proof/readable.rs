//! Whether the messages of a channel may be read at all: an empty list proves nothing, because Discord returns one to a
//! bot without the permission Read Message History, too.

use dce_core::export::failure::{Failure, FailureKind};
use dce_core::ids::Snowflake;
use dce_discord::{ErrorKind, Position as Place, TokenKind};

use super::failure::Refusal;
use super::{Inquiry, Question};

/// Discord's code of a message that does not exist.
const UNKNOWN_MESSAGE: u64 = 10_008;

/// What is known of a channel that listed nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    Readable,
    /// Only a bot can find out.
    Unknown,
}

impl Inquiry<'_> {
    /// Finds out whether the channel's messages may be read now; `history_hidden` if they may not.
    pub(super) async fn access(&mut self, question: Question<'_>) -> Result<Access, Refusal> {
        let channel_id = question.channel_id;
        // Any message of the channel shows that it can be read.
        if !self.messages(channel_id, 1, Place::Newest).await?.value.is_empty() {
            return Ok(Access::Readable);
        }
        // The question before this one has learnt it.
        let kind = self.client.token_kind(self.deadline).await?;
        // The id of a message that exists or existed: no need to ask for the channel.
        if let (TokenKind::Bot, Some(cursor)) = (kind, question.position.cursor) {
            return self.access_by_message(channel_id, cursor).await;
        }
        let channel = self.client.channel(channel_id, self.deadline).await;
        let channel = self.count(channel)?.value;
        match kind {
            _ if channel.is_direct() => Ok(Access::Readable),
            TokenKind::User => Ok(Access::Unknown),
            TokenKind::Bot => {
                let message_id = channel.last_message_id.unwrap_or(channel_id);
                self.access_by_message(channel_id, message_id).await
            }
        }
    }

    /// Asks for one message by its id: a bot that may not read the history is refused (Discord's documentation), one that
    /// may gets the message or learns that it is gone.
    async fn access_by_message(
        &mut self,
        channel_id: Snowflake,
        message_id: Snowflake,
    ) -> Result<Access, Refusal> {
        let answer = self.client.message(channel_id, message_id, self.deadline).await;
        match &answer {
            Err(error) if matches!(error.kind(), ErrorKind::NotFound { code: Some(UNKNOWN_MESSAGE) }) => {
                self.requests += error.requests();
                Ok(Access::Readable)
            }
            Err(error) if matches!(error.kind(), ErrorKind::Forbidden { .. }) => {
                self.requests += error.requests();
                let detail = format!("Discord: {error}");
                Err(Refusal::Failed(Failure::new(FailureKind::HistoryHidden).with_detail(detail)))
            }
            _ => self.count(answer).map(|_| Access::Readable),
        }
    }
}
