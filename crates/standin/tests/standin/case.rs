//! Recordings of the real DCE as test cases.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use dce_standin::scenario::{Channel, DceVersion, Scenario};
use serde_json::Value;

use crate::call::{Call, Ended, files};

/// A recorded case.
pub(crate) struct Case {
    version: DceVersion,
    name: String,
    pub(crate) dir: PathBuf,
    pub(crate) json: Value,
}

impl Case {
    pub(crate) fn open(version: DceVersion, name: &str) -> Self {
        let dir = version.recording(name);
        let json = serde_json::from_slice(&fs::read(dir.join("case.json")).unwrap()).unwrap();
        Self { version, name: name.into(), dir, json }
    }

    /// All recordings of a version.
    pub(crate) fn all(version: DceVersion) -> Vec<Self> {
        let folders = fs::read_dir(version.recording("")).unwrap();
        folders.map(|entry| Self::open(version, entry.unwrap().file_name().to_str().unwrap())).collect()
    }

    pub(crate) fn argv(&self) -> Vec<&str> {
        match self.json["argv"].as_array() {
            Some(argv) => argv.iter().map(|argument| argument.as_str().unwrap()).collect(),
            None => vec!["export", "-c", "900000000000001002", "-f", "Json", "--utc", "-o", "OUT/part.json"],
        }
    }

    pub(crate) fn channel(&self) -> String {
        let argv = self.argv();
        let at = argv.iter().position(|argument| *argument == "-c").unwrap();
        argv[at + 1].into()
    }

    pub(crate) fn stream(&self, name: &str) -> String {
        fs::read_to_string(self.dir.join(name)).unwrap_or_default()
    }

    /// Calls the stand-in with the recorded arguments.
    fn call(&self, scenario: &Scenario) -> (Call, Ended) {
        let call = Call::new(&scenario.clone().version(self.version));
        let mut command = call.command(&self.argv());
        for (name, value) in self.json["env"].as_object().into_iter().flatten() {
            match value.as_str() {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        let ended = call.finish(command.spawn().unwrap());
        (call, ended)
    }

    /// Compares all but the lines of progress, which depend on the machine.
    pub(crate) fn assert_same(&self, scenario: &Scenario) {
        let (call, ended) = self.call(scenario);
        let exit = self.json["exit"].as_str().map_or_else(|| self.json["exit"].to_string(), String::from);
        let recorded =
            Ended { exit, stdout: without_progress(&self.stream("stdout")), stderr: self.stream("stderr") };
        assert_eq!(Ended { stdout: without_progress(&ended.stdout), ..ended }, recorded, "{}", self.name);
        assert_eq!(undated(files(call.out.path())), undated(files(&self.dir.join("out"))), "{}", self.name);
    }
}

/// Removes the day of the call, which a template may have added to the name.
fn undated(files: BTreeMap<String, String>) -> BTreeMap<String, String> {
    let is_date = |text: &str| {
        text.bytes()
            .enumerate()
            .all(|(at, byte)| if at == 4 || at == 7 { byte == b'-' } else { byte.is_ascii_digit() })
    };
    let undated = |name: String| {
        let date = (0..name.len())
            .find_map(|at| name.get(at..at + 10).filter(|text| is_date(text)).map(str::to_owned));
        date.map_or(name.clone(), |date| name.replacen(&date, "DATE", 1))
    };
    files.into_iter().map(|(name, text)| (undated(name), text)).collect()
}

fn without_progress(stdout: &str) -> String {
    stdout.split_inclusive('\n').filter(|line| !line.ends_with("%\n")).collect()
}

/// A channel with the head of one recorded document and the messages of another.
pub(crate) fn composed(dir: &Path, head: &Path, messages: &Path) -> Channel {
    let (head, messages) = (fs::read_to_string(head).unwrap(), fs::read_to_string(messages).unwrap());
    let head = head.split_once("  \"dateRange\"").unwrap().0;
    let rest = messages.split_once("  \"dateRange\"").unwrap().1;
    let file = tempfile::Builder::new().suffix(".json").tempfile_in(dir).unwrap();
    fs::write(file.path(), format!("{head}  \"dateRange\"{rest}")).unwrap();
    Channel::file(file.keep().unwrap().1)
}
