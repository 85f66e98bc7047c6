//! The files of one export, as DCE names them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Start of the names of all parts; DCE adds the numbers.
const STEM: &str = "part";

/// The files of one export: `part.json`, `part [part 2].json`, `part [part 3].json`…
#[derive(Debug, Clone)]
pub struct Parts {
    directory: PathBuf,
}

impl Parts {
    pub const fn new(directory: PathBuf) -> Self {
        Self { directory }
    }

    /// The file of part `part`, from 1. DCE's argument names the first one.
    pub fn path(&self, part: u32) -> PathBuf {
        self.directory.join(match part {
            0 | 1 => format!("{STEM}.json"),
            _ => format!("{STEM} [part {part}].json"),
        })
    }

    /// Whether the directory exists.
    pub fn directory_exists(&self) -> io::Result<bool> {
        self.directory.try_exists()
    }

    /// Deletes a part whose messages are committed. A missing file is no error: a deletion may be repeated.
    pub fn delete(&self, part: u32) -> io::Result<()> {
        match fs::remove_file(self.path(part)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            result => result,
        }
    }

    /// Bytes that the parts take on the disk.
    pub fn bytes_on_disk(&self) -> io::Result<u64> {
        let mut bytes = 0;
        for entry in fs::read_dir(&self.directory)? {
            let entry = entry?;
            if is_part(&entry.path()) {
                // It may be deleted in between.
                bytes += entry.metadata().map_or(0, |metadata| metadata.len());
            }
        }
        Ok(bytes)
    }
}

fn is_part(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let Some(rest) = name.strip_prefix(STEM).and_then(|rest| rest.strip_suffix(".json")) else {
        return false;
    };
    let number = rest.strip_prefix(" [part ").and_then(|rest| rest.strip_suffix(']'));
    rest.is_empty() || number.is_some_and(|number| number.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_named_as_dce_names_them() {
        let parts = Parts::new("/var/dce/7".into());
        assert_eq!(parts.path(1), Path::new("/var/dce/7/part.json"));
        assert_eq!(parts.path(2), Path::new("/var/dce/7/part [part 2].json"));
        assert!(is_part(&parts.path(1)) && is_part(&parts.path(12)));
        for other in ["part.txt", "part [part x].json", "partner.json", ".dotnet", "part [part 2].json.tmp"] {
            assert!(!is_part(Path::new(other)), "{other}");
        }
    }
}
