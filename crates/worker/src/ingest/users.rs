//! Leaving the users of reactions out of a message that is too large with them. They are what makes a message a giant:
//! DCE lists every user of every reaction, with name, colour and avatar.

use super::grammar::{Grammar, IN_MESSAGE};
use super::scan::begins_value;
use super::tokens::Copied;

/// Around those of a reaction: `reactions`, reaction.
const IN_REACTION: u32 = IN_MESSAGE + 2;
/// Around the elements of `users`.
const IN_USERS: u32 = IN_REACTION + 1;

/// Watches the tokens of one message. What is copied of a `reactions[].users` is cut off behind its opening bracket, token
/// by token.
#[derive(Debug, Default)]
pub(super) struct LeftOut {
    /// The message's latest key is `reactions`.
    at_reactions: bool,
    /// The latest key of a reaction is `users`.
    at_users: bool,
    /// Inside of `users`: where the copy ends for now.
    inside: Option<usize>,
    users: u64,
}

impl LeftOut {
    /// Inside of `users`, the length of the copy without its elements.
    pub(super) const fn inside(&self) -> Option<usize> {
        self.inside
    }

    /// How many users were left out.
    pub(super) const fn users(&self) -> u64 {
        self.users
    }

    /// A token begins with this byte.
    pub(super) fn before(&mut self, byte: u8, grammar: &Grammar) {
        if self.inside.is_some() && grammar.depth() == IN_USERS && begins_value(byte) {
            self.users += 1;
        }
    }

    /// A token was copied; if it is a string or a scalar, it begins at `start`.
    pub(super) fn after(&mut self, copied: Copied, grammar: &Grammar, start: usize, copy: &mut Vec<u8>) {
        if let Some(end) = self.inside {
            copy.truncate(end);
            if grammar.depth() < IN_USERS {
                self.inside = None;
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
                self.inside = Some(copy.len());
            }
            _ => {}
        }
    }
}

/// Through `serde_json`, because a key may be written with escapes.
fn is_key(json: &[u8], key: &str) -> bool {
    serde_json::from_slice::<String>(json).is_ok_and(|read| read == key)
}
