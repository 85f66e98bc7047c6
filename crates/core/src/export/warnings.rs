//! Warnings of exports that completed: about data that DCE loses silently, and about changes that the archive made.
//!
//! The counters are stored in the warnings themselves; a later attempt reads them from there.

use serde_json::{Value, json};

use super::sentences_macro::sentences;
use crate::ids::Snowflake;

sentences! {
    /// A class of warnings. Clients and tables see its code.
    WarningKind {
        /// Messages of people without text or any other content.
        ContentBlank = "content_blank",
            "Some messages written by people are blank.",
            "Enable the Message Content intent for the bot in Discord's developer portal, delete these messages from the archive, then export again. Polls look the same and stay blank, because DiscordChatExporter does not export their content.";
        ReactionUsersMissing = "reaction_users_missing",
            "Some reactions list fewer users than they count.",
            "If Discord temporarily refused to list the users, delete these messages from the archive, then export again. Super reactions can be counted without their users being listed.";
        /// Characters were replaced by U+FFFD.
        Repaired = "repaired",
            "Some messages contained characters that Postgres cannot store. Each was replaced by U+FFFD.",
            "No action needed: these were NUL characters, unpaired surrogates or invalid UTF-8.";
        /// Nobody asked Discord, or it could not be asked.
        NotVerified = "not_verified",
            "The service did not verify with Discord that this export is complete.",
            "No message is known to be missing. To verify the next export, do not set DISCORD_VERIFY=false on the workers, and set ALLOW_USER_TOKEN=true if they use a user token. If they still do not verify, their log gives the reason at their start. With a user token, an empty range outside direct messages cannot be verified.";
        MessageShortened = "message_shortened",
            "Some messages larger than 16 MiB were stored without the users of their reactions.",
            "No action needed: everything else in them is kept, including the count of each reaction.";
        ErasedMessages = "erased_messages",
            "Some messages were skipped because they, their author or their channel were erased from this archive.",
            "No action needed if this is intended. To archive them again, delete the matching row from the table erasures, then export again.";
    }
}

impl WarningKind {
    /// The JSON of `warnings` columns and of the API.
    pub fn to_json(self) -> Value {
        json!({ "code": self.code(), "message": self.message(), "action": self.action() })
    }

    fn with_count(self, count: u64) -> Value {
        let mut json = self.to_json();
        json["count"] = count.into();
        json
    }
}

/// Maximum number of ids in a warning.
const MAX_IDS: usize = 20;

/// The first ids of any number. Without an allocation, because each batch has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FirstIds {
    ids: [Snowflake; MAX_IDS],
    len: usize,
}

impl FirstIds {
    /// Adds an id if there is space.
    pub fn push(&mut self, id: Snowflake) {
        if let Some(free) = self.ids.get_mut(self.len) {
            *free = id;
            self.len += 1;
        }
    }

    pub fn as_slice(&self) -> &[Snowflake] {
        &self.ids[..self.len]
    }
}

impl Default for FirstIds {
    fn default() -> Self {
        Self { ids: [Snowflake::new(0); MAX_IDS], len: 0 }
    }
}

impl Extend<Snowflake> for FirstIds {
    fn extend<T: IntoIterator<Item = Snowflake>>(&mut self, ids: T) {
        ids.into_iter().for_each(|id| self.push(id));
    }
}

/// Counters behind the warnings, for one message or for any number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    pub blank: u64,
    /// Messages with a reaction that lists fewer users than it counts.
    pub reactions_short: u64,
    /// Number of users missing there.
    pub reaction_users_missing: u64,
    /// Messages stored without the users of their reactions.
    pub shortened: u64,
    /// Number of users omitted there.
    pub users_omitted: u64,
    pub shortened_ids: FirstIds,
    /// Messages skipped because they are erased.
    pub erased: u64,
}

impl Counters {
    /// Adds the counters of later messages.
    pub fn add(&mut self, later: &Self) {
        self.blank += later.blank;
        self.reactions_short += later.reactions_short;
        // A document may contain any count.
        self.reaction_users_missing =
            self.reaction_users_missing.saturating_add(later.reaction_users_missing);
        self.shortened += later.shortened;
        self.users_omitted += later.users_omitted;
        self.shortened_ids.extend(later.shortened_ids.as_slice().iter().copied());
        self.erased += later.erased;
    }

    /// The warnings of a run: an array of `{code, message, action, count, …}`. `repaired`: messages with replaced
    /// characters, which have a column of their own.
    pub fn warnings(&self, repaired: u64) -> Value {
        let mut warnings = Vec::new();
        if self.blank > 0 {
            warnings.push(WarningKind::ContentBlank.with_count(self.blank));
        }
        if self.reactions_short > 0 {
            let mut warning = WarningKind::ReactionUsersMissing.with_count(self.reactions_short);
            warning["users"] = self.reaction_users_missing.into();
            warnings.push(warning);
        }
        if repaired > 0 {
            warnings.push(WarningKind::Repaired.with_count(repaired));
        }
        if self.shortened > 0 {
            let mut warning = WarningKind::MessageShortened.with_count(self.shortened);
            warning["users"] = self.users_omitted.into();
            warning["message_ids"] = json!(self.shortened_ids.as_slice());
            warnings.push(warning);
        }
        if self.erased > 0 {
            warnings.push(WarningKind::ErasedMessages.with_count(self.erased));
        }
        warnings.into()
    }

    /// Reads the counters from stored warnings. Missing ones are 0.
    pub fn from_warnings(warnings: &Value) -> Self {
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
            users_omitted: number(&shortened["users"]),
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
                users_omitted: if shortened > 0 { left_out } else { 0 },
                shortened_ids,
                erased,
            }
        })
    }

    proptest! {
        #[test]
        fn counters_are_read_back_from_their_warnings(counters in counters(), repaired: u64) {
            prop_assert_eq!(Counters::from_warnings(&counters.warnings(repaired)), counters);
        }

        #[test]
        fn counters_of_attempts_add_up(a in counters(), b in counters(), c in counters()) {
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
    fn zero_counters_are_no_warning() {
        assert_eq!(Counters::default().warnings(0), json!([]));
    }

    #[test]
    fn a_warning_has_message_count_and_first_ids() {
        let mut counters = Counters { blank: 3, shortened: 25, users_omitted: 9, ..Counters::default() };
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
    fn foreign_warnings_count_nothing() {
        for stored in [
            json!(null),
            json!([]),
            json!([{ "code": "other", "count": 5 }, 7]),
            json!([{ "code": "content_blank" }]),
        ] {
            assert_eq!(Counters::from_warnings(&stored), Counters::default(), "{stored}");
        }
    }

    #[test]
    fn every_code_is_unique() {
        let codes: std::collections::HashSet<_> = WarningKind::ALL.iter().map(|kind| kind.code()).collect();
        assert_eq!(codes.len(), WarningKind::ALL.len());
    }

    #[test]
    fn an_absurd_count_in_a_document_does_not_overflow() {
        let mut sum = Counters { reaction_users_missing: u64::MAX, ..Counters::default() };
        sum.add(&sum.clone());
        assert_eq!(sum.reaction_users_missing, u64::MAX);
    }
}
