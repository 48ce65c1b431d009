//! `.cloacina` archives: written, read, checked, unpacked, drawn and built.
//!
//! ```text
//! <package>.cloacina = gzip(tar(
//!   lib/<library>              the shared library; lib/<target triple>/<library> for several targets
//!   manifest.toml              what the archive holds, written from the libraries' descriptors
//!   metadata.json              authors, license, how it was built
//!   sbom.cdx.json              optional: what is inside
//! ))
//! ```
//! There is one sequence of tar bytes for some files, and only that one is read (`docs/reference/archive.md` has it
//! byte for byte). A package is identified by its content digest. The descriptor inside each library is the truth;
//! whatever else the archive says is compared with it.
//!
//! Nothing here runs the code of a package. Only [`Verified::unpack_into`], [`replace`] and the feature `build` touch the
//! disk.

#![forbid(unsafe_code)]

mod archive;
#[cfg(feature = "build")]
pub mod build;

mod check;
mod class;
pub mod definition;
mod digest;

pub mod draw;
mod error;
pub mod graph;
pub mod library;
pub mod manifest;
mod merge;
pub mod metadata;
mod mistake;
mod package;
mod replace;
pub mod sign;
mod target;
mod verified;
mod warning;

pub use self::archive::{Files, Limit, Limits};
pub use self::check::{check, name_problem};
pub use self::class::Class;
pub use self::digest::{Digest, DigestError};
pub use self::error::{Difference, Error};
pub use self::graph::Graph;
pub use self::manifest::Manifest;
pub use self::merge::{Part, merge};
pub use self::metadata::{Metadata, Origin};
pub use self::mistake::{Mistake, MistakeKind};
pub use self::package::{Input, InputLibrary, Package, ReadOptions, read, read_with, repack, write};
pub use self::replace::replace;
pub use self::target::Target;
pub use self::verified::Verified;
pub use self::warning::{Warning, WarningKind, warnings};
