//! The authors of a synthetic channel. Their JSON is rendered once.

use super::json::{deeper, push_hex};
use super::random::{Random, index};

/// How many there are.
const COUNT: u64 = 132;
/// The most active one's messages, out of a thousand.
const TOP_SHARE: u64 = 294;
/// Chooses names, roles and pictures: the same people in every channel.
const SEED: u64 = 132;
/// Name, id and position of the server's roles.
const ROLES: [(&str, u64, u64); 4] =
    [("team", 11, 4), ("early bird", 12, 3), ("maintainer", 13, 12), ("speaks 한국어", 14, 2)];
const NAMES: [&str; 8] = ["amber", "birch", "cedar", "dune", "ember", "fjord", "grove", "harbour"];

/// One member, as JSON for each place in a message.
pub(super) struct Person {
    pub(super) id: u64,
    pub(super) as_author: String,
    pub(super) as_mention: String,
    /// Among the users of a reaction, which DCE writes without their roles.
    pub(super) as_reactor: String,
}

pub(super) struct People(Vec<Person>);

impl People {
    pub(super) fn new() -> Self {
        Self((0..COUNT).map(Person::new).collect())
    }

    /// A person; those who write more are more likely.
    pub(super) fn someone(&self, random: &mut Random) -> &Person {
        let who = if random.per_mille(TOP_SHARE) { 0 } else { 1 + random.low_below(COUNT - 1) };
        &self.0[index(who)]
    }

    /// This many different people; at most all of them.
    pub(super) fn group(&self, size: u64, random: &mut Random) -> impl Iterator<Item = &Person> {
        let first = random.low_below(COUNT);
        (first..first + size.min(COUNT)).map(|who| &self.0[index(who % COUNT)])
    }
}

impl Person {
    fn new(number: u64) -> Self {
        let mut random = Random::new(SEED, number);
        let id = 800_000_000_000_000_000 + number;
        let name = format!("{}_{number}", random.pick(&NAMES));
        let nickname = if random.per_mille(150) { format!("Üser {number} 사용자") } else { name.clone() };
        let role_count = match random.below(100) {
            _ if number == 0 => 1,
            0..9 => 0,
            9..92 => 1,
            92..96 => 2,
            96..98 => 3,
            _ => 4,
        };
        let color = if role_count == 0 { "null" } else { "\"#2ECC71\"" };
        let is_bot = number % 40 == 39;
        let start = format!(
            "{{\n  \"id\": \"{id}\",\n  \"name\": \"{name}\",\n  \"discriminator\": \"0000\",\n  \
             \"nickname\": \"{nickname}\",\n  \"color\": {color},\n  \"isBot\": {is_bot},\n  "
        );
        let mut picture = Vec::new();
        push_hex(&mut picture, &mut random, 32);
        let end = format!(
            "\"avatarUrl\": \"https://cdn.discordapp.com/avatars/{id}/{}.png?size=512\"\n}}",
            String::from_utf8_lossy(&picture)
        );
        let with_roles = format!("{start}\"roles\": [{}],\n  {end}", roles(role_count));
        Self {
            id,
            as_author: deeper(&with_roles, 3),
            as_mention: deeper(&with_roles, 4),
            as_reactor: deeper(&format!("{start}{end}"), 6),
        }
    }
}

fn roles(count: u64) -> String {
    if count == 0 {
        return String::new();
    }
    let role = |(name, id, position): &(&str, u64, u64)| {
        format!(
            "\n    {{\n      \"id\": \"9000000000000000{id}\",\n      \"name\": \"{name}\",\n      \
             \"color\": \"#2ECC71\",\n      \"position\": {position}\n    }}"
        )
    };
    let roles: Vec<_> = ROLES.iter().take(index(count)).map(role).collect();
    format!("{}\n  ", roles.join(","))
}
