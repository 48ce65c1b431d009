//! The folders in which packages may write that may write nowhere else: one for each process, gone with it.
//!
//! ```text
//! <data>/scratch/<engine>.lock    held with `flock` for as long as the engine lives
//! <data>/scratch/<engine>/<n>     the folder of its n-th process
//! ```
//! The kernel releases a lock when its engine ends, however it ends. So a folder of an engine that was killed has a free
//! lock, and is removed by the next engine that starts; the folder of a running engine is never touched.
//! What a package has made of its folder is not believed: links are removed and not followed.

use std::{
    fs::{self, File, OpenOptions, Permissions},
    io,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use rustix::fs::{FlockOperation, flock};

/// What stands behind the name of a folder in that of its lock.
const LOCK: &str = ".lock";
/// Names that are tried until one is free; more are never in use.
const NAMES_MAX: u32 = 10_000;

/// Where the packages of one engine may write.
#[derive(Debug)]
pub(crate) struct Scratch {
    /// The folder that it shares with other engines.
    shared: PathBuf,
    own: Mutex<Option<Own>>,
    next: AtomicU64,
}

/// The folder of one process; removed when this is dropped.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    /// Goes after it.
    _engine: Arc<Scratch>,
}

/// The folder of this engine, with the right to it.
#[derive(Debug)]
struct Own {
    folder: PathBuf,
    lock: Lock,
}

/// The right to a folder.
#[derive(Debug)]
struct Lock {
    file: File,
    path: PathBuf,
}

impl Scratch {
    /// Below that folder, which is not made before a process needs it. Removes what was left there, meanwhile.
    pub(crate) fn new(shared: PathBuf) -> Arc<Self> {
        if shared.is_dir() {
            let left = shared.clone();
            let sweeper = thread::Builder::new().name("clcn-scratch".to_owned()).spawn(move || sweep(&left));
            if let Err(error) = sweeper {
                tracing::warn!(folder = %shared.display(), %error, "cannot search for folders that are left over");
            }
        }
        Arc::new(Self { shared, own: Mutex::default(), next: AtomicU64::new(0) })
    }

    /// A new folder for one process. Blocks on the disk.
    pub(super) fn folder(self: &Arc<Self>) -> io::Result<Folder> {
        let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        if own.is_none() {
            *own = Some(Own::take(&self.shared)?);
        }
        let Some(Own { folder, .. }) = &*own else { return Err(io::ErrorKind::NotFound.into()) };
        let path = std::path::absolute(folder.join(self.next.fetch_add(1, Ordering::Relaxed).to_string()))?;
        fs::create_dir_all(&path)?;
        Ok(Folder { path, _engine: Arc::clone(self) })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Some(Own { folder, lock }) = self.own.get_mut().unwrap_or_else(PoisonError::into_inner).take() {
            discard(&folder);
            lock.remove();
        }
    }
}

impl Folder {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        discard(&self.path);
    }
}

impl Own {
    /// The first free name, which begins with the number of this process, for people.
    fn take(shared: &Path) -> io::Result<Self> {
        fs::create_dir_all(shared)?;
        for n in 0..NAMES_MAX {
            let folder = shared.join(format!("{}-{n}", std::process::id()));
            // One that is there is another's, or is about to be removed by the process that has its lock.
            if folder.exists() {
                continue;
            }
            if let Some(lock) = Lock::take(&folder)? {
                fs::create_dir_all(&folder)?;
                return Ok(Self { folder, lock });
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }
}

impl Lock {
    /// Takes the lock of a folder, if it is free.
    fn take(folder: &Path) -> io::Result<Option<Self>> {
        let mut path = folder.as_os_str().to_owned();
        path.push(LOCK);
        let path = PathBuf::from(path);
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
            Err(errno) => return Err(errno.into()),
        }
        // Another may have removed the file between the two, and with it the meaning of its lock.
        let is_same = fs::metadata(&path).is_ok_and(|there| file.metadata().is_ok_and(|own| there.ino() == own.ino()));
        Ok(is_same.then_some(Self { file, path }))
    }

    /// Releases the lock permanently. The folder is gone.
    fn remove(self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(lock = %self.path.display(), %error, "a lock file could not be removed");
        }
        // A process that is just being started has the file open too, for a moment.
        flock(&self.file, FlockOperation::Unlock).ok();
    }
}

