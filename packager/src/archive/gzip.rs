//! The gzip layer: one member with a fixed header, inflated no further than asked for.
//!
//! The usual decoder skips header fields and accepts junk after the member; this one refuses both. The compressed
//! stream itself may come from any compressor: what it stands for is checked, not how it was found.

use flate2::{Crc, Decompress, FlushDecompress, Status};

use super::limits::{Limit, Limits};
use crate::error::Error;

/// Magic, deflate, no flags, no time, no extra flags, Unix: what `gzip -n` writes too.
pub(super) const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];
const HEADER_FIELDS: [&str; 10] =
    ["magic", "magic", "method", "flags", "time", "time", "time", "time", "extra flags", "system"];
const TRAILER_BYTES: usize = 8;
/// How much is inflated in one go.
const CHUNK_BYTES: usize = 64 << 10;

/// Inflates an archive step by step.
pub(super) struct Inflater<'a> {
    input: &'a [u8],
    position: usize,
    decompress: Decompress,
    crc: Crc,
    expanded_bytes_max: u64,
    /// Everything inflated so far.
    pub(super) output: Vec<u8>,
    ended: bool,
}

impl<'a> Inflater<'a> {
    /// Checks the size and the header.
    pub(super) fn new(input: &'a [u8], limits: &Limits) -> Result<Inflater<'a>, Error> {
        if input.len() as u64 > limits.compressed_bytes_max {
            let limit = Limit::CompressedBytes;
            return Err(Error::TooLarge { limit, max: limits.compressed_bytes_max, entry: None });
        }
        if !HEADER[..2].starts_with(&input[..input.len().min(2)]) {
            return Err(Error::NotGzip);
        }
        if input.len() < HEADER.len() {
            return Err(Error::Truncated { place: "the gzip header".to_owned() });
        }
        for ((&expected, &found), field) in HEADER.iter().zip(input).zip(HEADER_FIELDS) {
            if found != expected {
                return Err(Error::GzipHeader { field, found, expected });
            }
        }
        Ok(Inflater {
            input,
            position: HEADER.len(),
            decompress: Decompress::new(false),
            crc: Crc::new(),
            expanded_bytes_max: limits.expanded_bytes_max,
            output: Vec::new(),
            ended: false,
        })
    }

    /// Inflates until there are that many bytes of output, or the stream ends; tells which.
    pub(super) fn fill(&mut self, output_bytes: usize) -> Result<bool, Error> {
        while self.output.len() < output_bytes && !self.ended {
            let before = self.output.len();
            self.output.reserve(CHUNK_BYTES.min(output_bytes - before).max(1));
            let consumed = self.decompress.total_in();
            let input = &self.input[self.position..];
            let status = self
                .decompress
                .decompress_vec(input, &mut self.output, FlushDecompress::None)
                .map_err(|_| Error::Inflate { expanded_bytes: before })?;
            self.position += usize::try_from(self.decompress.total_in() - consumed).unwrap_or(input.len());
            self.crc.update(&self.output[before..]);
            if self.output.len() as u64 > self.expanded_bytes_max {
                let limit = Limit::ExpandedBytes;
                return Err(Error::TooLarge { limit, max: self.expanded_bytes_max, entry: None });
            }
            match status {
                Status::StreamEnd => {
                    self.ended = true;
                    self.check_trailer()?;
                }
                Status::Ok | Status::BufError => {
                    if self.position == self.input.len() && self.output.len() == before {
                        return Err(Error::Truncated { place: "the compressed stream".to_owned() });
                    }
                }
            }
        }
        Ok(self.output.len() >= output_bytes)
    }

    fn check_trailer(&self) -> Result<(), Error> {
        let rest = &self.input[self.position..];
        let Some((trailer, after)) = rest.split_first_chunk::<TRAILER_BYTES>() else {
            return Err(Error::Truncated { place: "the gzip trailer".to_owned() });
        };
        let [c0, c1, c2, c3, n0, n1, n2, n3] = *trailer;
        let (crc, length) = (u32::from_le_bytes([c0, c1, c2, c3]), u32::from_le_bytes([n0, n1, n2, n3]));
        if crc != self.crc.sum() {
            return Err(Error::Checksum { field: "the checksum", stated: crc, found: self.crc.sum() });
        }
        if length != self.crc.amount() {
            return Err(Error::Checksum { field: "the length", stated: length, found: self.crc.amount() });
        }
        match after.is_empty() {
            true => Ok(()),
            false => Err(Error::TrailingBytes { bytes: after.len(), second_member: after.starts_with(&HEADER[..2]) }),
        }
    }
}
