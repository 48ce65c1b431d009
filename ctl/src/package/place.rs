//! Where files are: the one way that commands read, write and name them in errors.
//!
//! How a file is written is the packager's to say, so that all programs do the same.

use std::ffi::OsString;
use std::fs;
use std::path::{Component, Path, PathBuf};

use tempfile::TempDir;

use crate::error::Error;

/// Reads a whole file.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Error> {
    fs::read(path).map_err(|source| Error::Io { action: "read", path: path.to_owned(), source })
}

/// Writes a whole file, or leaves what was there: [`cloacina_packager::replace`].
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let written = cloacina_packager::replace(path, bytes);
    written.map_err(|source| Error::Io { action: "write", path: path.to_owned(), source })
}

/// A folder that is removed when it is dropped.
pub(crate) fn temporary_folder() -> Result<TempDir, Error> {
    tempfile::tempdir().map_err(|source| Error::Io { action: "make a folder in", path: std::env::temp_dir(), source })
}

/// The folder that a file is in.
pub(crate) fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// The path with the working folder in front and without links, also if its end does not exist yet.
pub(crate) fn absolute(path: &Path) -> Result<PathBuf, Error> {
    let failed = |source| Error::Io { action: "find", path: path.to_owned(), source };
    let absolute = std::path::absolute(path).map_err(failed)?;
    let mut existing = absolute.as_path();
    let mut rest: Vec<OsString> = Vec::new();
    loop {
        if let Ok(found) = existing.canonicalize() {
            return Ok(rest.into_iter().rev().fold(found, |path, part| path.join(part)));
        }
        match (existing.parent(), existing.components().next_back()) {
            (Some(parent), Some(last)) => {
                rest.push(last.as_os_str().to_owned());
                existing = parent;
            }
            _ => return Ok(absolute),
        }
    }
}

/// The way from one folder to another; both absolute.
pub(crate) fn relative(from: &Path, to: &Path) -> PathBuf {
    let shared = from.components().zip(to.components()).take_while(|(one, other)| one == other).count();
    let up = from.components().skip(shared).map(|_| Component::ParentDir);
    up.chain(to.components().skip(shared)).collect()
}

/// Gives a file or folder that was made under a temporary name, for its owner alone, the mode of its final place.
#[cfg(unix)]
pub(crate) fn permit(path: &Path, mode: u32) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;

    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

#[cfg(not(unix))]
pub(crate) fn permit(_path: &Path, _mode: u32) -> std::io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_to_another_folder_goes_over_the_shared_one() {
        for (from, to, expected) in
            [("/a/b", "/a/c/d", "../c/d"), ("/a", "/a/b", "b"), ("/a/b", "/a", ".."), ("/a", "/b", "../b")]
        {
            assert_eq!(relative(Path::new(from), Path::new(to)), Path::new(expected), "{from} {to}");
        }
    }
}
