//! The files of an archive: names and contents, nothing else.
//!
//! Names are unique, sorted and valid; the constructors see to it. The contents are ranges of one buffer, so that
//! reading an archive holds each byte once.

use std::collections::BTreeMap;
use std::ops::Range;

use super::limits::Limits;
use super::read::read_files;
use super::write::compress;
use crate::error::Error;

/// The files of an archive, sorted by name.
#[derive(Clone)]
pub struct Files {
    buffer: Vec<u8>,
    ranges: BTreeMap<String, Range<usize>>,
}

impl Files {
    pub(super) fn new(buffer: Vec<u8>, ranges: BTreeMap<String, Range<usize>>) -> Files {
        Files { buffer, ranges }
    }

    /// Reads the files of a canonical archive, without interpreting them.
    pub fn read(archive: &[u8], limits: &Limits) -> Result<Files, Error> {
        read_files(archive, limits)
    }

    /// The canonical archive of these files.
    pub fn archive(&self) -> Vec<u8> {
        compress(self)
    }

    /// The tar that the files were read from, if they were.
    pub(super) fn buffer(&self) -> &[u8] {
        &self.buffer
    }

    /// The file whose header, content or padding holds that byte of the buffer.
    pub(super) fn entry_at(&self, position: usize) -> Option<&str> {
        self.ranges.iter().find(|(_, range)| position < range.end.next_multiple_of(512)).map(|(name, _)| name.as_str())
    }

    /// The content of one file.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        let range = self.ranges.get(name)?;
        Some(&self.buffer[range.clone()])
    }

    /// All files, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.ranges.iter().map(|(name, range)| (name.as_str(), &self.buffer[range.clone()]))
    }
}

impl std::fmt::Debug for Files {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_map().entries(self.iter().map(|(name, bytes)| (name, bytes.len()))).finish()
    }
}
