//! Lists the members of a zip archive from its directory.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use zip::{CompressionMethod, ZipArchive};

use super::candidate::{Candidate, RefusalReason, RefusedFile};
use super::document_location::{DocumentLocation, ZipMember};

/// Returns the members that are files, in the archive's order; unreadable ones with the reason.
pub(super) fn members(path: &Path, name: &str) -> Result<Vec<Result<Candidate, RefusedFile>>, RefusalReason> {
    let unreadable = |error: zip::result::ZipError| RefusalReason::Archive(error.to_string());
    let file = File::open(path).map_err(RefusalReason::Io)?;
    let mut archive = ZipArchive::new(BufReader::new(file)).map_err(unreadable)?;
    let mut members = Vec::new();
    for index in 0..archive.len() {
        let member = archive.by_index_raw(index).map_err(unreadable)?;
        if !member.is_file() {
            continue;
        }
        // A name may contain anything; Postgres cannot store NUL.
        let own_name = String::from_utf8_lossy(member.name_raw()).replace('\0', "\u{fffd}");
        let name = format!("{name}!/{own_name}");
        let method = member.compression();
        let reason = match (member.encrypted(), method, member.data_start()) {
            (true, ..) => RefusalReason::Encrypted,
            (_, CompressionMethod::Stored | CompressionMethod::Deflated, Some(start)) => {
                let location = DocumentLocation::ZipMember(ZipMember {
                    archive: path.to_owned(),
                    start,
                    stored_bytes: member.compressed_size(),
                    deflated: method == CompressionMethod::Deflated,
                    crc: member.crc32(),
                });
                members.push(Ok(Candidate { name, location, stored_bytes: member.compressed_size() }));
                continue;
            }
            _ => RefusalReason::Compression(method.to_string()),
        };
        members.push(Err(RefusedFile { name, reason }));
    }
    Ok(members)
}
