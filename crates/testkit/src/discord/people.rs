//! The members of servers and their roles, as far as the messages served so far show them.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Value, json};

use super::api_message::user;

/// Learns from DCE's JSON. DCE asks for members after it has read a page, so they are known by then.
#[derive(Debug, Default)]
pub(super) struct People {
    /// By user; DCE writes the same roles of a user in every channel of a server.
    members: HashMap<String, Value>,
    roles: BTreeMap<String, Value>,
}

impl People {
    pub(super) fn learn(&mut self, message: &Value) {
        self.learn_user(&message["author"]);
        self.learn_user(&message["interaction"]["user"]);
        for mentioned in message["mentions"].as_array().into_iter().flatten() {
            self.learn_user(mentioned);
        }
    }

    /// A user without roles is one who has left; a member has at least the list.
    fn learn_user(&mut self, member: &Value) {
        let (Some(id), Some(roles)) = (member["id"].as_str(), member["roles"].as_array()) else { return };
        if self.members.contains_key(id) {
            return;
        }
        for role in roles {
            if let Some(id) = role["id"].as_str() {
                self.roles.entry(id.to_owned()).or_insert_with(|| api_role(role));
            }
        }
        let roles: Vec<_> = roles.iter().map(|role| &role["id"]).collect();
        let nick = if member["nickname"] == member["name"] { &Value::Null } else { &member["nickname"] };
        let member = json!({ "user": user(member), "nick": nick, "roles": roles, "avatar": null });
        self.members.insert(id.to_owned(), member);
    }

    pub(super) fn member(&self, user: &str) -> Option<&Value> {
        self.members.get(user)
    }

    /// The roles of a server with the one that every member has.
    pub(super) fn roles(&self, guild: &str) -> Vec<Value> {
        let everyone = json!({ "id": guild, "name": "@everyone", "position": 0, "color": 0 });
        std::iter::once(everyone).chain(self.roles.values().cloned()).collect()
    }
}

fn api_role(role: &Value) -> Value {
    let color = role["color"].as_str().and_then(|color| color.strip_prefix('#'));
    let color = color.and_then(|color| u32::from_str_radix(color, 16).ok()).unwrap_or(0);
    json!({ "id": role["id"], "name": role["name"], "position": role["position"], "color": color })
}
