//! Finds the processes of the stand-in as an operator would find those of DCE.

use std::fs;
use std::path::Path;

use nix::unistd::Pid;

/// All processes whose command line names a path below this directory, in the order of their ids. Zombies have no command
/// line.
pub(crate) fn find(directory: &Path) -> Vec<Pid> {
    let directory = directory.as_os_str().as_encoded_bytes();
    let mut found: Vec<i32> = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            let command_line = fs::read(entry.path().join("cmdline")).ok()?;
            command_line.windows(directory.len()).any(|window| window == directory).then_some(pid)
        })
        .collect();
    found.sort_unstable();
    found.into_iter().map(Pid::from_raw).collect()
}
