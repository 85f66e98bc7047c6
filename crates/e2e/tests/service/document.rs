//! A channel as a DCE document that a test can edit message by message, byte for byte.

use std::collections::BTreeMap;

use dce_standin::scenario::{Channel, Scenario, ScenarioDir};
use serde_json::Value;
use tempfile::TempDir;

pub(crate) const CHANNEL: &str = "42";

/// The separator of messages in DCE's layout.
const SEPARATOR: &str = "\n    },\n    {";
const BEGIN: &str = "\n  \"messages\": [\n    {";
const END: &str = "\n    }\n  ],\n  \"messageCount\": ";

/// Head and messages; `Clone` for a later state of the same channel.
#[derive(Clone)]
pub(crate) struct Document {
    head: String,
    messages: Vec<String>,
    /// The folder of the files that the stand-in reads.
    folder: std::sync::Arc<TempDir>,
}

impl Document {
    /// A document of synthetic messages, some with attachments, embeds or reactions.
    pub(crate) fn generated(messages: u64) -> Self {
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("generated.json");
        let stage = ScenarioDir::create(&Scenario::new().channel(CHANNEL, Channel::generated(messages, 9)));
        let output = stage.export(CHANNEL, &file).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        // Postgres cannot store NUL; another test checks the replacement.
        let text = std::fs::read_to_string(file).unwrap().replace("\\u0000", "?");
        let (head, rest) = text.split_once(BEGIN).unwrap();
        let (all, _) = rest.rsplit_once(END).unwrap();
        let messages: Vec<_> = all.split(SEPARATOR).map(str::to_owned).collect();
        Self { head: head.to_owned(), messages, folder: folder.into() }
    }

    pub(crate) fn len(&self) -> usize {
        self.messages.len()
    }

    /// The same messages in another channel.
    pub(crate) fn in_channel(&self, channel: &str) -> Self {
        let (from, to) = (format!("\"id\": \"{CHANNEL}\""), format!("\"id\": \"{channel}\""));
        assert!(self.head.contains(&from));
        Self { head: self.head.replacen(&from, &to, 1), ..self.clone() }
    }

    /// The first messages of the document with these ids, in this order.
    pub(crate) fn renumbered(&self, ids: &[u64]) -> Self {
        let messages = ids.iter().zip(&self.messages).enumerate().map(|(number, (id, message))| {
            message.replacen(&format!("\"id\": \"{}\"", self.id(number)), &format!("\"id\": \"{id}\""), 1)
        });
        Self { messages: messages.collect(), ..self.clone() }
    }

    /// Makes a message the placeholder of a thread's starter in the parent channel.
    pub(crate) fn make_placeholder(&mut self, number: usize, parent: &str, starter: u64) {
        let kind = self.value(number)["type"].as_str().unwrap().to_owned();
        self.edit(number, &format!("\"type\": \"{kind}\""), "\"type\": \"21\"");
        let reference = format!(
            r#""reference": {{ "type": "Default", "messageId": "{starter}", "channelId": "{parent}", "guildId": "1" }},"#
        );
        self.edit(number, "\"mentions\": ", &format!("{reference}\n      \"mentions\": "));
    }

    /// A channel with the current messages of the document.
    pub(crate) fn channel(&self) -> Channel {
        let file = self.folder.path().join(format!("{}.json", uuid::Uuid::now_v7()));
        std::fs::write(&file, self.text()).unwrap();
        Channel::file(file)
    }

    /// The text as DCE writes it.
    pub(crate) fn text(&self) -> String {
        let Self { head, messages, .. } = self;
        if messages.is_empty() {
            return format!("{head}\n  \"messages\": [],\n  \"messageCount\": 0\n}}");
        }
        format!("{head}{BEGIN}{}{END}{}\n}}", messages.join(SEPARATOR), messages.len())
    }

    /// The messages by id, as plain `serde_json` reads them.
    pub(crate) fn messages(&self) -> BTreeMap<String, Value> {
        let document: Value = serde_json::from_str(&self.text()).unwrap();
        let messages = document["messages"].as_array().unwrap().iter();
        messages.map(|message| (message["id"].as_str().unwrap().to_owned(), message.clone())).collect()
    }

    fn value(&self, number: usize) -> Value {
        serde_json::from_str(&format!("{{{}}}", self.messages[number])).unwrap()
    }

    pub(crate) fn id(&self, number: usize) -> String {
        self.value(number)["id"].as_str().unwrap().to_owned()
    }

    /// When the message was sent.
    pub(crate) fn time(&self, number: usize) -> String {
        self.value(number)["timestamp"].as_str().unwrap().to_owned()
    }

    /// Replaces the first `from` in a message, counted from 0; returns its id.
    pub(crate) fn edit(&mut self, number: usize, from: &str, to: &str) -> String {
        assert!(self.messages[number].contains(from), "message {number} has no {from}");
        self.messages[number] = self.messages[number].replacen(from, to, 1);
        self.id(number)
    }

    /// Replaces every `from`; returns how many messages had one.
    pub(crate) fn edit_all(&mut self, from: &str, to: &str) -> usize {
        let numbers = self.numbers_with(from);
        for number in &numbers {
            self.messages[*number] = self.messages[*number].replace(from, to);
        }
        numbers.len()
    }

    /// Removes a message; returns its id.
    pub(crate) fn remove(&mut self, number: usize) -> String {
        let id = self.id(number);
        self.messages.remove(number);
        id
    }

    /// The ids of messages that contain this text.
    pub(crate) fn numbers_with(&self, text: &str) -> Vec<usize> {
        (0..self.messages.len()).filter(|number| self.messages[*number].contains(text)).collect()
    }
}
