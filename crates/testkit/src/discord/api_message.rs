//! From a message as DCE writes it to the object of Discord's API from which DCE made it.

use std::io;

use serde_json::{Map, Value, json};

/// DCE's names for types of messages; others it writes as numbers.
const KINDS: [(&str, u64); 11] = [
    ("Default", 0),
    ("RecipientAdd", 1),
    ("RecipientRemove", 2),
    ("Call", 3),
    ("ChannelNameChange", 4),
    ("ChannelIconChange", 5),
    ("ChannelPinnedMessage", 6),
    ("GuildMemberJoin", 7),
    ("ThreadCreated", 18),
    ("Reply", 19),
    ("ThreadStarterMessage", 21),
];
const STICKER_FORMATS: [(&str, u64); 4] = [("Png", 1), ("Apng", 2), ("Lottie", 3), ("Gif", 4)];
/// Types whose content DCE makes up.
const WITHOUT_CONTENT: [u64; 8] = [1, 2, 3, 4, 5, 6, 7, 18];

/// Reads a message of DCE.
pub(super) fn parse_dce(message: &[u8]) -> io::Result<Value> {
    serde_json::from_slice(message).map_err(io::Error::from)
}

/// The object of the API. Its field `dce` is the message as DCE writes it, for the stand-in; the real DCE skips it.
pub(super) fn from_dce(message: &Value, verbatim: &[u8], channel: &str) -> Value {
    let kind = number_of(&KINDS, &message["type"]);
    let mut api = json!({
        "id": message["id"],
        "type": kind,
        "channel_id": channel,
        "author": user(&message["author"]),
        "timestamp": message["timestamp"],
        "edited_timestamp": message["timestampEdited"],
        "pinned": message["isPinned"],
        "tts": false,
        "flags": 0,
        "content": if WITHOUT_CONTENT.contains(&kind) { Value::from("") } else { message["content"].clone() },
        "attachments": each(&message["attachments"], attachment),
        "embeds": each(&message["embeds"], embed),
        "sticker_items": each(&message["stickers"], sticker),
        "mentions": each(&message["mentions"], user),
        "dce": String::from_utf8_lossy(verbatim),
    });
    if !is_empty(&message["reactions"]) {
        api["reactions"] = each(&message["reactions"], reaction);
    }
    if !message["callEndedTimestamp"].is_null() {
        api["call"] = json!({ "ended_timestamp": message["callEndedTimestamp"], "participants": [] });
    }
    let reference = &message["reference"];
    if !reference.is_null() {
        api["message_reference"] = json!({
            "type": u64::from(reference["type"] == "Forward"),
            "message_id": reference["messageId"],
            "channel_id": reference["channelId"],
            "guild_id": reference["guildId"],
        });
    }
    let forwarded = &message["forwardedMessage"];
    if !forwarded.is_null() {
        api["message_snapshots"] = json!([{ "message": {
            "timestamp": forwarded["timestamp"],
            "edited_timestamp": forwarded["timestampEdited"],
            "content": forwarded["content"],
            "attachments": each(&forwarded["attachments"], attachment),
            "embeds": each(&forwarded["embeds"], embed),
            "sticker_items": each(&forwarded["stickers"], sticker),
        } }]);
    }
    let interaction = &message["interaction"];
    if !interaction.is_null() {
        let (id, name) = (&interaction["id"], &interaction["name"]);
        api["interaction"] = json!({ "id": id, "name": name, "type": 2, "user": user(&interaction["user"]) });
    }
    api
}

/// Blanks what Discord withholds from a bot without the intent for message content.
pub(super) fn without_content(api: &mut Value) {
    api["content"] = "".into();
    for list in ["attachments", "embeds", "sticker_items"] {
        api[list] = json!([]);
    }
    if let Some(api) = api.as_object_mut() {
        api.remove("dce");
    }
}

/// A user's object.
pub(super) fn user(user: &Value) -> Value {
    let discriminator = user["discriminator"].as_str().filter(|digits| *digits != "0000").unwrap_or("0");
    let (name, nickname) = (&user["name"], &user["nickname"]);
    json!({
        "id": user["id"],
        "username": name,
        "global_name": if nickname == name { Value::Null } else { nickname.clone() },
        "discriminator": discriminator,
        "avatar": image_hash(&user["avatarUrl"], "/avatars/"),
        "bot": user["isBot"],
    })
}

/// The hash in the URL of a picture that the owner has chosen.
pub(super) fn image_hash(url: &Value, folder: &str) -> Option<String> {
    let (_, path) = url.as_str()?.split_once(folder)?;
    // `ID/HASH.png?size=512`; the default pictures have no hash.
    let (_, file) = path.split_once('/')?;
    Some(file.split_once('.')?.0.to_owned())
}

/// The name of an emoji in a path: of a server's own with its id.
pub(super) fn emoji_in_path(emoji: &Value) -> String {
    let name = emoji["name"].as_str().unwrap_or_default();
    match emoji["id"].as_str() {
        Some(id) if !id.is_empty() => format!("{name}:{id}"),
        _ => name.to_owned(),
    }
}

fn attachment(attachment: &Value) -> Value {
    json!({
        "id": attachment["id"],
        "url": attachment["url"],
        "filename": attachment["fileName"],
        "size": attachment["fileSizeBytes"],
    })
}

fn sticker(sticker: &Value) -> Value {
    let format = number_of(&STICKER_FORMATS, &sticker["format"]);
    json!({ "id": sticker["id"], "name": sticker["name"], "format_type": format })
}

