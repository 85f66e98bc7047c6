//! Finds Postgres's programs on this machine.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use super::PostgresError;

/// Parent folders of versioned installations, and the prefix of the version in a folder's name.
const KNOWN_PARENTS: [(&str, &str); 5] = [
    ("/usr/lib/postgresql", ""),                          // Debian, Ubuntu
    ("/usr", "pgsql-"),                                   // PostgreSQL's own rpm packages
    ("/opt/homebrew/opt", "postgresql@"),                 // Homebrew on arm64
    ("/usr/local/opt", "postgresql@"),                    // Homebrew on x86-64
    ("/Applications/Postgres.app/Contents/Versions", ""), // Postgres.app
];

/// The directory with `initdb` and `postgres`: `PG_BINDIR` if set, else the first of `PATH`, `pg_config`
/// and the known parents, newest version first (Debian keeps these programs out of `PATH`).
pub(super) fn find() -> Result<PathBuf, PostgresError> {
    if let Some(given) = env::var_os("PG_BINDIR").map(PathBuf::from) {
        return if is_complete(&given) { Ok(given) } else { Err(PostgresError::IncompleteBinDir(given)) };
    }
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(from_pg_config())
        .chain(KNOWN_PARENTS.iter().flat_map(|(parent, prefix)| versions(Path::new(parent), prefix)))
        .find(|directory| is_complete(directory))
        .ok_or(PostgresError::NotInstalled)
}

fn is_complete(directory: &Path) -> bool {
    directory.join("initdb").is_file() && directory.join("postgres").is_file()
}

fn from_pg_config() -> Option<PathBuf> {
    let output = Command::new("pg_config").arg("--bindir").output().ok()?;
    Some(String::from_utf8_lossy(&output.stdout).trim().into())
}

/// The `bin` directories of the versions installed below `parent`, newest first.
fn versions(parent: &Path, prefix: &str) -> Vec<PathBuf> {
    let mut found: Vec<(u32, PathBuf)> = fs::read_dir(parent)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let version = name.strip_prefix(prefix)?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .collect();
    found.sort_by(|a, b| b.cmp(a));
    found.into_iter().map(|(_, directory)| directory).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_version_comes_first_and_other_folders_are_skipped() {
        let parent = tempfile::tempdir().unwrap();
        for name in ["9", "15", "16", "common"] {
            fs::create_dir(parent.path().join(name)).unwrap();
        }
        let expected: Vec<_> = ["16", "15", "9"].map(|v| parent.path().join(v).join("bin")).into();
        assert_eq!(versions(parent.path(), ""), expected);
    }
}
