//! The scenario and its channels, read again when their files change.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dce_standin::scenario::{Channel, SCENARIO_FILE, Scenario, Source};
use dce_standin::source::{ListedMessages, read_header};

use super::channels::ChannelInfo;

/// Tells one state of a file from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FileVersion {
    inode: u64,
    length: u64,
    modified: (i64, i64),
}

impl FileVersion {
    fn of(path: &Path) -> io::Result<Self> {
        let file = fs::metadata(path)?;
        Ok(Self { inode: file.ino(), length: file.len(), modified: (file.mtime(), file.mtime_nsec()) })
    }
}

/// A source that was opened, and what it was opened for.
struct Opened {
    source: Source,
    /// Of a source that is one file.
    version: Option<FileVersion>,
    info: ChannelInfo,
    /// None: no messages in DCE's layout.
    messages: Option<Arc<ListedMessages>>,
}

pub(super) struct Sources {
    dir: PathBuf,
    scenario: Option<(FileVersion, Arc<Scenario>)>,
    opened: HashMap<String, Opened>,
    /// All channels of the scenario; made when a list of them is asked for.
    listed: Option<(FileVersion, Arc<Vec<ChannelInfo>>)>,
}

impl Sources {
    pub(super) fn new(dir: PathBuf) -> Self {
        Self { dir, scenario: None, opened: HashMap::new(), listed: None }
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The scenario as it is now.
    pub(super) fn scenario(&mut self) -> io::Result<Arc<Scenario>> {
        Ok(self.versioned()?.1)
    }

    fn versioned(&mut self) -> io::Result<(FileVersion, Arc<Scenario>)> {
        let path = self.dir.join(SCENARIO_FILE);
        let version = FileVersion::of(&path)?;
        if let Some((of, scenario)) = &self.scenario
            && *of == version
        {
            return Ok((version, Arc::clone(scenario)));
        }
        let scenario: Arc<Scenario> = Arc::new(serde_json::from_slice(&fs::read(&path)?)?);
        self.scenario = Some((version, Arc::clone(&scenario)));
        Ok((version, scenario))
    }

    /// A channel's description and messages from this source.
    pub(super) fn open(
        &mut self,
        id: &str,
        source: &Source,
    ) -> io::Result<(ChannelInfo, Option<Arc<ListedMessages>>)> {
        let version = match source {
            Source::File(path) => Some(FileVersion::of(&self.dir.join(path))?),
            Source::Generate(_) | Source::Case(_) => None,
        };
        let is_current = |opened: &&Opened| opened.source == *source && opened.version == version;
        if let Some(opened) = self.opened.get(id).filter(is_current) {
            return Ok((opened.info.clone(), opened.messages.clone()));
        }
        let messages = ListedMessages::open(id, source, &self.dir)?.map(Arc::new);
        let info = messages.as_ref().and_then(|messages| ChannelInfo::new(id, messages.header()));
        let info = info.unwrap_or_else(|| ChannelInfo::nameless(id));
        let opened =
            Opened { source: source.clone(), version, info: info.clone(), messages: messages.clone() };
        self.opened.insert(id.to_owned(), opened);
        Ok((info, messages))
    }

    /// The descriptions of all channels of the scenario.
    pub(super) fn all(&mut self) -> io::Result<Arc<Vec<ChannelInfo>>> {
        let (version, scenario) = self.versioned()?;
        if let Some((of, listed)) = &self.listed
            && *of == version
        {
            return Ok(Arc::clone(listed));
        }
        let describe = |(id, channel): (&String, &Channel)| {
            let header = read_header(id, &channel.source, &self.dir)?;
            let info = header.and_then(|header| ChannelInfo::new(id, &header));
            Ok(info.unwrap_or_else(|| ChannelInfo::nameless(id)))
        };
        let listed = scenario.channels.iter().map(describe).collect::<io::Result<Vec<_>>>()?;
        let listed = Arc::new(listed);
        self.listed = Some((version, Arc::clone(&listed)));
        Ok(listed)
    }
}
