//! Which files the named paths hold: files, folders with all that is in them, archives.

use std::collections::HashSet;
use std::fs::{self, DirEntry};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::archive;
use super::bytes::Place;
use super::recognise::Foreign;

/// What every zip archive begins with; an empty one has no member before its directory.
const ZIP: [&[u8]; 2] = [b"PK\x03\x04", b"PK\x05\x06"];
/// What DCE adds to the name of an export for the folder of its media.
const MEDIA_FOLDER: &str = "_Files";

/// A document to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// As the user would name it: the path as it was given, with what was found below it; for a member of an archive
    /// `archive.zip!/member`.
    pub name: String,
    /// Where it is.
    pub place: Place,
    /// Bytes on the disk.
    pub stored: u64,
}

/// Something that does not go in.
#[derive(Debug)]
pub struct Refused {
    /// See [`Candidate::name`].
    pub name: String,
    /// Why.
    pub refusal: Refusal,
}

/// Why something does not go in; completes the sentence "NAME: …".
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// It cannot be read.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The archive's directory cannot be read.
    #[error("is no archive that can be read ({0}); if it was cut, get a whole copy of it")]
    Archive(String),
    /// An archive in an archive.
    #[error("is an archive inside of an archive: unpack the outer one")]
    Nested,
    /// An encrypted member.
    #[error("is encrypted: unpack the archive with its password")]
    Encrypted,
    /// A compression that is not read.
    #[error("is compressed by {0}, which is not supported: unpack the archive")]
    Compression(String),
    /// No export of DCE's, or one in another format.
    #[error(transparent)]
    Foreign(#[from] Foreign),
    /// A folder in which nothing was found.
    #[error("holds no .json, .json.gz or .zip file")]
    Nothing,
}

/// Everything that was found, in the order of the paths; within a folder by name.
#[derive(Debug, Default)]
pub struct Found {
    /// To be looked at: named by the user, or exports by their name.
    pub candidates: Vec<Candidate>,
    /// Files that may be exports in another format, which are worth a word only if they are.
    pub suspects: Vec<Candidate>,
    /// What cannot be looked at.
    pub refused: Vec<Refused>,
    /// How many other files there are.
    pub passed_over: u64,
    /// Folders and files that were seen: links may lead to one twice.
    seen: HashSet<PathBuf>,
}

/// What a file's name says of it.
enum Kind {
    Document,
    Archive,
    Suspect,
    Other,
}

fn kind_of(name: &str) -> Kind {
    let name = name.to_ascii_lowercase();
    let ends_with = |endings: &[&str]| endings.iter().any(|ending| name.ends_with(ending));
    if ends_with(&[".json", ".json.gz"]) {
        Kind::Document
    } else if ends_with(&[".zip"]) {
        Kind::Archive
    } else if ends_with(&[".html", ".htm", ".csv", ".txt"]) {
        Kind::Suspect
    } else {
        Kind::Other
    }
}

/// Looks at these paths.
pub fn find(paths: &[PathBuf]) -> Found {
    let mut found = Found::default();
    for path in paths {
        let name = path.to_string_lossy().into_owned();
        if let Err(error) = found.named(path, &name) {
            found.refuse(name, error.into());
        }
    }
    found
}

impl Found {
    /// What the user named is looked at, whatever its name.
    fn named(&mut self, path: &Path, name: &str) -> io::Result<()> {
        if path.is_dir() {
            let before = self.candidates.len() + self.refused.len();
            self.folder(path)?;
            if self.candidates.len() + self.refused.len() == before && self.suspects.is_empty() {
                self.refuse(name.to_owned(), Refusal::Nothing);
            }
            return Ok(());
        }
        if is_archive(path)? { self.archive(path, name) } else { self.document(path, name.to_owned()) }
    }

    fn folder(&mut self, path: &Path) -> io::Result<()> {
        if !self.is_new(path)? {
            return Ok(());
        }
        let mut entries = fs::read_dir(path)?.collect::<io::Result<Vec<DirEntry>>>()?;
        entries.sort_by_key(DirEntry::file_name);
        for entry in entries {
            let path = entry.path();
            let name = path.to_string_lossy().into_owned();
            if let Err(error) = self.entry(&entry, &path, &name) {
                self.refuse(name, error.into());
            }
        }
        Ok(())
    }

    fn entry(&mut self, entry: &DirEntry, path: &Path, name: &str) -> io::Result<()> {
        if entry.file_type()?.is_dir() {
            // Attachments may be anything, also JSON.
            if name.ends_with(MEDIA_FOLDER) {
                self.passed_over += 1;
                return Ok(());
            }
            return self.folder(path);
        }
        // A link to a folder is not followed: it may lead anywhere.
        if !path.is_file() {
            self.passed_over += 1;
            return Ok(());
        }
        match kind_of(name) {
            Kind::Document => self.document(path, name.to_owned())?,
            Kind::Archive => self.archive(path, name)?,
            Kind::Suspect => self.suspects.push(candidate(path, name.to_owned())?),
            Kind::Other => self.passed_over += 1,
        }
        Ok(())
    }

    fn document(&mut self, path: &Path, name: String) -> io::Result<()> {
        if self.is_new(path)? {
            self.candidates.push(candidate(path, name)?);
        }
        Ok(())
    }

    fn archive(&mut self, path: &Path, name: &str) -> io::Result<()> {
        if !self.is_new(path)? {
            return Ok(());
        }
        let members = match archive::members(path, name) {
            Ok(members) => members,
            Err(refusal) => {
                self.refuse(name.to_owned(), refusal);
                return Ok(());
            }
        };
        for member in members {
            let own_name = match &member {
                Ok(candidate) => &candidate.name,
                Err(refused) => &refused.name,
            };
            let in_media = own_name.split('/').rev().skip(1).any(|folder| folder.ends_with(MEDIA_FOLDER));
            match (kind_of(own_name), member) {
                (Kind::Other, _) => self.passed_over += 1,
                _ if in_media => self.passed_over += 1,
                (Kind::Archive, Ok(Candidate { name, .. }) | Err(Refused { name, .. })) => {
                    self.refuse(name, Refusal::Nested);
                }
                (Kind::Document, Ok(candidate)) => self.candidates.push(candidate),
                (Kind::Suspect, Ok(candidate)) => self.suspects.push(candidate),
                (_, Err(refused)) => self.refused.push(refused),
            }
        }
        Ok(())
    }

    fn is_new(&mut self, path: &Path) -> io::Result<bool> {
        Ok(self.seen.insert(fs::canonicalize(path)?))
    }

    fn refuse(&mut self, name: String, refusal: Refusal) {
        self.refused.push(Refused { name, refusal });
    }
}

fn candidate(path: &Path, name: String) -> io::Result<Candidate> {
    let stored = path.metadata()?.len();
    Ok(Candidate { name, place: Place::File(path.to_owned()), stored })
}

fn is_archive(path: &Path) -> io::Result<bool> {
    let mut first = Vec::new();
    fs::File::open(path)?.take(4).read_to_end(&mut first)?;
    Ok(ZIP.contains(&first.as_slice()))
}
