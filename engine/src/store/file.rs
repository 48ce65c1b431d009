//! The file of a SQLite database: its one name, and the file itself, whatever name leads to it.
//!
//! - **One name.** SQLite keeps the write-ahead log beside the name by which a file was opened. [`resolve`] follows links
//!   to the one absolute name; a file that has names which cannot be resolved into each other (hard links, a file that is
//!   mounted by itself) is used only under the name that its log goes by.
//! - **One descriptor.** SQLite locks ranges of the file with record locks. The kernel drops all record locks of a process
//!   on a file when the process closes any descriptor of it. So the store opens the file once for all of its connections
//!   in this process, and closes it after the last of them.
//! - **One engine.** That descriptor carries the engine's lock, a `flock`, which Linux keeps apart from record locks.

use std::{
    collections::BTreeMap,
    fs, io,
    os::unix::fs::{DirEntryExt, FileExt, MetadataExt},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use rustix::fs::{Access, AtFlags, CWD, FlockOperation, StatxAttributes, StatxFlags, flock, fstatfs, statx};

use super::{Error, error::NotOpened};

/// How each file begins that SQLite has written.
const MAGIC: &[u8] = b"SQLite format 3\0";

/// So many links may lead from a name to the file, as in the kernel.
const LINKS_MAX: usize = 40;

/// NFS, CIFS and SMB2: there a `flock` is a record lock of the whole file, and would lock SQLite out.
const NETWORK_FILE_SYSTEMS: [u32; 3] = [0x6969, 0xff53_4d42, 0xfe53_4d42];

/// Names the file among all files of the system: its device and its inode.
pub(super) type Identity = (u64, u64);

/// The files of databases that are open in this process. It is process-wide because record locks are.
static OPEN: Mutex<BTreeMap<Identity, Entry>> = Mutex::new(BTreeMap::new());

/// A file that is open.
#[derive(Debug)]
struct Entry {
    /// The descriptor that carries the lock, and any that came about while it was there.
    files: Vec<fs::File>,
    n_users: usize,
    /// Whether an engine of this process has the lock.
    is_locked: bool,
}

/// A share in the file of a database; the file stays open for as long as there is one. Must be dropped after the
/// connections that it was taken for.
#[derive(Debug)]
pub(crate) struct File {
    /// As it was given.
    shown: PathBuf,
    /// The one name.
    path: PathBuf,
    identity: Identity,
}

impl File {
    /// Takes a share in the file; none if there is no file, or if it is empty.
    ///
    /// # Errors
    /// [`Error::Open`] if it is not a database.
    pub(super) fn open(shown: &Path) -> Result<Option<Self>, Error> {
        let failed = |error: io::Error| refused(shown, error.to_string());
        let path = match resolve(shown) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            resolved => resolved.map_err(failed)?,
        };
        match path.metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
            Ok(metadata) if metadata.is_dir() => return Err(refused(shown, "it is a folder".to_owned())),
            Ok(metadata) if !metadata.is_file() => return Err(refused(shown, "it is not a file".to_owned())),
            Ok(_) => {}
        }
        let file = Self::share(shown, path, fs::OpenOptions::new().read(true)).map_err(failed)?;
        match file.beginning().map_err(failed)?.as_slice() {
            // One that is new is empty until its first page is written.
            [] => Ok(None),
            beginning if beginning == MAGIC => Ok(Some(file)),
            _ => Err(refused(shown, "the file is not a database".to_owned())),
        }
    }

    /// As [`Self::open`], of a file that may be new.
    ///
    /// # Errors
    /// As [`Self::open`], and if the file cannot be made.
    pub(super) fn open_or_create(shown: &Path) -> Result<Self, Error> {
        if let Some(file) = Self::open(shown)? {
            return Ok(file);
        }
        let made = resolve(shown).and_then(|path| {
            let mut options = fs::OpenOptions::new();
            Self::share(shown, path, options.read(true).write(true).create(true).truncate(false))
        });
        made.map_err(|error| refused(shown, error.to_string()))
    }

    fn share(shown: &Path, path: PathBuf, options: &fs::OpenOptions) -> io::Result<Self> {
        let mut open = open_files();
        // Closing a second descriptor is what must not happen, so none is made.
        let known = identity_at(&path).filter(|found| open.contains_key(found));
        let identity = match known {
            Some(identity) => identity,
            None => {
                let file = options.open(&path)?;
                let identity = identity(&file.metadata()?);
                let entry = open.entry(identity).or_insert(Entry { files: Vec::new(), n_users: 0, is_locked: false });
                entry.files.push(file);
                identity
            }
        };
        if let Some(entry) = open.get_mut(&identity) {
            entry.n_users += 1;
        }
        Ok(Self { shown: shown.to_owned(), path, identity })
    }

    /// Another share in the same file.
    pub(super) fn again(&self) -> Self {
        if let Some(entry) = open_files().get_mut(&self.identity) {
            entry.n_users += 1;
        }
        Self { shown: self.shown.clone(), path: self.path.clone(), identity: self.identity }
    }

    /// Takes the engine's lock; false if another engine has it.
    pub(super) fn lock(&self) -> io::Result<bool> {
        let mut open = open_files();
        let Some(entry) = open.get_mut(&self.identity) else { return Ok(false) };
        if entry.is_locked || !flocked(entry, FlockOperation::NonBlockingLockExclusive)? {
            return Ok(false);
        }
        entry.is_locked = true;
        Ok(true)
    }

    /// Gives the engine's lock back.
    pub(super) fn unlock(&self) -> io::Result<()> {
        let mut open = open_files();
        let Some(entry) = open.get_mut(&self.identity).filter(|entry| entry.is_locked) else { return Ok(()) };
        entry.is_locked = false;
        flocked(entry, FlockOperation::Unlock).map(drop)
    }

    /// Whether an engine of this process has the lock.
    pub(super) fn is_locked_here(&self) -> bool {
        open_files().get(&self.identity).is_some_and(|entry| entry.is_locked)
    }

    /// Whether an engine has the lock, of this process or of another one.
    pub(super) fn is_locked(&self) -> bool {
        let open = open_files();
        let Some(entry) = open.get(&self.identity) else { return false };
        if entry.is_locked {
            return true;
        }
        let is_free = flocked(entry, FlockOperation::NonBlockingLockShared).unwrap_or(true);
        // Should that fail, the lock goes with the descriptor.
        flocked(entry, FlockOperation::Unlock).ok();
        !is_free
    }

    /// Sees that no write-ahead log goes by another name of the file: transactions would be in it that this name does not
    /// show.
    ///
    /// # Errors
    /// [`Error::OtherName`].
    pub(super) fn check_names(&self) -> Result<(), Error> {
        check_names(&self.path).map_err(|reason| Error::OtherName { path: self.shown.clone(), reason })
    }

    /// Whether this process cannot make what SQLite needs beside a file to read it, although there is nothing to be read
    /// but the file. What a process makes that may not write the file itself would be in the way of those that may.
    pub(super) fn is_out_of_reach(&self) -> bool {
        let may_write = |path: &Path| rustix::fs::access(path, Access::WRITE_OK).is_ok();
        let folder = self.path.parent().unwrap_or(Path::new("/"));
        let is_writable = may_write(&self.path) && may_write(folder);
        !is_writable && !has_log(&self.path)
    }

    /// As it was given, for people.
    pub(super) fn shown(&self) -> String {
        self.shown.display().to_string()
    }

    /// Its one name.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn beginning(&self) -> io::Result<Vec<u8>> {
        let open = open_files();
        let mut bytes = vec![0; MAGIC.len()];
        let file = open.get(&self.identity).and_then(|entry| entry.files.first());
        let n_bytes = file.map_or(Ok(0), |file| file.read_at(&mut bytes, 0))?;
        bytes.truncate(n_bytes);
        Ok(bytes)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let mut open = open_files();
        if let Some(entry) = open.get_mut(&self.identity) {
            entry.n_users -= 1;
            if entry.n_users == 0 {
                // Closed while nobody can open it.
                open.remove(&self.identity);
            }
        }
    }
}

