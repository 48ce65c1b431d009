//! How large an archive may be.
//!
//! Every limit holds while the archive is inflated, so that a small file cannot make the reader hold a large one.
//! The defaults fit packages a hundred times as large as the usual; an operator may change them.

use std::fmt;

/// The bounds that reading an archive keeps to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// The largest archive file, in bytes.
    pub compressed_bytes_max: u64,
    /// The largest tar inside, in bytes.
    pub expanded_bytes_max: u64,
    /// The largest library or inventory of parts (`sbom.cdx.json`), in bytes.
    pub entry_bytes_max: u64,
    /// The largest `manifest.toml` or `metadata.json`, in bytes.
    pub text_bytes_max: u64,
    /// The largest number of entries.
    pub entries_max: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            // A library with everything linked in and debug information kept stays below 64 MiB compressed.
            compressed_bytes_max: 64 << 20,
            expanded_bytes_max: 256 << 20,
            entry_bytes_max: 128 << 20,
            // A workflow of 10,000 tasks needs about 2 MiB of manifest; 50,000 are allowed, with long descriptions.
            text_bytes_max: 32 << 20,
            // One library for each target that exists, and three files beside them.
            entries_max: 32,
        }
    }
}

/// One of the bounds of [`Limits`], as named in errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// `compressed_bytes_max`.
    CompressedBytes,
    /// `expanded_bytes_max`.
    ExpandedBytes,
    /// `entry_bytes_max`.
    EntryBytes,
    /// `text_bytes_max`.
    TextBytes,
    /// `entries_max`.
    Entries,
}

impl fmt::Display for Limit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Limit::CompressedBytes => "bytes of the archive file",
            Limit::ExpandedBytes => "bytes after expansion",
            Limit::EntryBytes => "bytes of one file",
            Limit::TextBytes => "bytes of manifest.toml or metadata.json",
            Limit::Entries => "entries",
        })
    }
}
