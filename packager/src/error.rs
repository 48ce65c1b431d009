//! Why an archive or a library is refused: codes `PKG…`, one variant and one page in `docs/errors/` each.
//!
//! A variant carries values and names the entry; advice stands apart in [`Error::hints`]. Codes are never reused,
//! and `code` has no wildcard arm, so that a new variant cannot go without one.

use std::fmt;
use std::path::PathBuf;

use crate::archive::Limit;
use crate::class::Class;
use crate::digest::Digest;
use crate::library::GlibcVersion;
use crate::mistake::{Mistake, list};

/// Why an archive or a library is refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    // The compressed layer.
    /// The first bytes are those of another kind of file.
    #[error("not a gzip file")]
    NotGzip,
    /// The gzip header says more than an archive's may.
    #[error("the gzip header is not canonical: {field} is {found:#04x}, expected {expected:#04x}")]
    GzipHeader { field: &'static str, found: u8, expected: u8 },
    /// Something follows the end of the gzip member.
    #[error("{bytes} bytes follow the end of the gzip member{}", if *.second_member { " (a second member)" } else { "" })]
    TrailingBytes { bytes: usize, second_member: bool },
    /// The file ends too early.
    #[error("the archive is truncated: it ends inside {place}")]
    Truncated { place: String },
    /// The content does not have the checksum or length that the gzip trailer states.
    #[error("the archive is damaged: {field} is {found:#010x}, the gzip trailer states {stated:#010x}")]
    Checksum { field: &'static str, stated: u32, found: u32 },
    /// The compressed stream is not a deflate stream.
    #[error("the archive is damaged: the compressed stream is invalid after {expanded_bytes} bytes of content")]
    Inflate { expanded_bytes: usize },
    /// A limit is exceeded.
    #[error("too large: more than {max} {limit}{}", entry.as_ref().map(|entry| format!(" in `{entry}`")).unwrap_or_default())]
    TooLarge { limit: Limit, max: u64, entry: Option<String> },

    // Entries of the tar.
    /// A name leads out of the archive's folder.
    #[error("the entry `{entry}` leads out of the archive")]
    PathEscape { entry: String },
    /// A name starts at the root.
    #[error("the entry `{entry}` has an absolute path")]
    AbsolutePath { entry: String },
    /// A name holds what no file of an archive has in its name.
    #[error("the entry `{entry}` has a name that is not allowed: {reason}")]
    OddName { entry: String, reason: &'static str },
    /// The entry is a symbolic link.
    #[error("the entry `{entry}` is a symbolic link")]
    SymbolicLink { entry: String },
    /// The entry is a hard link.
    #[error("the entry `{entry}` is a hard link")]
    HardLink { entry: String },
    /// The entry is a device, FIFO, folder or of an unknown kind.
    #[error("the entry `{entry}` is not a regular file but {kind}")]
    SpecialEntry { entry: String, kind: String },
    /// Two entries have one name.
    #[error("the entry `{entry}` occurs twice")]
    Duplicate { entry: String },
    /// The entry is an extension record of the PAX or GNU formats.
    #[error("the entry `{entry}` is an extension of the {format} format")]
    Extension { entry: String, format: &'static str },
    /// The entries are not sorted by name.
    #[error("the entry `{entry}` stands after `{after}`, but entries are sorted by name")]
    Unsorted { entry: String, after: String },
    /// The bytes are not those that the canonical writer writes.
    #[error("the entry `{entry}` is not canonical: {field} is {found}, expected {expected}")]
    NotCanonical { entry: String, field: &'static str, found: String, expected: String },
    /// Something follows the end of the tar.
    #[error("data follows the end of the tar, from byte {offset} of the expanded archive")]
    TrailingData { offset: usize },
    /// The header of an entry is damaged, or the file is not a tar.
    #[error("the tar header at byte {offset} of the expanded archive is damaged: {reason}")]
    TarHeader { offset: usize, reason: &'static str },

    // Files.
    /// A file that every archive has, or that the manifest names, is not there.
    #[error("the file `{entry}` is missing")]
    MissingFile { entry: String },
    /// A file is there that the format does not have, or the manifest does not name.
    #[error("the file `{entry}` does not belong in an archive")]
    UnexpectedFile { entry: String },
    /// The manifest cannot be read.
    #[error("manifest.toml cannot be read: {reason}")]
    ManifestUnreadable { reason: String },
    /// The manifest has a field that this version does not know.
    #[error("manifest.toml has a field that is not known: {reason}")]
    ManifestUnknownField { reason: String },
    /// The manifest is of another format version.
    #[error("manifest.toml has format version {found}, this program reads {expected}")]
    ManifestFormat { found: i64, expected: u32 },
    /// The metadata cannot be read.
    #[error("metadata.json cannot be read: {reason}")]
    MetadataUnreadable { reason: String },
    /// A library does not have the digest that the manifest states.
    #[error("the file `{entry}` has the digest {found}, the manifest states {stated}")]
    DigestMismatch { entry: String, stated: Digest, found: Digest },
    /// A library does not have the size that the manifest states.
    #[error("the file `{entry}` has {found} bytes, the manifest states {stated}")]
    SizeMismatch { entry: String, stated: u64, found: u64 },
    /// The manifest says something else than the library.
    #[error(
        "manifest.toml disagrees with the library `{library}`: {field} is {manifest} in the manifest, {descriptor} in the library"
    )]
    ManifestDisagrees { library: String, field: String, manifest: String, descriptor: String },
    /// The metadata says something else than the manifest.
    #[error(
        "metadata.json disagrees with manifest.toml: {field} is `{metadata}` in the metadata, `{manifest}` in the manifest"
    )]
    MetadataDisagrees { field: &'static str, metadata: String, manifest: String },

    // Several targets.
    /// Two libraries of one archive say different things of the same package.
    #[error("the libraries {0}")]
    LibrariesDisagree(Box<Difference>),
    /// Two archives that are to become one hold different things.
    #[error("the archives {0}")]
    MergeDiffers(Box<Difference>),
    /// Two archives that are to become one are for the same target.
    #[error("`{first}` and `{other}` both hold a library for {target}")]
    MergeTwice { target: String, first: String, other: String },
    /// Two libraries that are to be packed together are for the same target.
    #[error("two of the libraries are for {target}")]
    TargetTwice { target: String },

    // Libraries.
    /// The package has no library for this machine.
    #[error("the package has no library for {wanted}, only for {}", .available.join(", "))]
    NoLibraryForTarget { wanted: String, available: Vec<String> },
    /// The file is not a shared library.
    #[error("`{library}` is not a shared library: {reason}")]
    NotALibrary { library: String, reason: String },
    /// The library is for another machine or system.
    #[error("`{library}` is a library for {found}, expected {expected}")]
    OtherMachine { library: String, found: String, expected: String },
    /// The target is none that is known.
    #[error("the target `{triple}` is not known")]
    UnknownTarget { triple: String },
    /// The library holds no packaged workflow.
    #[error("`{library}` holds no packaged workflow")]
    NoWorkflow { library: String },
    /// The section `cloacina` cannot be read.
    #[error("the descriptor in `{library}` cannot be read: {reason}")]
    DescriptorUnreadable { library: String, reason: String },
    /// The library has a descriptor but does not export the entry point.
    #[error("`{library}` does not export `{symbol}`")]
    NoEntryPoint { library: String, symbol: String },
    /// The library is for another major version of the ABI.
    #[error("`{library}` is for ABI {found}, this program loads ABI {expected}")]
    OtherAbi { library: String, found: String, expected: String },
    /// The library needs another one that is not on the list of those allowed.
    #[error("`{library}` needs `{needed}`, which is not on the list of allowed libraries")]
    DependencyNotAllowed { library: String, needed: String },
    /// The library needs a newer glibc than there is.
    #[error("`{library}` needs glibc {needed}, but only {available} is available")]
    GlibcTooNew { library: String, needed: GlibcVersion, available: GlibcVersion },
    /// The library brings its own search path.
    #[error("`{library}` sets the library search path `{path}`")]
    SearchPath { library: String, path: String },
    /// The library asks for an executable stack.
    #[error("`{library}` asks for an executable stack")]
    ExecutableStack { library: String },
    /// The descriptor makes no sense.
    #[error("the descriptor has {} mistake(s):\n{}", .mistakes.len(), list(.mistakes))]
    Mistakes { mistakes: Vec<Mistake> },

    // Files on disk.
    /// The file system refused.
    #[error("cannot {action} `{}`", .path.display())]
    Io { action: &'static str, path: PathBuf, source: std::io::Error },
    /// An unpacked file is not what it was.
    #[error("`{}` exists with the digest {found}, expected {expected}", .path.display())]
    ExistingDiffers { path: PathBuf, expected: Digest, found: Digest },
}

/// What two files say differently of one package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The name of one file.
    pub first: String,
    /// The name of the other.
    pub other: String,
    /// What they disagree about.
    pub field: String,
    /// What the first says.
    pub in_first: String,
    /// What the other says.
    pub in_other: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Difference { first, other, field, in_first, in_other } = self;
        write!(
            formatter,
            "`{first}` and `{other}` disagree: {field} is {in_first} in the first, {in_other} in the second"
        )
    }
}

impl Error {
    /// What kind of trouble it is.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Error::NotGzip
            | Error::GzipHeader { .. }
            | Error::TrailingBytes { .. }
            | Error::Truncated { .. }
            | Error::Checksum { .. }
            | Error::Inflate { .. }
            | Error::TooLarge { .. }
            | Error::PathEscape { .. }
            | Error::AbsolutePath { .. }
            | Error::OddName { .. }
            | Error::SymbolicLink { .. }
            | Error::HardLink { .. }
            | Error::SpecialEntry { .. }
            | Error::Duplicate { .. }
            | Error::Extension { .. }
            | Error::Unsorted { .. }
            | Error::NotCanonical { .. }
            | Error::TrailingData { .. }
            | Error::TarHeader { .. }
            | Error::MissingFile { .. }
            | Error::UnexpectedFile { .. }
            | Error::ManifestUnreadable { .. }
            | Error::ManifestUnknownField { .. }
            | Error::ManifestFormat { .. }
            | Error::MetadataUnreadable { .. }
            | Error::DigestMismatch { .. }
            | Error::SizeMismatch { .. }
            | Error::ManifestDisagrees { .. }
            | Error::MetadataDisagrees { .. }
            | Error::NoLibraryForTarget { .. }
            | Error::NotALibrary { .. }
            | Error::OtherMachine { .. }
            | Error::UnknownTarget { .. }
            | Error::NoWorkflow { .. }
            | Error::DescriptorUnreadable { .. }
            | Error::NoEntryPoint { .. }
            | Error::OtherAbi { .. }
            | Error::DependencyNotAllowed { .. }
            | Error::GlibcTooNew { .. }
            | Error::SearchPath { .. }
            | Error::ExecutableStack { .. }
            | Error::Mistakes { .. }
            | Error::LibrariesDisagree(_)
            | Error::MergeDiffers(_)
            | Error::MergeTwice { .. }
            | Error::TargetTwice { .. } => Class::Invalid,
            Error::ExistingDiffers { .. } => Class::Conflict,
            Error::Io { .. } => Class::Unavailable,
        }
    }

    /// The stable code; `docs/errors/<code>.md` explains it.
    pub fn code(&self) -> &'static str {
        match self {
            Error::NotGzip => "PKG0001",
            Error::GzipHeader { .. } => "PKG0002",
            Error::TrailingBytes { .. } => "PKG0003",
            Error::Truncated { .. } => "PKG0004",
            Error::Checksum { .. } => "PKG0005",
            Error::Inflate { .. } => "PKG0006",
            Error::TooLarge { .. } => "PKG0007",
            Error::PathEscape { .. } => "PKG0008",
            Error::AbsolutePath { .. } => "PKG0009",
            Error::OddName { .. } => "PKG0010",
            Error::SymbolicLink { .. } => "PKG0011",
            Error::HardLink { .. } => "PKG0012",
            Error::SpecialEntry { .. } => "PKG0013",
            Error::Duplicate { .. } => "PKG0014",
            Error::Extension { .. } => "PKG0015",
            Error::Unsorted { .. } => "PKG0016",
            Error::NotCanonical { .. } => "PKG0017",
            Error::TrailingData { .. } => "PKG0018",
            Error::TarHeader { .. } => "PKG0019",
            Error::MissingFile { .. } => "PKG0020",
            Error::UnexpectedFile { .. } => "PKG0021",
            Error::ManifestUnreadable { .. } => "PKG0022",
            Error::ManifestUnknownField { .. } => "PKG0023",
            Error::ManifestFormat { .. } => "PKG0024",
            Error::MetadataUnreadable { .. } => "PKG0025",
            Error::DigestMismatch { .. } => "PKG0026",
            Error::SizeMismatch { .. } => "PKG0027",
            Error::ManifestDisagrees { .. } => "PKG0028",
            Error::MetadataDisagrees { .. } => "PKG0029",
            Error::NoLibraryForTarget { .. } => "PKG0030",
            Error::NotALibrary { .. } => "PKG0031",
            Error::OtherMachine { .. } => "PKG0032",
            Error::UnknownTarget { .. } => "PKG0033",
            Error::NoWorkflow { .. } => "PKG0034",
            Error::DescriptorUnreadable { .. } => "PKG0035",
            Error::NoEntryPoint { .. } => "PKG0036",
            Error::OtherAbi { .. } => "PKG0037",
            Error::DependencyNotAllowed { .. } => "PKG0038",
            Error::GlibcTooNew { .. } => "PKG0039",
            Error::SearchPath { .. } => "PKG0040",
            Error::ExecutableStack { .. } => "PKG0041",
            Error::Mistakes { .. } => "PKG0042",
            Error::Io { .. } => "PKG0043",
            Error::ExistingDiffers { .. } => "PKG0044",
            Error::LibrariesDisagree(_) => "PKG0045",
            Error::MergeDiffers(_) => "PKG0046",
            Error::MergeTwice { .. } => "PKG0047",
            Error::TargetTwice { .. } => "PKG0048",
        }
    }

    /// What the reader of the error can do about it.
    pub fn hints(&self) -> Vec<String> {
        let repack = || vec!["write it canonically with: cloacina-ctl package repack FILE".to_owned()];
        let again =
            || vec!["the file was damaged on its way: copy it again and compare `sha256sum` on both sides".to_owned()];
        let one = |hint: &str| vec![hint.to_owned()];
        match self {
            Error::NotGzip => one("an archive is made by: cloacina-ctl package build"),
            Error::GzipHeader { .. }
            | Error::Extension { .. }
            | Error::Unsorted { .. }
            | Error::NotCanonical { .. }
            | Error::TrailingData { .. } => repack(),
            Error::SpecialEntry { kind, .. } if kind == FOLDER => repack(),
            Error::OddName { entry, .. } if entry.starts_with("./") => repack(),
            Error::Truncated { .. } | Error::Checksum { .. } | Error::Inflate { .. } | Error::TarHeader { .. } => {
                again()
            }
            Error::TooLarge { limit, .. } => vec![format!("the operator's setting limits the {limit}")],
            Error::TrailingBytes { .. } => {
                one("the appended bytes are not part of the package: get the file again from its source")
            }
            Error::PathEscape { .. }
            | Error::AbsolutePath { .. }
            | Error::OddName { .. }
            | Error::SymbolicLink { .. }
            | Error::HardLink { .. }
            | Error::SpecialEntry { .. }
            | Error::Duplicate { .. } => {
                one("no tool of Cloacina writes such an entry: do not trust the archive's origin")
            }
            Error::MissingFile { .. } | Error::UnexpectedFile { .. } => {
                one("an archive holds manifest.toml, metadata.json, its libraries and at most sbom.cdx.json")
            }
            Error::ManifestUnknownField { .. } | Error::ManifestFormat { .. } => {
                one("the archive may come from a newer version: update this program, or build the package again")
            }
            Error::ManifestUnreadable { .. }
            | Error::MetadataUnreadable { .. }
            | Error::DigestMismatch { .. }
            | Error::SizeMismatch { .. }
            | Error::ManifestDisagrees { .. }
            | Error::MetadataDisagrees { .. } => {
                one("the manifest is generated from the library, which is authoritative: build the package again")
            }
            Error::NoLibraryForTarget { wanted, .. } => vec![
                format!("build the package on or for {wanted}"),
                "cloacina-ctl package merge makes one archive of those for several targets".to_owned(),
            ],
            Error::LibrariesDisagree(_) | Error::MergeDiffers(_) => {
                one("build all targets from the same sources, in the same version and with the same features")
            }
            Error::MergeTwice { .. } => one("merge archives of different targets; of these two, leave one out"),
            Error::TargetTwice { .. } => {
                one("pack one library for each target; a library whose file does not tell its target names it in \
                 \"build\": {\"target\": …} of its descriptor")
            }
            Error::NotALibrary { .. } => one("build it as a `cdylib`, or in C with `cc -shared -fPIC`"),
            Error::OtherMachine { expected, .. } => vec![format!("build the package on or for {expected}")],
            Error::UnknownTarget { .. } => vec![format!("known targets: {}", crate::target::known().join(", "))],
            Error::NoWorkflow { .. } => one(
                "mark a module with #[packaged_workflow(name = \"…\", package = \"…\")]; a package in C defines a record \
                 in the section `cloacina`, see cloacina.h",
            ),
            Error::DescriptorUnreadable { .. } => one("the schema of the descriptor is in docs/reference/abi.md"),
            Error::NoEntryPoint { .. } => one(
                "export the function (default visibility, no version script that hides it); a Rust package links cloacina-workflow",
            ),
            Error::OtherAbi { .. } => {
                one("build the package against the version of the sdk that this program supports")
            }
            Error::DependencyNotAllowed { needed, .. } => vec![
                format!("link `{needed}` statically"),
                "or have the operator add it to the allowed libraries".to_owned(),
            ],
            Error::GlibcTooNew { available, .. } => {
                vec![format!("build on a system with glibc {available} or older")]
            }
            Error::SearchPath { .. } => one("link without -rpath"),
            Error::ExecutableStack { .. } => {
                one("link with -z noexecstack, and give assembly files a .note.GNU-stack section")
            }
            Error::Mistakes { mistakes } => mistakes.iter().flat_map(Mistake::hints).collect(),
            Error::Io { .. } => one("this user must be able to write there, and the disk must have room"),
            Error::ExistingDiffers { .. } => one(
                "the file was changed after it was unpacked: find out how, then remove its folder and register the package again",
            ),
        }
    }
}

/// The kind of an entry that stock tar writes for each folder.
pub(crate) const FOLDER: &str = "a folder";
