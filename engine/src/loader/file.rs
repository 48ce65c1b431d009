//! The file of a library that may be loaded, and the only ways to one.
//!
//! ```text
//! Verified<Package> ── TrustedFile::of (hash) ──┐
//!                                               ├──> open (hash, map)
//! a package host's engine ── told_by_engine ────┘
//! ```
//! Whether a package is trusted is not decided here; a package is [`Verified`] only by a policy, or by a caller that declares
//! aloud that it need not be. Nothing keeps a trusted file for later: it is made directly before it is loaded.

use std::{
    fs,
    path::{Path, PathBuf},
};

use cloacina_packager::{Digest, Package, Verified, sign::PublicKey};

use super::Error;

/// A file with the content of a package's library, of a package that is trusted.
#[derive(Debug)]
pub(crate) struct TrustedFile {
    path: PathBuf,
    digest: Digest,
    signers: Vec<PublicKey>,
}

impl TrustedFile {
    /// The file at that path, if it is the library of that package.
    pub(crate) fn of(package: &Verified<Package>, path: PathBuf) -> Result<Self, Error> {
        let digest = package.get().library_digest();
        check(&path, digest)?;
        Ok(Self { path, digest, signers: Vec::new() })
    }

    /// For a package without a stored archive, where no signatures are required: the file that was registered.
    pub(crate) fn unsigned(path: PathBuf, digest: Digest) -> Result<Self, Error> {
        check(&path, digest)?;
        Ok(Self { path, digest, signers: Vec::new() })
    }

    /// What the engine that started this process says: it has decided, directly before it said so.
    pub(crate) fn told_by_engine(path: PathBuf, digest: Digest) -> Self {
        Self { path, digest, signers: Vec::new() }
    }

    /// The same, with the keys of the signatures that were verified.
    pub(crate) fn signed_by(self, signers: Vec<PublicKey>) -> Self {
        Self { signers, ..self }
    }

    /// Those keys.
    pub(crate) fn signers(&self) -> &[PublicKey] {
        &self.signers
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn digest(&self) -> Digest {
        self.digest
    }
}

/// Whether the file has that content.
pub(super) fn check(path: &Path, expected: Digest) -> Result<(), Error> {
    let bytes = fs::read(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
    let found = Digest::of(&bytes);
    match found == expected {
        true => Ok(()),
        false => Err(Error::Changed { path: path.to_owned(), expected, found }),
    }
}
