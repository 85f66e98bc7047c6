//! The documents of a recording.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use super::Document;

/// Reads the documents in the folder `out` of a recording by the name of their first part, each as its parts in order.
pub fn recorded_documents(out: &Path) -> io::Result<BTreeMap<String, Vec<Document>>> {
    let mut parts: BTreeMap<String, BTreeMap<u32, Document>> = BTreeMap::new();
    let entries = match fs::read_dir(out) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        entries => entries?,
    };
    for entry in entries {
        let path = entry?.path();
        let broken = |reason: String| {
            io::Error::new(io::ErrorKind::InvalidData, format!("{}: {reason}", path.display()))
        };
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let numbered = stem.strip_suffix(']').and_then(|stem| stem.rsplit_once(" [part "));
        let (base, number) = match numbered {
            Some((base, number)) => {
                (base.to_owned(), number.parse().map_err(|_| broken("not a part".into()))?)
            }
            None => (stem, 1),
        };
        let document = Document::parse(&fs::read(&path)?).map_err(|error| broken(error.to_string()))?;
        parts.entry(base).or_default().insert(number, document);
    }
    Ok(parts.into_iter().map(|(base, parts)| (base, parts.into_values().collect())).collect())
}
