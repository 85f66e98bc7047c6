//! Decides what to import: opens every file once and reads its header.

use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;

use super::candidate::{Candidate, RefusalReason, RefusedFile};
use super::detect_format::detect_format;
use super::find_files::{FoundFiles, find_files};
use super::group_parts::{Document, ImportSource, group_parts};
use dce_ingest::document::header::Header;

#[derive(Debug, Default)]
pub(super) struct ImportPlan {
    /// One run each.
    pub(super) sources: Vec<ImportSource>,
    pub(super) refused: Vec<RefusedFile>,
    /// The number of other files, which the user did not name and whose names are not those of exports.
    pub(super) ignored: u64,
}

impl ImportPlan {
    /// The size on disk of everything to be imported.
    pub(super) fn stored_bytes(&self) -> u64 {
        self.sources.iter().map(ImportSource::stored_bytes).sum()
    }
}

/// Searches these paths. Blocks on the disk.
pub(super) fn plan_import(paths: &[PathBuf]) -> ImportPlan {
    let FoundFiles { candidates, other_formats, mut refused, mut ignored, .. } = find_files(paths);
    let mut documents = Vec::new();
    for file in candidates {
        match read_header(&file) {
            Ok(header) => documents.push(Document { file, header }),
            Err(reason) => refused.push(RefusedFile { name: file.name, reason }),
        }
    }
    for file in other_formats {
        match read_header(&file) {
            Err(reason @ RefusalReason::NotImportable(error)) if error.is_other_format() => {
                refused.push(RefusedFile { name: file.name, reason });
            }
            _ => ignored += 1,
        }
    }
    ImportPlan { sources: group_parts(documents), refused, ignored }
}

fn read_header(file: &Candidate) -> Result<Box<Header>, RefusalReason> {
    let mut document: Box<dyn Read> = file.location.open(Arc::default())?;
    Ok(detect_format(&mut document)??)
}
