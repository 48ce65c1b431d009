//! Reads an archive that stock tar made, leniently, so that it can be written again canonically.
//!
//! Lenient on form alone: padding, owners, times, order, `./` in front, folders, PAX and GNU records. Links,
//! devices, escapes, duplicates and limits are refused as ever, and what was read is written and read again by the
//! strict reader before anyone gets it.

use std::collections::BTreeMap;
use std::io::{self, Read};

use flate2::bufread::GzDecoder;

use super::limits::{Limit, Limits};
use super::name::{check_name, printable};
use crate::error::Error;

/// Reads the regular files of any tar.gz.
pub(crate) fn repack_files(archive: &[u8], limits: &Limits) -> Result<BTreeMap<String, Vec<u8>>, Error> {
    if archive.len() as u64 > limits.compressed_bytes_max {
        return Err(Error::TooLarge { limit: Limit::CompressedBytes, max: limits.compressed_bytes_max, entry: None });
    }
    if !archive.starts_with(&[0x1f, 0x8b]) {
        return Err(Error::NotGzip);
    }
    let tar = inflate(archive, limits)?;
    let mut files = BTreeMap::new();
    let mut reader = tar::Archive::new(tar.as_slice());
    let entries = reader.entries().map_err(unreadable)?;
    for (entry_idx, entry) in entries.enumerate() {
        if entry_idx as u64 >= limits.entries_max {
            return Err(Error::TooLarge { limit: Limit::Entries, max: limits.entries_max, entry: None });
        }
        let mut entry = entry.map_err(unreadable)?;
        let path = entry.path_bytes().into_owned();
        let shown = printable(&path);
        let kind = entry.header().entry_type();
        if kind.is_dir() || kind.is_pax_global_extensions() {
            continue;
        }
        if kind.is_symlink() {
            return Err(Error::SymbolicLink { entry: shown });
        }
        if kind.is_hard_link() {
            return Err(Error::HardLink { entry: shown });
        }
        if !kind.is_file() {
            return Err(Error::SpecialEntry {
                entry: shown,
                kind: format!("of kind {:?}", char::from(kind.as_byte())),
            });
        }
        let name = check_name(path.strip_prefix(b"./").unwrap_or(&path))?.to_owned();
        let mut content = Vec::new();
        if entry.size() > limits.entry_bytes_max {
            return Err(Error::TooLarge { limit: Limit::EntryBytes, max: limits.entry_bytes_max, entry: Some(name) });
        }
        entry.read_to_end(&mut content).map_err(unreadable)?;
        if files.insert(name.clone(), content).is_some() {
            return Err(Error::Duplicate { entry: name });
        }
    }
    Ok(files)
}

/// The tar inside, whatever its gzip header says; still nothing may follow the member.
fn inflate(archive: &[u8], limits: &Limits) -> Result<Vec<u8>, Error> {
    let mut decoder = GzDecoder::new(archive);
    let mut tar = Vec::new();
    let max = limits.expanded_bytes_max;
    decoder.by_ref().take(max.saturating_add(1)).read_to_end(&mut tar).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => Error::Truncated { place: "the compressed stream".to_owned() },
        _ => Error::Inflate { expanded_bytes: 0 },
    })?;
    if tar.len() as u64 > max {
        return Err(Error::TooLarge { limit: Limit::ExpandedBytes, max, entry: None });
    }
    let rest = decoder.into_inner();
    match rest.is_empty() {
        true => Ok(tar),
        false => Err(Error::TrailingBytes { bytes: rest.len(), second_member: rest.starts_with(&[0x1f, 0x8b]) }),
    }
}

fn unreadable(error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => Error::Truncated { place: "the tar's entries".to_owned() },
        _ => Error::TarHeader { offset: 0, reason: "it is not a tar, or it is damaged" },
    }
}
