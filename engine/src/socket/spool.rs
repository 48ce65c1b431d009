//! What clients send that is long: in files of the engine's data folder until it is whole, and never in memory before.
//!
//! The files have no names, so nothing of them is left however a connection or the engine ends. Together they have a
//! bound, and few of them are read into memory at once. A client that announces much and sends little costs what was sent.

use std::{
    fmt,
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit},
    task::spawn_blocking,
};

use crate::RegistryError;

/// The most that is added at once.
pub(super) const CHUNK_BYTES: usize = 256 << 10;
/// What is on the disk at once: the longest message, or all archives that may be sent at once.
pub(super) const DISK_BYTES: usize = 1 << 30;
/// Long messages and archives that are in memory at once, from when they are whole until they have been dealt with.
const IN_MEMORY_MAX: usize = 2;

/// The files of all connections.
pub(super) struct Spool {
    folder: PathBuf,
    /// One permit for each chunk.
    disk: Arc<Semaphore>,
    memory: Semaphore,
}

/// What has come of one message or archive.
pub(super) struct Spooled {
    file: File,
    folder: PathBuf,
    n_bytes: u64,
    held: Option<OwnedSemaphorePermit>,
}

/// Why something was not kept.
#[derive(Debug)]
pub(super) enum SpoolError {
    /// Others send too much.
    Full,
    Disk(RegistryError),
}

impl Spool {
    pub(super) fn new(folder: PathBuf) -> Self {
        let (disk, memory) = (Arc::new(Semaphore::new(DISK_BYTES / CHUNK_BYTES)), Semaphore::new(IN_MEMORY_MAX));
        Self { folder, disk, memory }
    }

    /// A file of which nothing has come.
    pub(super) async fn begin(&self) -> Result<Spooled, SpoolError> {
        let folder = self.folder.clone();
        let opened = blocking(move || match unnamed(&folder) {
            Ok(file) => Ok(Spooled { file, folder, n_bytes: 0, held: None }),
            Err(source) => Err(RegistryError::Disk { action: "keep what a client sends in", path: folder, source }),
        });
        opened.await.map_err(SpoolError::Disk)
    }

    /// Adds what comes next, at most a chunk.
    pub(super) async fn add(&self, mut spooled: Spooled, chunk: Vec<u8>) -> Result<Spooled, SpoolError> {
        let more = Arc::clone(&self.disk).try_acquire_owned().map_err(|_| SpoolError::Full)?;
        match &mut spooled.held {
            Some(held) => held.merge(more),
            none => *none = Some(more),
        }
        let written = blocking(move || {
            spooled.n_bytes += chunk.len() as u64;
            match spooled.file.write_all(&chunk) {
                Ok(()) => Ok(spooled),
                Err(source) => Err(spooled.failed("keep what a client sends in", source)),
            }
        });
        written.await.map_err(SpoolError::Disk)
    }

    /// Waits until one more may be in memory. It is dealt with when the permit is dropped.
    pub(super) async fn room(&self) -> Option<SemaphorePermit<'_>> {
        // It is never closed.
        self.memory.acquire().await.ok()
    }
}

impl Spooled {
    pub(super) fn n_bytes(&self) -> u64 {
        self.n_bytes
    }

    /// All that came.
    pub(super) async fn read(mut self) -> Result<Vec<u8>, RegistryError> {
        let read = blocking(move || {
            let mut bytes = Vec::with_capacity(usize::try_from(self.n_bytes).unwrap_or(0));
            match self.file.rewind().and_then(|()| self.file.read_to_end(&mut bytes)) {
                Ok(_) => Ok(bytes),
                Err(source) => Err(self.failed("read what a client has sent in", source)),
            }
        });
        read.await
    }

    fn failed(&self, action: &'static str, source: io::Error) -> RegistryError {
        RegistryError::Disk { action, path: self.folder.clone(), source }
    }
}

/// Does that where it may wait for the disk.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, RegistryError> + Send + 'static,
) -> Result<T, RegistryError> {
    // Without its runtime the connection ends too.
    spawn_blocking(work).await.unwrap_or(Err(RegistryError::Closed))
}

/// A file for this user alone that is gone when it is closed.
fn unnamed(folder: &Path) -> io::Result<File> {
    fs::create_dir_all(folder)?;
    let path = folder.join(format!(".incoming-{}", uuid::Uuid::now_v7().simple()));
    let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
    fs::remove_file(&path)?;
    Ok(file)
}

impl fmt::Debug for Spooled {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Spooled").field("n_bytes", &self.n_bytes).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sent_comes_back_and_nothing_of_it_has_a_name() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let folder = tempfile::tempdir().unwrap();
            let spool = Spool::new(folder.path().join("new"));
            let mut spooled = spool.begin().await.unwrap();
            for chunk in [b"one ".to_vec(), b"two".to_vec()] {
                spooled = spool.add(spooled, chunk).await.unwrap();
            }
            assert_eq!(fs::read_dir(folder.path().join("new")).unwrap().count(), 0);
            assert_eq!((spooled.n_bytes(), spooled.read().await.unwrap()), (7, b"one two".to_vec()));
        });
    }

    #[test]
    fn all_files_together_have_a_bound_and_give_their_part_back() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let folder = tempfile::tempdir().unwrap();
            let spool = Spool::new(folder.path().to_owned());
            let others = spool.disk.clone().acquire_many_owned((DISK_BYTES / CHUNK_BYTES) as u32 - 1).await.unwrap();
            let one = spool.add(spool.begin().await.unwrap(), vec![1]).await.unwrap();
            let refused = spool.add(spool.begin().await.unwrap(), vec![1]).await;
            assert!(matches!(refused, Err(SpoolError::Full)), "{refused:?}");
            drop(one);
            spool.add(spool.begin().await.unwrap(), vec![1]).await.unwrap();
            drop(others);
        });
    }
}
