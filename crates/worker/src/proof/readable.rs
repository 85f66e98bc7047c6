//! Whether the messages of a channel may be read at all: an empty list proves nothing, because Discord returns one to a
//! bot without the permission Read Message History, too.

use dce_core::export::failure::{Failure, FailureKind};
use dce_core::ids::Snowflake;
use dce_discord::{ErrorKind, Position as Place, TokenKind};

use super::failure::Refusal;
use super::{Inquiry, Outcome, Proof, Question};

/// Discord's code of a message that does not exist.
const UNKNOWN_MESSAGE: u64 = 10_008;

impl Inquiry<'_> {
    /// The outcome of an empty page. `proof` holds if the channel can be read.
    pub(super) async fn empty(&mut self, question: Question<'_>, proof: Proof) -> Result<Outcome, Refusal> {
        let channel_id = question.channel_id;
        // Any message of the channel shows that it can be read: then the window alone is empty.
        if !self.messages(channel_id, 1, Place::Newest).await?.value.is_empty() {
            return Ok(Outcome::Proven(proof));
        }
        // The question before this one has learnt it.
        let kind = self.client.token_kind(self.deadline).await?;
        // The id of a message that exists or existed: no need to ask for the channel.
        if let (TokenKind::Bot, Some(cursor)) = (kind, question.position.cursor) {
            return self.prove_readable(channel_id, cursor, proof).await;
        }
        let channel = self.client.channel(channel_id, self.deadline).await;
        let channel = self.count(channel)?.value;
        match kind {
            _ if channel.is_direct() => Ok(Outcome::Proven(proof)),
            TokenKind::User => Ok(Outcome::NotVerified),
            TokenKind::Bot => {
                let message_id = channel.last_message_id.unwrap_or(channel_id);
                self.prove_readable(channel_id, message_id, proof).await
            }
        }
    }

    /// Asks for one message by its id: a bot that may not read the history is refused (Discord's documentation), one that
    /// may gets the message or learns that it is gone.
    async fn prove_readable(
        &mut self,
        channel_id: Snowflake,
        message_id: Snowflake,
        proof: Proof,
    ) -> Result<Outcome, Refusal> {
        let answer = self.client.message(channel_id, message_id, self.deadline).await;
        match &answer {
            Err(error) if matches!(error.kind(), ErrorKind::NotFound { code: Some(UNKNOWN_MESSAGE) }) => {
                self.requests += error.requests();
                Ok(Outcome::Proven(proof))
            }
            Err(error) if matches!(error.kind(), ErrorKind::Forbidden { .. }) => {
                self.requests += error.requests();
                let detail = format!("Discord: {error}");
                Err(Refusal::Failed(Failure::new(FailureKind::HistoryHidden).with_detail(detail)))
            }
            _ => self.count(answer).map(|_| Outcome::Proven(proof)),
        }
    }
}
