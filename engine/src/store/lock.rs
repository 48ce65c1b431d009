//! One engine per SQLite file: a lock on the file itself, and one on `<database>.lock` beside it, both held with `flock`
//! for as long as the engine lives.
//!
//! The lock on the file refuses a second engine whatever name of the file it was given. The one beside it is there before
//! the database is, and while the database is missing. Both are needed to drive a database.
//!
//! The kernel releases the locks when the process ends, however it ends, so there are no stale locks. `<database>.lock`
//! holds the owner's process id for the program that is refused, and after it the path of the owner's socket; neither
//! decides anything. It is never removed, as two engines could then hold two different files of one name.

use std::{
    ffi::OsStr,
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, Write},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use rustix::fs::{FlockOperation, flock};

use super::{Error, file};

/// The right to drive a database; given back on drop.
#[derive(Debug)]
pub(crate) struct Lock {
    database: Claim,
    /// `<database>.lock`.
    beside: File,
}

/// The lock on the file of a database itself.
#[derive(Debug)]
struct Claim(file::File);

impl Lock {
    /// Takes the lock of that database, and makes its file if there is none.
    ///
    /// # Errors
    /// [`Error::Locked`] with the owner's process id if another engine has it; [`Error::Open`] if it is not a database.
    pub(crate) fn take(database: &Path) -> Result<Self, Error> {
        // Nothing is made beside a file that is refused, and no file where an engine misses its own.
        let found = file::File::open(database)?.map(|file| Claim::take(database, file)).transpose()?;
        let beside = take_beside(database)?;
        let claim = match found {
            Some(claim) => claim,
            None => Claim::take(database, file::File::open_or_create(database)?)?,
        };
        Ok(Self { database: claim, beside })
    }

    /// The file that is locked.
    pub(super) fn database(&self) -> &file::File {
        &self.database.0
    }

    /// Tells those who look where the owner's socket is.
    pub(crate) fn note_socket(&self, socket: &Path) -> io::Result<()> {
        let line = [socket.as_os_str().as_bytes(), b"\n"].concat();
        (&self.beside).write_all(&line)
    }
}

impl Claim {
    fn take(database: &Path, file: file::File) -> Result<Self, Error> {
        match file.lock() {
            Ok(true) => {}
            Ok(false) => return Err(Error::Locked { path: database.to_owned(), pid: owner_find(&file).flatten() }),
            Err(source) => return Err(Error::LockFile { path: database.to_owned(), source }),
        }
        let claim = Self(file);
        claim.0.check_names()?;
        Ok(claim)
    }
}

fn take_beside(database: &Path) -> Result<File, Error> {
    let path = lock_path(database).map_err(|source| Error::LockFile { path: database.to_owned(), source })?;
    let unusable = |source| Error::LockFile { path: path.clone(), source };
    let mut beside =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(unusable)?;
    match flock(&beside, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => {
            return Err(Error::Locked { path: database.to_owned(), pid: read_pid(&mut beside) });
        }
        Err(errno) => return Err(unusable(errno.into())),
    }
    write_pid(&mut beside).map_err(unusable)?;
    Ok(beside)
}

/// Closing the files would not do: a child process that is just being started has them open too, until it becomes
/// another program, and the kernel keeps the lock for as long.
impl Drop for Lock {
    fn drop(&mut self) {
        if let Err(errno) = flock(&self.beside, FlockOperation::Unlock) {
            tracing::warn!(%errno, "cannot give the lock of the database back; the end of the process will");
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if let Err(error) = self.0.unlock() {
            tracing::warn!(%error, "cannot give the lock of the database back; the end of the process will");
        }
    }
}

/// The process that drives the database now, if any does; `Some(None)` if it is not known which.
///
/// Looking takes the lock for a moment, shared with others who look. An engine that starts in that very moment finds
/// the database locked, so this is for people who ask, and for nothing that repeats.
pub(super) fn owner_find(database: &file::File) -> Option<Option<u32>> {
    if database.is_locked_here() {
        return Some(Some(std::process::id()));
    }
    let beside = File::open(file::beside(database.path(), ENDING)).ok();
    if let Some(mut beside) = beside
        && let Err(rustix::io::Errno::WOULDBLOCK) = flock(&beside, FlockOperation::NonBlockingLockShared)
    {
        return Some(read_pid(&mut beside));
    }
    database.is_locked().then_some(None)
}

/// Where the socket of the engine is that drives the database now, or of the one that did so last.
pub(crate) fn socket_find(database: &Path) -> Option<PathBuf> {
    let bytes = fs::read(lock_path(database).ok()?).ok()?;
    let socket = bytes.split(|byte| *byte == b'\n').nth(1)?;
    (!socket.is_empty()).then(|| OsStr::from_bytes(socket).into())
}

/// What the name of the lock file adds to that of the database.
const ENDING: &str = ".lock";

fn lock_path(database: &Path) -> io::Result<PathBuf> {
    Ok(file::beside(&file::resolve(database)?, ENDING))
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