/// Sees that a database is still the file, and the log, that its name leads to: what is written to a file without a name
/// is lost when the file is closed.
#[derive(Debug)]
pub(super) struct Presence {
    identity: Identity,
    path: PathBuf,
    /// What SQLite keeps beside the file, and which files these were when they were first seen.
    beside: [(PathBuf, Option<Identity>); 2],
    shown: PathBuf,
    /// Whether it has been told that something is missing.
    is_told: bool,
}

impl Presence {
    pub(super) fn new(file: &File) -> Self {
        Self {
            identity: file.identity,
            path: file.path.clone(),
            beside: ["-wal", "-shm"].map(|ending| (beside(&file.path, ending), None)),
            shown: file.shown.clone(),
            is_told: false,
        }
    }

    /// Looks for the file.
    ///
    /// # Errors
    /// [`Error::Removed`] if something else or nothing has its name.
    pub(super) fn check_file(&mut self) -> Result<(), Error> {
        match identity_at(&self.path) == Some(self.identity) {
            true => Ok(()),
            false => Err(self.removed(self.shown.clone())),
        }
    }

    /// Looks for the file and for what is beside it; must be called after something was written.
    ///
    /// # Errors
    /// As [`Self::check_file`].
    pub(super) fn check_all(&mut self) -> Result<(), Error> {
        self.check_file()?;
        for (path, known) in &mut self.beside {
            let found = identity_at(path);
            if known.is_none() {
                *known = found;
            } else if *known != found {
                let path = path.clone();
                return Err(self.removed(path));
            }
        }
        self.is_told = false;
        Ok(())
    }

