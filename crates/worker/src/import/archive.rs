//! What is in a zip archive, by its directory.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use zip::{CompressionMethod, ZipArchive};

use super::bytes::{Member, Place};
use super::find::{Candidate, Refusal, Refused};

/// The members that are files, in the archive's order; those that cannot be read with the reason.
pub(super) fn members(path: &Path, name: &str) -> Result<Vec<Result<Candidate, Refused>>, Refusal> {
    let unreadable = |error: zip::result::ZipError| Refusal::Archive(error.to_string());
    let file = File::open(path).map_err(Refusal::Io)?;
    let mut archive = ZipArchive::new(BufReader::new(file)).map_err(unreadable)?;
    let mut members = Vec::new();
    for index in 0..archive.len() {
        let member = archive.by_index_raw(index).map_err(unreadable)?;
        if !member.is_file() {
            continue;
        }
        // A name is whatever somebody wrote; NUL is what no text of Postgres holds.
        let own_name = String::from_utf8_lossy(member.name_raw()).replace('\0', "\u{fffd}");
        let name = format!("{name}!/{own_name}");
        let method = member.compression();
        let refusal = match (member.encrypted(), method, member.data_start()) {
            (true, ..) => Refusal::Encrypted,
            (_, CompressionMethod::Stored | CompressionMethod::Deflated, Some(start)) => {
                let place = Place::Member(Member {
                    archive: path.to_owned(),
                    start,
                    stored: member.compressed_size(),
                    deflated: method == CompressionMethod::Deflated,
                    crc: member.crc32(),
                });
                members.push(Ok(Candidate { name, place, stored: member.compressed_size() }));
                continue;
            }
            _ => Refusal::Compression(method.to_string()),
        };
        members.push(Err(Refused { name, refusal }));
    }
    Ok(members)
}
