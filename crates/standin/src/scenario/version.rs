//! The versions of DCE that the stand-in imitates.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// A version of DCE, with its own texts, its own treatment of refused requests and its own beginning of threads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum DceVersion {
    #[serde(rename = "2.47")]
    V2_47,
    #[default]
    #[serde(rename = "2.48")]
    V2_48,
}

impl DceVersion {
    /// The folder of a recording of this version. Of 2.48 only those were made that differ from 2.47's.
    pub fn recording(self, name: &str) -> PathBuf {
        let recordings = match self {
            Self::V2_47 => "recordings",
            Self::V2_48 => "recordings-2.48",
        };
        Path::new(env!("CARGO_MANIFEST_DIR")).join(recordings).join(name)
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    pub(super) fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// The folder of a recording of DCE 2.47, for [`Channel::case`], [`Attempt::replay`] or a file in it.
///
/// [`Channel::case`]: super::Channel::case
/// [`Attempt::replay`]: super::Attempt::replay
pub fn recording(name: &str) -> PathBuf {
    DceVersion::V2_47.recording(name)
}
