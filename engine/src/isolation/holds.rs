//! What a process of a package holds, as the system shows it: memory of all kinds, threads, and files in its folder.
//!
//! Memory is not only what is mapped. A file without a name holds its bytes for as long as anything refers to it: an open
//! descriptor, a mapping of one page of it, or an unread message with the descriptor in it. The first two are
//! counted by what the file holds, each file once; of the third the system shows that there are some, and no more, so a
//! process is named that has any for longer than a moment. A process that cannot be read does not count as empty.

use std::{
    collections::{BTreeMap, HashSet},
    ffi::OsString,
    fs::{self, Metadata, Permissions},
    io,
    os::{linux::fs::MetadataExt, unix::fs::PermissionsExt},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use super::keeper;

/// The depth of folders that are read; no program needs more.
const DEPTH_MAX: usize = 64;
/// Files and folders that are counted; more take too long.
pub(super) const FILES_MAX: u64 = 100_000;
/// Sockets that each measurement checks; a thorough one checks more.
const SOCKETS_MAX: usize = 32;
/// Reading a folder takes no more than one part in so many of the time.
const PAUSE: u32 = 20;
/// The kind of file system that is memory (`TMPFS_MAGIC`).
const IN_MEMORY: i64 = 0x0102_1994;

/// What one process holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Held {
    /// Its own memory.
    pub(super) private_bytes: u64,
    /// What it shares, as far as it is mapped and was used.
    pub(super) shared_bytes: u64,
    pub(super) n_threads: u64,
    /// Files without a name in memory, and what they hold.
    pub(super) in_memory: BTreeMap<(u64, u64), u64>,
    /// Files without a name on disks, and what they hold.
    pub(super) on_disk: BTreeMap<(u64, u64), u64>,
    /// Why that may not be all.
    pub(super) hides: Option<&'static str>,
    /// Whether it has so many sockets that the messages in them were not checked.
    pub(super) has_unseen_messages: bool,
    /// Whether it maps a file in memory that it has closed, of which the system does not show what it holds.
    pub(super) maps_unseen: bool,
}

impl Held {
    /// What a running process holds. A measurement that is not thorough leaves out slow parts.
    pub(super) fn by(pid: u32, is_thorough: bool) -> Option<Self> {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let bytes = |name| kib_of(&status, name).map(|kib| kib << 10);
        // A process that is ending no longer has memory.
        let mut held = Self {
            private_bytes: bytes("RssAnon:").unwrap_or(0) + bytes("VmSwap:").unwrap_or(0),
            shared_bytes: bytes("RssShmem:").unwrap_or(0),
            n_threads: kib_of(&status, "Threads:").unwrap_or(1),
            ..Self::default()
        };
        held.add_descriptors(pid, is_thorough);
        held.add_mappings(pid);
        Some(held)
    }

    fn add_descriptors(&mut self, pid: u32, is_thorough: bool) {
        let folder = match fs::read_dir(format!("/proc/{pid}/fd")) {
            Ok(folder) => folder,
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                self.hides = Some("does not let the engine see its open descriptors");
                return;
            }
            Err(_) => return,
        };
        let mut sockets = Vec::new();
        for entry in folder.filter_map(Result::ok) {
            let path = entry.path();
            let Ok(target) = fs::read_link(&path) else { continue };
            let Some(target) = target.to_str() else { continue };
            if target.starts_with("socket:") {
                sockets.push(entry.file_name());
            } else if is_unnamed(target) {
                self.add(&path, None);
            }
        }
        self.add_messages(pid, &sockets, is_thorough);
    }

    /// A descriptor in a message belongs to no process, and its memory shows nowhere.
    fn add_messages(&mut self, pid: u32, sockets: &[OsString], is_thorough: bool) {
        self.has_unseen_messages = !is_thorough && sockets.len() > SOCKETS_MAX;
        if self.has_unseen_messages {
            return;
        }
        for socket in sockets {
            let info = Path::new(&format!("/proc/{pid}/fdinfo")).join(socket);
            let info = fs::read_to_string(info).unwrap_or_default();
            if kib_of(&info, "scm_fds:").is_some_and(|n_sent| n_sent > 0) {
                self.hides = Some("keeps descriptors in unread messages, so that their memory cannot be measured");
            }
        }
    }

    fn add_mappings(&mut self, pid: u32) {
        let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
        for line in maps.lines() {
            let mut words = line.splitn(6, ' ');
            let (Some(range), Some(_), Some(offset), Some(_), Some(inode), Some(target)) =
                (words.next(), words.next(), words.next(), words.next(), words.next(), words.next())
            else {
                continue;
            };
            if !is_unnamed(target.trim_start()) {
                continue;
            }
            // A library with a replaced file is mapped too.
            let is_memory =
                ["/memfd:", "/dev/zero ", "/SYSV"].iter().any(|begin| target.trim_start().starts_with(begin));
            let bound = || {
                let (from, to) = range.split_once('-')?;
                let hex = |text| u64::from_str_radix(text, 16).ok();
                Some((inode.parse().ok()?, hex(to)?.saturating_sub(hex(from)?).saturating_add(hex(offset)?)))
            };
            let is_unseen =
                self.add(Path::new(&format!("/proc/{pid}/map_files/{range}")), bound().filter(|_| is_memory));
            self.maps_unseen |= is_unseen && target.trim_start().starts_with("/memfd:");
        }
    }

    /// Counts a file. Where its size cannot be seen, which takes root for what is mapped and not open, it is what a mapping
    /// shows that it may be, and this is true.
    fn add(&mut self, path: &Path, bound: Option<(u64, u64)>) -> bool {
        match (fs::metadata(path), bound) {
            (Ok(found), _) if found.st_nlink() == 0 => {
                let is_in_memory = rustix::fs::statfs(path).is_ok_and(|system| system.f_type == IN_MEMORY);
                let files = if is_in_memory { &mut self.in_memory } else { &mut self.on_disk };
                files.insert((found.st_dev(), found.st_ino()), blocks(&found));
            }
            (Err(error), Some((inode, bytes))) if error.kind() == io::ErrorKind::PermissionDenied => {
                let is_open = self.in_memory.keys().any(|(device, known)| *device != 0 && *known == inode);
                if !is_open {
                    let most = self.in_memory.entry((0, inode)).or_default();
                    *most = bytes.max(*most);
                }
                return !is_open;
            }
            (Ok(_) | Err(_), _) => {}
        }
        false
    }
}

