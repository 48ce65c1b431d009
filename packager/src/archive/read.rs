//! Reads a canonical archive, or says precisely why it is none.
//!
//! The entries are parsed while they are inflated, so every limit holds before the bytes exist. Whatever has a name
//! of its own among the things that can be wrong is refused under that name; then the tar is written again from the
//! files and compared, which refuses everything else.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::ops::Range;

use super::files::Files;
use super::gzip::Inflater;
use super::limits::{Limit, Limits};
use super::name::{check_name, printable};
use super::tarball::{BLOCK, END, padding, write_tar};
use crate::error::{Error, FOLDER};

/// Reads the files of a canonical archive.
pub(crate) fn read_files(archive: &[u8], limits: &Limits) -> Result<Files, Error> {
    let mut inflater = Inflater::new(archive, limits)?;
    let mut ranges: BTreeMap<String, Range<usize>> = BTreeMap::new();
    let mut position = 0;
    loop {
        if !inflater.fill(position + BLOCK)? {
            let place = if position == 0 { "the tar's first header" } else { "the tar's entries: its end is missing" };
            return Err(Error::Truncated { place: place.to_owned() });
        }
        let mut block = [0; BLOCK];
        block.copy_from_slice(&inflater.output[position..position + BLOCK]);
        if block == END[..BLOCK] {
            check_end(&mut inflater, position)?;
            break;
        }
        if ranges.len() as u64 >= limits.entries_max {
            return Err(Error::TooLarge { limit: Limit::Entries, max: limits.entries_max, entry: None });
        }
        let header = Header { block: &block, offset: position };
        let (name, size) = header.check(limits, ranges.last_key_value().map(|(name, _)| name.as_str()), &ranges)?;
        let content = position + BLOCK;
        let end = content + size + padding(size);
        if !inflater.fill(end)? {
            return Err(Error::Truncated { place: format!("the entry `{name}`") });
        }
        ranges.insert(name, content..content + size);
        position = end;
    }
    let files = Files::new(inflater.output, ranges);
    files.is_what_the_writer_writes()?;
    Ok(files)
}

/// After the first block of zeros: a second, then the end of everything.
fn check_end(inflater: &mut Inflater<'_>, position: usize) -> Result<(), Error> {
    let end = position + END.len();
    if !inflater.fill(end)? {
        return Err(Error::Truncated { place: "the end of the tar".to_owned() });
    }
    if let Some(offset) = inflater.output[position..end].iter().position(|&byte| byte != 0) {
        return Err(Error::TrailingData { offset: position + offset });
    }
    match inflater.fill(end + 1)? {
        true => Err(Error::TrailingData { offset: end }),
        false => Ok(()),
    }
}

/// A header block, not yet believed.
struct Header<'a> {
    block: &'a [u8; BLOCK],
    offset: usize,
}