/// Removes what engines have left that live no more.
fn sweep(shared: &Path) {
    let Ok(entries) = fs::read_dir(shared) else { return };
    for entry in entries.filter_map(Result::ok) {
        let path = entry.path();
        let folder = match path.to_str().and_then(|path| path.strip_suffix(LOCK)) {
            Some(folder) => PathBuf::from(folder),
            None => path,
        };
        match Lock::take(&folder) {
            Ok(Some(lock)) => {
                discard(&folder);
                lock.remove();
            }
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(folder = %folder.display(), %error, "cannot check whether the folder is left over")
            }
        }
    }
}

/// Removes a folder, with all that a package has put there.
fn discard(folder: &Path) {
    let removed = fs::remove_dir_all(folder).or_else(|error| match error.kind() {
        io::ErrorKind::NotFound => Ok(()),
        io::ErrorKind::PermissionDenied => {
            open_up(folder);
            fs::remove_dir_all(folder)
        }
        _ => Err(error),
    });
    if let Err(error) = removed {
        tracing::warn!(folder = %folder.display(), %error, "the scratch folder of a package could not be removed");
    }
}

/// Undoes what a package may have done to the modes of its folders. All its processes have ended.
fn open_up(folder: &Path) {
    if !fs::symlink_metadata(folder).is_ok_and(|metadata| metadata.is_dir()) {
        return;
    }
    // What does not work shows when the folder is removed.
    fs::set_permissions(folder, Permissions::from_mode(0o700)).ok();
    let Ok(entries) = fs::read_dir(folder) else { return };
    entries.filter_map(Result::ok).for_each(|entry| open_up(&entry.path()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_goes_with_its_process_whatever_was_made_of_it() {
        let data = tempfile::tempdir().unwrap();
        let shared = data.path().join("scratch");
        let outside = data.path().join("outside");
        fs::write(&outside, "stays").unwrap();
        let scratch = Scratch::new(shared.clone());
        let (one, other) = (scratch.folder().unwrap(), scratch.folder().unwrap());
        let locked = one.path().join("a/locked");
        fs::create_dir_all(&locked).unwrap();
        fs::write(locked.join("file"), "goes").unwrap();
        std::os::unix::fs::symlink(&outside, locked.join("link")).unwrap();
        fs::set_permissions(&locked, Permissions::from_mode(0o000)).unwrap();
        let paths = [one.path().to_owned(), other.path().to_owned()];
        drop(one);
        assert_eq!(paths.each_ref().map(|path| path.exists()), [false, true]);
        drop(other);
        drop(scratch);
        assert_eq!(fs::read_dir(&shared).unwrap().count(), 0);
        assert_eq!(fs::read_to_string(outside).unwrap(), "stays");
    }

    #[test]
    fn what_is_left_over_is_removed_and_what_is_in_use_is_not() {
        let data = tempfile::tempdir().unwrap();
        let shared = data.path().join("scratch");
        let living = Scratch::new(shared.clone());
        let used = living.folder().unwrap();
        fs::write(used.path().join("file"), "").unwrap();
        for left in ["12-0/3", "0123456789ab"] {
            fs::create_dir_all(shared.join(left)).unwrap();
        }
        fs::write(shared.join("12-0.lock"), "").unwrap();
        sweep(&shared);
        let names = || {
            let names = fs::read_dir(&shared).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
            let mut names: Vec<String> = names.collect();
            names.sort();
            names
        };
        let own = format!("{}-0", std::process::id());
        assert_eq!(names(), [own.clone(), format!("{own}.lock")]);
        assert!(used.path().join("file").exists());
        // Another engine of the same process has a folder of its own.
        let other = Scratch::new(shared.clone());
        let its = other.folder().unwrap();
        assert_ne!(its.path().parent(), used.path().parent());
    }
}
