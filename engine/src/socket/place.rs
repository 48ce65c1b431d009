//! Where the socket of a database is: `<database>.sock`, beside the file.
//!
//! The path of a socket can hold about a hundred bytes. Where that is too short, the socket is in a folder of the user's
//! own below the system's folder for temporary files, under a name made of the database's path. Either way the lock file
//! says where, so that nobody has to guess.

use std::{
    ffi::OsString,
    fs::{self, DirBuilder},
    io,
    os::unix::{
        ffi::OsStrExt,
        fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt},
    },
    path::{Path, PathBuf},
};

use cloacina_packager::Digest;

/// The longest path that fits into the address of a socket on every system, with its closing zero: 104 on some, 108
/// on Linux.
const PATH_BYTES_MAX: usize = 103;

/// The place for the socket of that database, whose file exists.
pub(super) fn choose(database: &Path) -> io::Result<PathBuf> {
    let database = database.canonicalize()?;
    let mut beside = OsString::from(&database);
    beside.push(".sock");
    // The lock file has one line for it.
    if beside.len() <= PATH_BYTES_MAX && !beside.as_bytes().contains(&b'\n') {
        return Ok(beside.into());
    }
    let uid = rustix::process::geteuid().as_raw();
    let folder = std::env::temp_dir().join(format!("cloacina-{uid}"));
    own(&folder, uid)?;
    let name = Digest::of(database.as_os_str().as_bytes()).hex();
    Ok(folder.join(format!("{}.sock", &name[..32])))
}

/// Makes room for a socket: the process that holds the lock of the database may remove a socket that is there, and nothing else.
pub(super) fn clear(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(found) if found.file_type().is_socket() => fs::remove_file(path),
        Ok(_) => Err(io::Error::new(io::ErrorKind::AlreadyExists, "the path is not a socket")),
    }
}

/// Lets nobody but the user into the socket.
pub(super) fn close_to_others(path: &Path) -> io::Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))
}

/// Makes the folder, or sees that it is the user's own: below a folder that everybody may write, somebody else could have
/// made it.
fn own(folder: &Path, uid: u32) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let found = fs::symlink_metadata(folder)?;
    if found.is_dir() && found.uid() == uid && found.mode() & 0o077 == 0 {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::PermissionDenied, format!("other users have access to {}", folder.display())))
}
