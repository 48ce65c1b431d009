//! The folder that holds the databases: on a real disk, and gone at the end.
//!
//! A file in memory is never synced, so its figures would say nothing. The folder for temporary files is in memory on
//! many systems; the one for those that outlive a restart is not.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::fs::statfs;
use tempfile::TempDir;

use crate::error::Error;

/// Where temporary files are kept that outlive a restart.
const LASTING: &str = "/var/tmp";

/// The kinds of file systems that are in memory, as the kernel numbers them.
const IN_MEMORY: [u64; 2] = [0x0102_1994, 0x8584_58f6];

/// A folder for databases.
#[derive(Debug)]
pub(super) struct Folder {
    folder: TempDir,
    /// The kind of its file system, where that is known.
    pub(super) filesystem: Option<String>,
    /// Whether what is in it is never on a disk.
    pub(super) is_in_memory: bool,
}

impl Folder {
    /// Makes one in that folder, or where temporary files are.
    pub(super) fn make(given: Option<&Path>) -> Result<Self, Error> {
        let parent = match given {
            Some(given) => given.to_owned(),
            None => default_parent(),
        };
        let made = tempfile::Builder::new().prefix("cloacina-bench-").tempdir_in(&parent);
        let folder = made.map_err(|source| Error::Io { action: "make a folder in", path: parent.clone(), source })?;
        let path = fs::canonicalize(folder.path()).unwrap_or_else(|_| folder.path().to_owned());
        let filesystem = fs::read_to_string("/proc/self/mounts").ok().and_then(|mounts| filesystem(&mounts, &path));
        Ok(Self { is_in_memory: is_in_memory(&parent), filesystem, folder })
    }

    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The folder that it was made in.
    pub(super) fn parent(&self) -> &Path {
        self.path().parent().unwrap_or(self.path())
    }
}

fn default_parent() -> PathBuf {
    let temporary = std::env::temp_dir();
    let lasting = Path::new(LASTING);
    if is_in_memory(&temporary) && lasting.is_dir() && !is_in_memory(lasting) { lasting.to_owned() } else { temporary }
}

fn is_in_memory(path: &Path) -> bool {
    // Signed on some machines, unsigned on others.
    statfs(path).is_ok_and(|facts| IN_MEMORY.contains(&(facts.f_type as u64 & 0xffff_ffff)))
}

/// The kind of the file system that a path is on, by the longest mount point that leads to it.
fn filesystem(mounts: &str, path: &Path) -> Option<String> {
    let mounts = mounts.lines().filter_map(|line| {
        let mut words = line.split_whitespace().skip(1);
        Some((words.next()?, words.next()?))
    });
    let leading = mounts.filter(|(point, _)| path.starts_with(point));
    leading.max_by_key(|(point, _)| point.len()).map(|(_, kind)| kind.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_on_the_file_system_that_is_mounted_nearest() {
        let mounts = "/dev/vda / ext4 rw 0 0\ntmpfs /tmp tmpfs rw 0 0\ntmpfs /t tmpfs rw 0 0\n";
        for (path, expected) in [("/tmp/a/b", "tmpfs"), ("/srv/a", "ext4"), ("/tmpfile", "ext4")] {
            assert_eq!(filesystem(mounts, Path::new(path)).as_deref(), Some(expected), "{path}");
        }
    }

    #[test]
    fn shared_memory_is_in_memory() {
        assert!(!Path::new("/dev/shm").is_dir() || is_in_memory(Path::new("/dev/shm")));
    }
}