    fn removed(&mut self, path: PathBuf) -> Error {
        let error = Error::Removed { path };
        if !self.is_told {
            self.is_told = true;
            tracing::error!("{error}; nothing is stored until the file is back");
        }
        error
    }
}

/// The one absolute name that a path leads to, whether or not the file is there; its folder must be.
pub(super) fn resolve(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..LINKS_MAX {
        match path.canonicalize() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            resolved => return resolved,
        }
        let name = path.as_os_str().as_encoded_bytes().rsplit(|byte| *byte == b'/').next().unwrap_or_default();
        let Some(name) = path.file_name().filter(|found| found.as_encoded_bytes() == name) else {
            return Err(io::Error::new(io::ErrorKind::NotADirectory, "it names a folder"));
        };
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let place = folder.canonicalize()?.join(name);
        match fs::read_link(&place) {
            // A link to a file that is to be made.
            Ok(target) => path = place.with_file_name("").join(target),
            Err(_) => return Ok(place),
        }
    }
    Err(io::Error::other("it is reached through too many links"))
}

/// Which file is there by that name now; none if there is none.
pub(super) fn identity_at(path: &Path) -> Option<Identity> {
    path.metadata().ok().map(|metadata| identity(&metadata))
}

/// The file that SQLite keeps beside the database under that ending.
pub(super) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

fn check_names(path: &Path) -> Result<(), String> {
    if is_mounted_alone(path) {
        return Err("the file is mounted by itself, without the folder that holds its write-ahead log".to_owned());
    }
    // A process that may not look gets no further in opening it.
    let Ok(metadata) = path.metadata() else { return Ok(()) };
    if metadata.nlink() <= 1 {
        return Ok(());
    }
    let mut n_seen = 1;
    let entries = path.parent().and_then(|folder| folder.read_dir().ok()).into_iter().flatten();
    for other in entries.flatten().filter(|entry| entry.ino() == metadata.ino()).map(|entry| entry.path()) {
        if other == path || identity_at(&other) != Some(identity(&metadata)) {
            continue;
        }
        n_seen += 1;
        if has_log(&other) {
            return Err(format!("the file is also {}, and its write-ahead log goes by that name", other.display()));
        }
    }
    if n_seen == metadata.nlink() || has_log(path) {
        return Ok(());
    }
    Err(format!("the file has {} names in several folders, each of which may have a write-ahead log", metadata.nlink()))
}

fn has_log(path: &Path) -> bool {
    beside(path, "-wal").metadata().is_ok_and(|log| log.len() > 0)
}

fn is_mounted_alone(path: &Path) -> bool {
    let found = statx(CWD, path, AtFlags::empty(), StatxFlags::empty());
    found.is_ok_and(|found| found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

/// Does that with the lock, where the file system has one that is apart from SQLite's; false if another process is in
/// the way.
fn flocked(entry: &Entry, operation: FlockOperation) -> io::Result<bool> {
    let Some(file) = entry.files.first() else { return Ok(true) };
    let kind = fstatfs(file)?.f_type as u32;
    if NETWORK_FILE_SYSTEMS.contains(&kind) {
        return Ok(true);
    }
    match flock(file, operation) {
        Ok(()) => Ok(true),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(false),
        Err(errno) => Err(errno.into()),
    }
}

fn refused(shown: &Path, reason: String) -> Error {
    Error::Open { database: shown.display().to_string(), source: NotOpened::other(reason) }
}

fn identity(metadata: &fs::Metadata) -> Identity {
    (metadata.dev(), metadata.ino())
}

fn open_files() -> MutexGuard<'static, BTreeMap<Identity, Entry>> {
    OPEN.lock().unwrap_or_else(PoisonError::into_inner)
}