fn reaction(reaction: &Value) -> Value {
    let emoji = &reaction["emoji"];
    let id = emoji["id"].as_str().filter(|id| !id.is_empty());
    let animated = &emoji["isAnimated"];
    json!({
        "emoji": { "id": id, "name": emoji["name"], "animated": animated },
        "count": reaction["count"],
    })
}

fn embed(embed: &Value) -> Value {
    let mut api = Map::new();
    api.insert("type".into(), "rich".into());
    for name in ["title", "url", "timestamp", "description"] {
        if !embed[name].is_null() {
            api.insert(name.into(), embed[name].clone());
        }
    }
    let color = embed["color"].as_str().and_then(|color| color.strip_prefix('#'));
    if let Some(color) = color.and_then(|color| u32::from_str_radix(color, 16).ok()) {
        api.insert("color".into(), color.into());
    }
    for (name, text) in [("author", "name"), ("footer", "text")] {
        let part = &embed[name];
        if !part.is_null() {
            let icon = [&part["iconCanonicalUrl"], &part["iconUrl"]].into_iter().find(|url| !url.is_null());
            api.insert(
                name.into(),
                json!({ text: part[text], "url": part["url"], "icon_url": icon, "proxy_icon_url": part["iconUrl"] }),
            );
        }
    }
    let images =
        [("thumbnail", &embed["thumbnail"]), ("image", &embed["images"][0]), ("video", &embed["video"])];
    for (name, image) in images {
        if !image.is_null() {
            api.insert(name.into(), picture(image));
        }
    }
    let field = |field: &Value| {
        let (name, value, inline) = (&field["name"], &field["value"], &field["isInline"]);
        json!({ "name": name, "value": value, "inline": inline })
    };
    api.insert("fields".into(), each(&embed["fields"], field));
    Value::Object(api)
}

fn picture(image: &Value) -> Value {
    let original = if image["canonicalUrl"].is_null() { &image["url"] } else { &image["canonicalUrl"] };
    json!({
        "url": original,
        "proxy_url": image["url"],
        "width": image["width"],
        "height": image["height"],
    })
}

fn number_of(names: &[(&str, u64)], name: &Value) -> u64 {
    let name = name.as_str().unwrap_or_default();
    let known = names.iter().find(|(known, _)| *known == name).map(|(_, number)| *number);
    known.or_else(|| name.parse().ok()).unwrap_or(0)
}

fn each(list: &Value, convert: impl Fn(&Value) -> Value) -> Value {
    list.as_array().map_or_else(|| json!([]), |list| list.iter().map(convert).collect())
}

fn is_empty(list: &Value) -> bool {
    list.as_array().is_none_or(Vec::is_empty)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use dce_standin::scenario::recording;
    use dce_standin::source::Document;
    use serde_json::{Value, json};

    use super::{from_dce, image_hash, parse_dce, without_content};

    fn small() -> Vec<Value> {
        let file = recording("small").join("out/part.json");
        let document = Document::parse(&fs::read(file).unwrap()).unwrap();
        let message = |(_, bytes): &(_, Vec<u8>)| from_dce(&parse_dce(bytes).unwrap(), bytes, "7");
        document.messages.iter().map(message).collect()
    }

    /// The loopback Discord of the recordings served these objects (fields that DCE reads).
    #[test]
    fn the_objects_are_those_that_the_recorded_dce_was_given() {
        let messages = small();
        assert_eq!((&messages[0]["type"], &messages[0]["content"]), (&json!(7), &json!("")));
        let author = json!({
            "id": "800000000000000024", "username": "user24", "global_name": "Üser 24 사용자",
            "discriminator": "1024", "avatar": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "bot": false,
        });
        assert_eq!(messages[0]["author"], author);
        assert_eq!(messages[2]["call"]["ended_timestamp"], "2024-07-03T09:48:40+00:00");
        assert_eq!(messages[3]["attachments"][0]["size"], 12_348);
        assert_eq!(messages[4]["sticker_items"][0]["format_type"], 1);
        let reference = json!({
            "type": 0, "message_id": "1257996675973120003", "channel_id": "900000000000001001",
            "guild_id": "900000000000000001",
        });
        assert_eq!((&messages[4]["type"], &messages[4]["message_reference"]), (&json!(19), &reference));
        let embed = &messages[5]["embeds"][0];
        assert_eq!((&embed["color"], &embed["footer"]["text"]), (&json!(3_368_703), &json!("foot")));
        assert_eq!(messages[5]["message_snapshots"][0]["message"]["content"], "forwarded text");
        let emoji = json!({ "id": "700000000000000003", "name": "blob", "animated": false });
        assert_eq!(messages[7]["reactions"], json!([{ "emoji": emoji, "count": 3 }]));
    }

    #[test]
    fn without_the_intent_nothing_of_the_content_is_left() {
        for mut message in small() {
            without_content(&mut message);
            let left = json!([message["content"], message["attachments"], message["embeds"], message["dce"]]);
            assert_eq!(left, json!(["", [], [], null]));
        }
    }

    #[test]
    fn only_chosen_pictures_have_a_hash() {
        let hash = |url: &str| image_hash(&url.into(), "/avatars/");
        let chosen = hash("https://cdn.discordapp.com/avatars/8/ab12.png?size=512");
        assert_eq!(
            (chosen.as_deref(), hash("https://cdn.discordapp.com/embed/avatars/1.png")),
            (Some("ab12"), None)
        );
    }
}
