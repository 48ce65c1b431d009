//! Packages that may be unpacked, and unpacking them.
//!
//! Only a [`Verified`] package has `unpack_into`; how it became one is decided once, by its constructor. A folder
//! `<dir>/<content digest>/` is written whole or not at all, never written again, and what is found there is hashed
//! before it is used.

use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::digest::Digest;
use crate::error::Error;
use crate::package::Package;

/// A package that was checked against the trust policy: only a verified package may be unpacked.
#[derive(Debug, Clone)]
pub struct Verified<P>(P);

impl<P> Verified<P> {
    /// Takes it as it is, from whomever it came: for packages that were built here, and for development.
    pub fn trust_unsigned(unverified: P) -> Verified<P> {
        Verified(unverified)
    }

    /// A policy let it through; see [`crate::sign::Policy::verify`].
    pub(crate) fn trusted(trusted: P) -> Verified<P> {
        Verified(trusted)
    }

    /// What was verified.
    pub fn get(&self) -> &P {
        &self.0
    }
}

impl Verified<Package> {
    /// Writes the library for the package's target to `<dir>/<content digest>/<library>` and returns that path. Of a
    /// package for several targets it is `<dir>/<content digest>/<target>/<library>`, so that machines may share a folder.
    ///
    /// The file appears whole, with mode 0444, and durable. If it is there already its digest is checked: the same
    /// content is used as it is, anything else is refused. May be called any number of times, at the same time too.
    pub fn unpack_into(&self, dir: &Path) -> Result<PathBuf, Error> {
        let content = dir.join(self.0.content_digest().hex());
        let path = content.join(self.0.library_place());
        let folder = path.parent().unwrap_or(&content).to_owned();
        let expected = self.0.library_digest();
        if let Some(path) = existing(&path, expected)? {
            return Ok(path);
        }
        fs::create_dir_all(&folder).map_err(|source| failed("create the folder", &folder, source))?;
        let mut file = tempfile::Builder::new()
            .prefix(".unpacking-")
            .tempfile_in(&folder)
            .map_err(|source| failed("create a file in", &folder, source))?;
        file.write_all(self.0.library()).map_err(|source| failed("write", file.path(), source))?;
        file.as_file().set_permissions(read_only()).map_err(|source| failed("protect", file.path(), source))?;
        file.as_file().sync_all().map_err(|source| failed("sync", file.path(), source))?;
        match file.persist_noclobber(&path) {
            Ok(_) => {}
            // Another one was faster: what it wrote is checked like anything that was there before.
            Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => {
                return existing(&path, expected)?.ok_or_else(|| failed("open", &path, io::ErrorKind::NotFound.into()));
            }
            Err(error) => return Err(failed("rename a file to", &path, error.error)),
        }
        sync_folder(&folder)?;
        sync_folder(&content)?;
        sync_folder(dir)?;
        Ok(path)
    }
}

/// The path, if the file is there with the expected content; an error if it is there with another.
fn existing(path: &Path, expected: Digest) -> Result<Option<PathBuf>, Error> {
    match fs::symlink_metadata(path) {
        Err(source) if source.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(failed("read the metadata of", path, source)),
        Ok(metadata) if metadata.is_file() => {}
        Ok(_) => return Err(failed("use", path, io::Error::other("it is not a regular file"))),
    }
    let found = Digest::of(&fs::read(path).map_err(|source| failed("read", path, source))?);
    match found == expected {
        true => Ok(Some(path.to_owned())),
        false => Err(Error::ExistingDiffers { path: path.to_owned(), expected, found }),
    }
}

fn sync_folder(folder: &Path) -> Result<(), Error> {
    let synced = File::open(folder).and_then(|file| file.sync_all());
    synced.map_err(|source| failed("sync the folder", folder, source))
}

#[cfg(unix)]
fn read_only() -> Permissions {
    use std::os::unix::fs::PermissionsExt;

    Permissions::from_mode(0o444)
}

pub(crate) fn failed(action: &'static str, path: &Path, source: io::Error) -> Error {
    Error::Io { action, path: path.to_owned(), source }
}