impl Header<'_> {
    /// The name and the size of the entry, if nothing is wrong with its header.
    fn check(
        &self,
        limits: &Limits,
        last: Option<&str>,
        known: &BTreeMap<String, Range<usize>>,
    ) -> Result<(String, usize), Error> {
        self.check_sum()?;
        self.check_kind()?;
        let name = check_name(&self.name())?.to_owned();
        if known.contains_key(&name) {
            return Err(Error::Duplicate { entry: name });
        }
        if let Some(last) = last.filter(|last| *last > name.as_str()) {
            return Err(Error::Unsorted { entry: name, after: last.to_owned() });
        }
        self.check_field(&name, "the format's magic", 257..265, b"ustar\x0000")?;
        self.check_field(&name, "the mode", 100..108, b"0000644\0")?;
        self.check_field(&name, "the owner", 108..116, b"0000000\0")?;
        self.check_field(&name, "the group", 116..124, b"0000000\0")?;
        self.check_field(&name, "the time", 136..148, b"00000000000\0")?;
        self.check_field(&name, "the owner's name", 265..297, &[0; 32])?;
        self.check_field(&name, "the group's name", 297..329, &[0; 32])?;
        let size = octal(&self.block[124..136])
            .ok_or(Error::TarHeader { offset: self.offset, reason: "the size is not an octal number" })?;
        let text = matches!(name.as_str(), crate::package::MANIFEST | crate::package::METADATA);
        let (limit, max) = match text {
            true => (Limit::TextBytes, limits.text_bytes_max),
            false => (Limit::EntryBytes, limits.entry_bytes_max),
        };
        match usize::try_from(size) {
            Ok(bytes) if size <= max => Ok((name, bytes)),
            _ => Err(Error::TooLarge { limit, max, entry: Some(name) }),
        }
    }

    fn check_sum(&self) -> Result<(), Error> {
        let damaged = |reason| Error::TarHeader { offset: self.offset, reason };
        let stated = octal(&self.block[148..156]).ok_or_else(|| damaged("the checksum is not an octal number"))?;
        let blank = 8 * u64::from(b' ');
        let rest = self.block[..148].iter().chain(&self.block[156..]);
        let sum: u64 = rest.map(|&byte| u64::from(byte)).sum();
        match stated == sum + blank {
            true => Ok(()),
            false => Err(damaged("the checksum is wrong, or the file is not a tar")),
        }
    }

    fn check_kind(&self) -> Result<(), Error> {
        let entry = printable(&self.name());
        let special = |kind: &str| Error::SpecialEntry { entry: entry.clone(), kind: kind.to_owned() };
        Err(match self.block[156] {
            b'0' => return Ok(()),
            b'1' => Error::HardLink { entry },
            b'2' => Error::SymbolicLink { entry },
            b'3' => special("a character device"),
            b'4' => special("a block device"),
            b'5' => special(FOLDER),
            b'6' => special("a FIFO"),
            b'x' | b'g' => Error::Extension { entry, format: "PAX" },
            b'L' | b'K' | b'S' | b'M' | b'V' | b'D' | b'N' => Error::Extension { entry, format: "GNU" },
            other => special(&format!("of the unknown kind {:?}", char::from(other))),
        })
    }

    fn check_field(&self, entry: &str, field: &'static str, at: Range<usize>, expected: &[u8]) -> Result<(), Error> {
        let found = &self.block[at];
        match found == expected {
            true => Ok(()),
            false => Err(Error::NotCanonical {
                entry: entry.to_owned(),
                field,
                found: quoted(found),
                expected: quoted(expected),
            }),
        }
    }

    /// The name with its prefix, if it has one: a name that only the prefix makes harmless is not.
    fn name(&self) -> Vec<u8> {
        let name = until_zero(&self.block[..100]);
        let ustar = &self.block[257..263] == b"ustar\0";
        match until_zero(&self.block[345..500]) {
            prefix if ustar && !prefix.is_empty() => [prefix, b"/", name].concat(),
            _ => name.to_vec(),
        }
    }
}

impl Files {
    /// Compares the buffer with what the writer makes of the files in it.
    fn is_what_the_writer_writes(&self) -> Result<(), Error> {
        let mut comparison = Comparison { expected: self.buffer(), position: 0 };
        let same = write_tar(self, &mut comparison).is_ok() && comparison.position == comparison.expected.len();
        match same {
            true => Ok(()),
            false => Err(self.first_difference(comparison.position)),
        }
    }

    fn first_difference(&self, position: usize) -> Error {
        let entry = self.entry_at(position).unwrap_or("the end").to_owned();
        Error::NotCanonical {
            entry,
            field: "a byte of its header or padding",
            found: format!("{:#04x} at byte {position}", self.buffer().get(position).copied().unwrap_or(0)),
            expected: "what the canonical writer writes".to_owned(),
        }
    }
}

/// Accepts exactly the expected bytes, and remembers where it stopped.
struct Comparison<'a> {
    expected: &'a [u8],
    position: usize,
}

impl Write for Comparison<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let rest = self.expected.get(self.position..).unwrap_or_default();
        let same = bytes.iter().zip(rest).take_while(|(one, other)| one == other).count();
        self.position += same;
        match same == bytes.len() {
            true => Ok(same),
            false => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// An octal number, zero or space terminated, as every tar of the last forty years writes it.
fn octal(field: &[u8]) -> Option<u64> {
    let digits: Vec<u8> = field.iter().copied().skip_while(|&byte| byte == b' ').collect();
    let end = digits.iter().position(|byte| matches!(byte, 0 | b' ')).unwrap_or(digits.len());
    let (digits, rest) = digits.split_at(end);
    if digits.is_empty() || rest.iter().any(|byte| !matches!(byte, 0 | b' ')) {
        return None;
    }
    u64::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok()
}

fn until_zero(field: &[u8]) -> &[u8] {
    field.split(|&byte| byte == 0).next().unwrap_or_default()
}

fn quoted(field: &[u8]) -> String {
    format!("`{}`", printable(until_zero(field)))
}
