//! What there is to import: every file opened once, its head read.

use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;

use super::find::{Candidate, Found, Refusal, Refused, find};
use super::parts::{Document, Source, put_together};
use super::recognise::recognise;

/// What was found.
#[derive(Debug, Default)]
pub struct Survey {
    /// One run each.
    pub sources: Vec<Source>,
    /// What does not go in.
    pub refused: Vec<Refused>,
    /// How many other files there are, which nobody named and whose names are not those of exports.
    pub passed_over: u64,
}

impl Survey {
    /// Bytes on the disk of all that goes in.
    pub fn stored(&self) -> u64 {
        self.sources.iter().map(Source::stored).sum()
    }
}

/// Looks at these paths; blocking.
pub fn survey(paths: &[PathBuf]) -> Survey {
    let Found { candidates, suspects, mut refused, mut passed_over, .. } = find(paths);
    let mut documents = Vec::new();
    for file in candidates {
        match head(&file) {
            Ok(header) => documents.push(Document { file, header }),
            Err(refusal) => refused.push(Refused { name: file.name, refusal }),
        }
    }
    for file in suspects {
        match head(&file) {
            Err(refusal @ Refusal::Foreign(foreign)) if foreign.is_other_format() => {
                refused.push(Refused { name: file.name, refusal });
            }
            _ => passed_over += 1,
        }
    }
    Survey { sources: put_together(documents), refused, passed_over }
}

fn head(file: &Candidate) -> Result<Box<crate::ingest::header::Header>, Refusal> {
    let mut bytes: Box<dyn Read> = file.place.open(Arc::default())?;
    Ok(recognise(&mut bytes)??)
}
