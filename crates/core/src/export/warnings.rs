//! What deserves a look although the export completed: what DCE loses in silence, and what the archive changed.
//!
//! The numbers are kept in the warnings themselves, so a later attempt reads them back from there.

use serde_json::{Value, json};

use crate::ids::Snowflake;

/// Declares the warnings once: code, what was found, what to do.
macro_rules! warnings {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $message:literal, $action:literal;)*) => {
        /// Every warning an export can have. The code is what clients and tables see.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum WarningKind {
            $($(#[$doc])* $name,)*
        }

        impl WarningKind {
            /// All of them, for documentation and tests.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The stable code, e.g. `content_blank`.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// What was found, one sentence.
            pub const fn message(self) -> &'static str {
                match self { $(Self::$name => $message,)* }
            }

            /// What the user can do.
            pub const fn action(self) -> &'static str {
                match self { $(Self::$name => $action,)* }
            }
        }
    };
}

warnings! {
    /// A message of a person without text and without anything else.
    ContentBlank = "content_blank",
        "Messages written by people are blank.",
        "Enable the Message Content intent for the bot in Discord's developer portal, delete these messages from the archive, then export again. Polls look the same and stay blank: DiscordChatExporter does not export them.";
    /// A reaction lists fewer users than it counts.
    ReactionUsersMissing = "reaction_users_missing",
        "Some reactions list fewer users than they count.",
        "If Discord refused a list for a while, delete these messages from the archive, then export again. Super reactions can be counted without being listed.";
    /// Characters were replaced by U+FFFD.
    Repaired = "repaired",
        "Some messages held characters that Postgres cannot store; each was replaced by U+FFFD.",
        "Nothing to do: these are NUL and broken halves of characters.";
    /// Nothing came, and DCE did not say why.
    EmptyWithoutReason = "empty_without_reason",
        "The export completed without a single message, and Discord gave no reason.",
        "If there should be messages in this range, give the bot the permission Read Message History: without it Discord answers with an empty list.";
    /// The users of a giant's reactions were left out.
    MessageShortened = "message_shortened",
        "Messages larger than 16 MB were stored without the users of their reactions.",
        "Nothing to do: everything else of them is kept, and each reaction still has its count.";
    /// What was erased for good came again.
    ErasedMessages = "erased_messages",
        "Some messages were left out because they, their author or their channel were erased from this archive.",
        "Nothing to do if that is meant. To let them in again, delete the row from the table erasures, then export again.";
}

impl WarningKind {
    /// As stored in `warnings` columns and shown to clients.
    pub fn to_json(self) -> Value {
        json!({ "code": self.code(), "message": self.message(), "action": self.action() })
    }

    fn counted(self, count: u64) -> Value {
        let mut json = self.to_json();
        json["count"] = count.into();
        json
    }
}

/// Ids that a warning names at most.
const NAMED: usize = 20;

/// The first ids of many. Without an allocation, because every batch has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FirstIds {
    ids: [Snowflake; NAMED],
    len: usize,
}

impl FirstIds {
    /// Adds an id if there is room.
    pub fn push(&mut self, id: Snowflake) {
        if let Some(free) = self.ids.get_mut(self.len) {
            *free = id;
            self.len += 1;
        }
    }

    /// Those there are.
    pub fn as_slice(&self) -> &[Snowflake] {
        &self.ids[..self.len]
    }
}

impl Default for FirstIds {
    fn default() -> Self {
        Self { ids: [Snowflake::new(0); NAMED], len: 0 }
    }
}

impl Extend<Snowflake> for FirstIds {
    fn extend<T: IntoIterator<Item = Snowflake>>(&mut self, ids: T) {
        ids.into_iter().for_each(|id| self.push(id));
    }
}

/// What was noticed about messages, of one message or of any number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Messages of people that are blank.
    pub blank: u64,
    /// Messages with a reaction that lists fewer users than it counts.
    pub reactions_short: u64,
    /// How many users are missing there.
    pub reaction_users_missing: u64,
    /// Messages stored without the users of their reactions.
    pub shortened: u64,
    /// How many users were left out there.
    pub users_left_out: u64,
    /// Which messages these are.
    pub shortened_ids: FirstIds,
    /// Messages that were not stored because they are erased.
    pub erased: u64,
}

impl Counters {
    /// Counts what others have noticed of later messages.
    pub fn add(&mut self, later: &Self) {
        self.blank += later.blank;
        self.reactions_short += later.reactions_short;
        // The count is whatever a document says.
        self.reaction_users_missing =
            self.reaction_users_missing.saturating_add(later.reaction_users_missing);
        self.shortened += later.shortened;
        self.users_left_out += later.users_left_out;
        self.shortened_ids.extend(later.shortened_ids.as_slice().iter().copied());
        self.erased += later.erased;
    }

