//! Writes files as one canonical archive.
//!
//! The same files give the same bytes: no time, no owner, no order but the names', one compressor at one level.

use std::collections::BTreeMap;

use flate2::{Compression, GzBuilder};

use super::files::Files;
use super::name::check_name;
use super::tarball::write_tar;
use crate::error::Error;

/// Level 6 is what leaves the header's extra flags zero; higher ones gain one part in a hundred.
const LEVEL: u32 = 6;

/// What the header says of the system: Unix.
const SYSTEM: u8 = 3;

/// Writes the files as an archive.
pub(crate) fn write_files(files: &BTreeMap<String, Vec<u8>>) -> Result<Vec<u8>, Error> {
    let mut buffer = Vec::new();
    let mut ranges = BTreeMap::new();
    for (name, content) in files {
        check_name(name.as_bytes())?;
        let start = buffer.len();
        buffer.extend_from_slice(content);
        ranges.insert(name.clone(), start..buffer.len());
    }
    Ok(compress(&Files::new(buffer, ranges)))
}

pub(super) fn compress(files: &Files) -> Vec<u8> {
    let mut gzip = GzBuilder::new().mtime(0).operating_system(SYSTEM).write(Vec::new(), Compression::new(LEVEL));
    write_tar(files, &mut gzip).expect("invariant: writing into memory cannot fail");
    gzip.finish().expect("invariant: writing into memory cannot fail")
}
