//! Drops the users of reactions from a message that is too large with them. They are the reason for oversized messages:
//! DCE lists every user of every reaction with name, colour and avatar.

use super::grammar::{Grammar, IN_MESSAGE};
use super::scan::begins_value;
use super::token::Copied;

/// Number of brackets open around the members of a reaction: those of the message, `reactions`, reaction.
const IN_REACTION: u32 = IN_MESSAGE + 2;
/// Number of brackets open around the elements of `users`.
const IN_USERS: u32 = IN_REACTION + 1;

/// Watches the tokens of one message and cuts the copy of each `reactions[].users` off behind its opening bracket.
#[derive(Debug, Default)]
pub(crate) struct UserFilter {
    /// The message's latest key is `reactions`.
    at_reactions: bool,
    /// The latest key of a reaction is `users`.
    at_users: bool,
    kept_len: Option<usize>,
    dropped: u64,
}

impl UserFilter {
    /// Inside `users`: the length of the copy without the array's elements. Elsewhere `None`.
    pub(crate) const fn kept_len(&self) -> Option<usize> {
        self.kept_len
    }

    /// Number of dropped users.
    pub(crate) const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Counts a token that begins with `byte`, if it begins a user.
    pub(crate) fn before_token(&mut self, byte: u8, grammar: &Grammar) {
        if self.kept_len.is_some() && grammar.depth() == IN_USERS && begins_value(byte) {
            self.dropped += 1;
        }
    }

    /// Cuts off a copied token that belongs to a user. `start`: where the token begins, if it is a string or a scalar.
    pub(crate) fn after_token(
        &mut self,
        copied: Copied,
        grammar: &Grammar,
        start: usize,
        copy: &mut Vec<u8>,
    ) {
        if let Some(kept) = self.kept_len {
            copy.truncate(kept);
            if grammar.depth() < IN_USERS {
                self.kept_len = None;
                copy.push(b']');
            }
            return;
        }
        match (copied, grammar.depth()) {
            (Copied::String, IN_MESSAGE) if grammar.after_key() => {
                self.at_reactions = is_key(&copy[start..], "reactions");
            }
            (Copied::String, IN_REACTION) if grammar.after_key() => {
                let in_reaction = self.at_reactions && !grammar.is_object(1);
                self.at_users = in_reaction && is_key(&copy[start..], "users");
            }
            (Copied::Mark(b'['), IN_USERS) if self.at_users && grammar.is_object(1) => {
                self.kept_len = Some(copy.len());
            }
            _ => {}
        }
    }
}

/// Reads the key with `serde_json`, because it may contain escapes.
fn is_key(json: &[u8], key: &str) -> bool {
    serde_json::from_slice::<String>(json).is_ok_and(|read| read == key)
}