    /// The warnings of a run: an array of `{code, message, action, count, …}`. `repaired`: messages with replaced
    /// characters, which have a column of their own.
    pub fn warnings(&self, repaired: u64) -> Value {
        let mut warnings = Vec::new();
        if self.blank > 0 {
            warnings.push(WarningKind::ContentBlank.counted(self.blank));
        }
        if self.reactions_short > 0 {
            let mut warning = WarningKind::ReactionUsersMissing.counted(self.reactions_short);
            warning["users"] = self.reaction_users_missing.into();
            warnings.push(warning);
        }
        if repaired > 0 {
            warnings.push(WarningKind::Repaired.counted(repaired));
        }
        if self.shortened > 0 {
            let mut warning = WarningKind::MessageShortened.counted(self.shortened);
            warning["users"] = self.users_left_out.into();
            warning["message_ids"] = json!(self.shortened_ids.as_slice());
            warnings.push(warning);
        }
        if self.erased > 0 {
            warnings.push(WarningKind::ErasedMessages.counted(self.erased));
        }
        warnings.into()
    }

    /// The counters behind stored warnings. What is not there is 0.
    pub fn of(warnings: &Value) -> Self {
        let find = |kind: WarningKind| {
            let found =
                warnings.as_array().into_iter().flatten().find(|warning| warning["code"] == kind.code());
            found.unwrap_or(&Value::Null)
        };
        let number = |value: &Value| value.as_u64().unwrap_or(0);
        let reactions = find(WarningKind::ReactionUsersMissing);
        let shortened = find(WarningKind::MessageShortened);
        let mut shortened_ids = FirstIds::default();
        let named = shortened["message_ids"].as_array().into_iter().flatten();
        shortened_ids.extend(named.filter_map(|id| id.as_str()?.parse().ok()));
        Self {
            blank: number(&find(WarningKind::ContentBlank)["count"]),
            reactions_short: number(&reactions["count"]),
            reaction_users_missing: number(&reactions["users"]),
            shortened: number(&shortened["count"]),
            users_left_out: number(&shortened["users"]),
            shortened_ids,
            erased: number(&find(WarningKind::ErasedMessages)["count"]),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn counters() -> impl Strategy<Value = Counters> {
        let count = || prop_oneof![Just(0), 1..u64::from(u32::MAX)];
        let ids = proptest::collection::vec(any::<u64>().prop_map(Snowflake::new), 0..30);
        let all = (count(), count(), count(), count(), count(), ids);
        all.prop_map(|(blank, short, missing, left_out, erased, ids)| {
            let mut shortened_ids = FirstIds::default();
            let shortened = ids.len() as u64;
            shortened_ids.extend(ids);
            Counters {
                blank,
                reactions_short: short,
                reaction_users_missing: if short > 0 { missing } else { 0 },
                shortened,
                users_left_out: if shortened > 0 { left_out } else { 0 },
                shortened_ids,
                erased,
            }
        })
    }

    proptest! {
        #[test]
        fn counters_come_back_from_their_warnings(counters in counters(), repaired: u64) {
            prop_assert_eq!(Counters::of(&counters.warnings(repaired)), counters);
        }

        #[test]
        fn what_attempts_count_adds_up(a in counters(), b in counters(), c in counters()) {
            let sum = |first: Counters, second: Counters| {
                let mut sum = first;
                sum.add(&second);
                sum
            };
            prop_assert_eq!(sum(sum(a, b), c), sum(a, sum(b, c)));
            prop_assert_eq!(sum(a, Counters::default()), a);
        }
    }

    #[test]
    fn nothing_noticed_is_no_warning() {
        assert_eq!(Counters::default().warnings(0), json!([]));
    }

    #[test]
    fn a_warning_says_what_was_found_and_how_often() {
        let mut counters = Counters { blank: 3, shortened: 25, users_left_out: 9, ..Counters::default() };
        counters.shortened_ids.extend((1..=25).map(Snowflake::new));
        let warnings = counters.warnings(2);
        let codes: Vec<_> = warnings.as_array().unwrap().iter().map(|warning| &warning["code"]).collect();
        assert_eq!(codes, ["content_blank", "repaired", "message_shortened"]);
        assert_eq!(warnings[0]["message"], WarningKind::ContentBlank.message());
        assert_eq!((&warnings[0]["count"], &warnings[1]["count"]), (&3.into(), &2.into()));
        assert_eq!((&warnings[2]["count"], &warnings[2]["users"]), (&25.into(), &9.into()));
        let named = warnings[2]["message_ids"].as_array().unwrap();
        assert_eq!((named.len(), &named[0], &named[19]), (20, &"1".into(), &"20".into()));
    }

    #[test]
    fn what_is_no_warning_of_ours_counts_nothing() {
        for stored in [
            json!(null),
            json!([]),
            json!([{ "code": "other", "count": 5 }, 7]),
            json!([{ "code": "content_blank" }]),
        ] {
            assert_eq!(Counters::of(&stored), Counters::default(), "{stored}");
        }
    }

    #[test]
    fn every_code_is_unique() {
        let codes: std::collections::HashSet<_> = WarningKind::ALL.iter().map(|kind| kind.code()).collect();
        assert_eq!(codes.len(), WarningKind::ALL.len());
    }

    #[test]
    fn a_count_that_a_document_makes_up_does_not_overflow() {
        let mut sum = Counters { reaction_users_missing: u64::MAX, ..Counters::default() };
        sum.add(&sum.clone());
        assert_eq!(sum.reaction_users_missing, u64::MAX);
    }
}
