//! Unpacking: content-addressed, read-only, whole, and never over what is there.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use cloacina_packager::{Limits, Verified, read};

use crate::support::{DIAMOND, archive, library};

#[test]
fn a_package_is_unpacked_once_and_reused() {
    let library = library(DIAMOND);
    let folder = tempfile::tempdir().unwrap();
    let package = Verified::trust_unsigned(read(&archive(&library), &Limits::default()).unwrap());
    let path = package.unpack_into(folder.path()).unwrap();
    assert_eq!(path, folder.path().join(package.get().content_digest().hex()).join("libdiamond.so"));
    assert_eq!(fs::read(&path).unwrap(), library);
    let metadata = fs::metadata(&path).unwrap();
    assert_eq!(metadata.permissions().mode() & 0o7777, 0o444);
    let again = package.unpack_into(folder.path()).unwrap();
    assert_eq!(again, path);
    assert_eq!(fs::metadata(&again).unwrap().modified().unwrap(), metadata.modified().unwrap());
    let files = fs::read_dir(path.parent().unwrap()).unwrap().count();
    assert_eq!(files, 1, "nothing but the library is left");
}

#[test]
fn a_file_that_was_changed_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let package = Verified::trust_unsigned(read(&archive(&library(DIAMOND)), &Limits::default()).unwrap());
    let path = package.unpack_into(folder.path()).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(&path, b"something else").unwrap();
    assert_eq!(package.unpack_into(folder.path()).unwrap_err().code(), "PKG0044");
    fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", &path).unwrap();
    assert_eq!(package.unpack_into(folder.path()).unwrap_err().code(), "PKG0043");
}

#[test]
fn many_may_unpack_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let package = Verified::trust_unsigned(read(&archive(&library(DIAMOND)), &Limits::default()).unwrap());
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| package.unpack_into(folder.path()).unwrap());
        }
    });
}