/// Whether a link of `/proc` leads to a file that has no name.
fn is_unnamed(target: &str) -> bool {
    target.starts_with("/memfd:") || target.ends_with(" (deleted)")
}

/// What a file holds; a hole holds nothing.
fn blocks(found: &Metadata) -> u64 {
    // The system counts in blocks of 512 bytes, whatever those of the disk are.
    found.st_blocks() * 512
}

pub(super) fn kib_of(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

/// What is in a folder that a package may write, which takes time to find out.
#[derive(Debug, Default)]
pub(super) struct Filled {
    /// When it is read again.
    next: Option<Instant>,
}

/// What was found in a folder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) bytes: u64,
    pub(super) n_files: u64,
    /// Why that may not be all.
    pub(super) hides: Option<&'static str>,
}

impl Filled {
    /// Reads the folder, unless that was done a moment ago and took long.
    pub(super) fn read(&mut self, folder: &Path) -> Option<Found> {
        let began = keeper::now();
        if self.next.is_some_and(|next| began < next) {
            return None;
        }
        let found = measure(folder);
        let took = keeper::now().saturating_duration_since(began);
        self.next = Some(began + took.saturating_mul(PAUSE).max(Duration::from_millis(1)));
        Some(found)
    }
}

/// Counts what is in a folder. Links are not followed; what a package closes to itself is opened.
fn measure(folder: &Path) -> Found {
    let mut found = Found::default();
    let mut folders: Vec<(PathBuf, usize)> = vec![(folder.to_owned(), 0)];
    let mut linked = HashSet::new();
    while let Some((folder, depth)) = folders.pop() {
        let Ok(entries) = entries(&folder) else {
            found.hides = Some("has a folder that the engine cannot read");
            continue;
        };
        for entry in entries.into_iter().flatten().filter_map(Result::ok) {
            let Ok(metadata) = entry.metadata() else { continue };
            found.n_files += 1;
            let is_new = metadata.st_nlink() < 2 || metadata.is_dir() || linked.insert(metadata.st_ino());
            found.bytes += if is_new { blocks(&metadata) } else { 0 };
            if found.n_files > FILES_MAX {
                return found;
            }
            match metadata.is_dir() {
                true if depth < DEPTH_MAX => folders.push((entry.path(), depth + 1)),
                true => found.hides = Some("nests folders too deeply"),
                false => {}
            }
        }
    }
    found
}

/// What is in a folder; nothing if it is gone.
fn entries(folder: &Path) -> io::Result<Option<fs::ReadDir>> {
    let opened = fs::read_dir(folder).or_else(|error| match error.kind() {
        io::ErrorKind::PermissionDenied if fs::symlink_metadata(folder).is_ok_and(|found| found.is_dir()) => {
            fs::set_permissions(folder, Permissions::from_mode(0o700))?;
            fs::read_dir(folder)
        }
        _ => Err(error),
    });
    match opened {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        opened => opened.map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_a_folder_is_counted_once_and_not_hidden() {
        let outside = tempfile::tempdir().unwrap();
        let folder = outside.path().join("scratch");
        fs::create_dir_all(folder.join("a/b")).unwrap();
        fs::write(outside.path().join("large"), vec![1; 1 << 20]).unwrap();
        std::os::unix::fs::symlink(outside.path().join("large"), folder.join("link")).unwrap();
        std::os::unix::fs::symlink(outside.path(), folder.join("a/up")).unwrap();
        let before = measure(&folder);
        fs::write(folder.join("a/b/file"), vec![1; 1 << 20]).unwrap();
        fs::hard_link(folder.join("a/b/file"), folder.join("again")).unwrap();
        fs::set_permissions(folder.join("a/b"), Permissions::from_mode(0o000)).unwrap();
        let found = measure(&folder);
        assert_eq!((found.n_files, found.hides), (before.n_files + 2, None));
        assert!((1 << 20..3 << 19).contains(&(found.bytes - before.bytes)), "{found:?}");
        let deep = (0..DEPTH_MAX + 2).fold(folder, |folder, _| folder.join("d"));
        fs::create_dir_all(&deep).unwrap();
        assert!(measure(&outside.path().join("scratch")).hides.is_some());
        assert_eq!(measure(&outside.path().join("nothing")), Found::default());
    }

    #[test]
    fn memory_counts_that_nothing_maps_any_more() {
        let before = Held::by(std::process::id(), true).unwrap();
        let file = rustix::fs::memfd_create("held", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
        rustix::io::write(&file, &vec![1; 4 << 20]).unwrap();
        let held = Held::by(std::process::id(), true).unwrap();
        let bytes = |held: &Held| held.in_memory.values().sum::<u64>();
        assert!(bytes(&held) >= bytes(&before) + (4 << 20), "{held:?}");
        assert!(held.n_threads >= 2 && held.private_bytes > 0, "{held:?}");
    }
}
