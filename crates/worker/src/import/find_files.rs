//! Finds the files to import: named files, folders with everything below them, zip archives.

use std::collections::HashSet;
use std::fs::{self, DirEntry};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::candidate::{Candidate, RefusalReason, RefusedFile};
use super::document_location::DocumentLocation;
use super::zip_archive;

/// The first bytes of a zip archive; an empty one has no member before its directory.
const ZIP: [&[u8]; 2] = [b"PK\x03\x04", b"PK\x05\x06"];
/// The suffix of DCE's folder for the media of an export.
const MEDIA_FOLDER: &str = "_Files";

/// The files found, in the order of the paths; within a folder by name.
#[derive(Debug, Default)]
pub(super) struct FoundFiles {
    /// Files that the user named or that have the name of an export.
    pub(super) candidates: Vec<Candidate>,
    /// Files that may be exports in another format; they are reported only if they are.
    pub(super) other_formats: Vec<Candidate>,
    pub(super) refused: Vec<RefusedFile>,
    /// The number of other files.
    pub(super) ignored: u64,
    /// Visited folders and files: links may lead to one twice.
    seen: HashSet<PathBuf>,
}

enum FileKind {
    Document,
    Archive,
    OtherFormat,
    Other,
}

fn kind_of(name: &str) -> FileKind {
    let name = name.to_ascii_lowercase();
    let ends_with = |endings: &[&str]| endings.iter().any(|ending| name.ends_with(ending));
    if ends_with(&[".json", ".json.gz"]) {
        FileKind::Document
    } else if ends_with(&[".zip"]) {
        FileKind::Archive
    } else if ends_with(&[".html", ".htm", ".csv", ".txt"]) {
        FileKind::OtherFormat
    } else {
        FileKind::Other
    }
}

pub(super) fn find_files(paths: &[PathBuf]) -> FoundFiles {
    let mut found = FoundFiles::default();
    for path in paths {
        let name = path.to_string_lossy().into_owned();
        if let Err(error) = found.add_named(path, &name) {
            found.refuse(name, error.into());
        }
    }
    found
}

impl FoundFiles {
    /// Adds a path that the user gave, whatever its name.
    fn add_named(&mut self, path: &Path, name: &str) -> io::Result<()> {
        if path.is_dir() {
            let before = self.candidates.len() + self.refused.len();
            self.add_folder(path)?;
            if self.candidates.len() + self.refused.len() == before && self.other_formats.is_empty() {
                self.refuse(name.to_owned(), RefusalReason::EmptyFolder);
            }
            return Ok(());
        }
        if is_archive(path)? {
            self.add_archive(path, name)
        } else {
            self.add_document(path, name.to_owned())
        }
    }

    fn add_folder(&mut self, path: &Path) -> io::Result<()> {
        if !self.is_new(path)? {
            return Ok(());
        }
        let mut entries = fs::read_dir(path)?.collect::<io::Result<Vec<DirEntry>>>()?;
        entries.sort_by_key(DirEntry::file_name);
        for entry in entries {
            let path = entry.path();
            let name = path.to_string_lossy().into_owned();
            if let Err(error) = self.add_entry(&entry, &path, &name) {
                self.refuse(name, error.into());
            }
        }
        Ok(())
    }

    fn add_entry(&mut self, entry: &DirEntry, path: &Path, name: &str) -> io::Result<()> {
        if entry.file_type()?.is_dir() {
            // Attachments may have any format, even JSON.
            if name.ends_with(MEDIA_FOLDER) {
                self.ignored += 1;
                return Ok(());
            }
            return self.add_folder(path);
        }
        // Links to folders are not followed: they may lead anywhere.
        if !path.is_file() {
            self.ignored += 1;
            return Ok(());
        }
        match kind_of(name) {
            FileKind::Document => self.add_document(path, name.to_owned())?,
            FileKind::Archive => self.add_archive(path, name)?,
            FileKind::OtherFormat => self.other_formats.push(candidate(path, name.to_owned())?),
            FileKind::Other => self.ignored += 1,
        }
        Ok(())
    }

    fn add_document(&mut self, path: &Path, name: String) -> io::Result<()> {
        if self.is_new(path)? {
            self.candidates.push(candidate(path, name)?);
        }
        Ok(())
    }

    fn add_archive(&mut self, path: &Path, name: &str) -> io::Result<()> {
        if !self.is_new(path)? {
            return Ok(());
        }
        let members = match zip_archive::members(path, name) {
            Ok(members) => members,
            Err(reason) => {
                self.refuse(name.to_owned(), reason);
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
                (FileKind::Other, _) => self.ignored += 1,
                _ if in_media => self.ignored += 1,
                (FileKind::Archive, Ok(Candidate { name, .. }) | Err(RefusedFile { name, .. })) => {
                    self.refuse(name, RefusalReason::Nested);
                }
                (FileKind::Document, Ok(candidate)) => self.candidates.push(candidate),
                (FileKind::OtherFormat, Ok(candidate)) => self.other_formats.push(candidate),
                (_, Err(refused)) => self.refused.push(refused),
            }
        }
        Ok(())
    }

    fn is_new(&mut self, path: &Path) -> io::Result<bool> {
        Ok(self.seen.insert(fs::canonicalize(path)?))
    }

    fn refuse(&mut self, name: String, reason: RefusalReason) {
        self.refused.push(RefusedFile { name, reason });
    }
}

fn candidate(path: &Path, name: String) -> io::Result<Candidate> {
    let stored_bytes = path.metadata()?.len();
    Ok(Candidate { name, location: DocumentLocation::File(path.to_owned()), stored_bytes })
}

fn is_archive(path: &Path) -> io::Result<bool> {
    let mut first = Vec::new();
    fs::File::open(path)?.take(4).read_to_end(&mut first)?;
    Ok(ZIP.contains(&first.as_slice()))
}
