//! Files to import, and the reasons to refuse them.

use std::io;

use super::detect_format::NotImportable;
use super::document_location::DocumentLocation;

/// A file that may be an export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Candidate {
    /// The path as the user gave it, with the path found below it; for a member of an archive `archive.zip!/member`.
    pub(super) name: String,
    pub(super) location: DocumentLocation,
    /// The size on disk.
    pub(super) stored_bytes: u64,
}

/// A file, member or folder that is not imported.
#[derive(Debug)]
pub(super) struct RefusedFile {
    /// See [`Candidate::name`].
    pub(super) name: String,
    pub(super) reason: RefusalReason,
}

/// The reason why a path is not imported; printed as "NAME: …".
#[derive(Debug, thiserror::Error)]
pub(super) enum RefusalReason {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("the archive cannot be read ({0}): if it is truncated, get a whole copy")]
    Archive(String),
    #[error("an archive inside an archive is not supported: unpack the outer one")]
    Nested,
    #[error("encrypted: unpack the archive with its password")]
    Encrypted,
    #[error("the compression {0} is not supported: unpack the archive")]
    Compression(String),
    #[error(transparent)]
    NotImportable(#[from] NotImportable),
    #[error("the folder contains no .json, .json.gz or .zip file")]
    EmptyFolder,
}
