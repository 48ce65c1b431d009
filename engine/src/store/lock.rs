//! One engine per SQLite file: `<database>.lock`, held with `flock` for as long as the engine lives.
//!
//! The kernel lets go of the lock when the process ends, however it ends, so there are no stale locks. The owner's
//! process id stands in the file for whoever is refused, and after it where the owner's socket is; neither decides
//! anything. The file itself is never removed, as two engines could then hold two different files of one name.

use std::{
    ffi::{OsStr, OsString},
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, Write},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use rustix::fs::{FlockOperation, flock};

use super::Error;

/// The right to drive a database; given back on drop.
#[derive(Debug)]
pub(crate) struct Lock {
    file: File,
}

impl Lock {
    /// Takes the lock of that database.
    ///
    /// # Errors
    /// [`Error::Locked`] with the owner's process id if another engine has it.
    pub(crate) fn take(database: &Path) -> Result<Self, Error> {
        let path = lock_path(database);
        let unusable = |source| Error::LockFile { path: path.clone(), source };
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(unusable)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                return Err(Error::Locked { path: database.to_owned(), pid: read_pid(&mut file) });
            }
            Err(errno) => return Err(unusable(errno.into())),
        }
        write_pid(&mut file).map_err(unusable)?;
        Ok(Self { file })
    }

    /// Tells those who look where the owner's socket is.
    pub(crate) fn note_socket(&self, socket: &Path) -> io::Result<()> {
        let line = [socket.as_os_str().as_bytes(), b"\n"].concat();
        (&self.file).write_all(&line)
    }
}

impl Drop for Lock {
    /// Closing the file would not do: a child process that is just being started has it open too, until it becomes
    /// another program, and the kernel keeps the lock for as long.
    fn drop(&mut self) {
        if let Err(errno) = flock(&self.file, FlockOperation::Unlock) {
            tracing::warn!(%errno, "cannot give the lock of the database back; the end of the process will");
        }
    }
}

/// The process that drives the database now, if any does; `Some(None)` if the lock file does not tell which.
///
/// Looking takes the lock for a moment, shared with others who look. An engine that starts in that very moment finds
/// the database locked, so this is for people who ask, and for nothing that repeats.
pub(crate) fn owner_find(database: &Path) -> Option<Option<u32>> {
    let mut file = File::open(lock_path(database)).ok()?;
    match flock(&file, FlockOperation::NonBlockingLockShared) {
        Err(rustix::io::Errno::WOULDBLOCK) => Some(read_pid(&mut file)),
        Ok(()) | Err(_) => None,
    }
}

/// Where the socket of the engine is that drives the database now, or of the one that did so last.
pub(crate) fn socket_find(database: &Path) -> Option<PathBuf> {
    let bytes = fs::read(lock_path(database)).ok()?;
    let socket = bytes.split(|byte| *byte == b'\n').nth(1)?;
    (!socket.is_empty()).then(|| OsStr::from_bytes(socket).into())
}

fn lock_path(database: &Path) -> PathBuf {
    let mut name = OsString::from(database);
    name.push(".lock");
    name.into()
}

fn read_pid(file: &mut File) -> Option<u32> {
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).ok()?;
    let line = bytes.split(|byte| *byte == b'\n').next()?;
    std::str::from_utf8(line).ok()?.trim().parse().ok()
}

fn write_pid(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}
