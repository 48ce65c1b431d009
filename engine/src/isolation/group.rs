//! Control groups (cgroup v2) of package processes: limits that the kernel enforces, where this engine may set them.
//!
//! ```text
//! <own group>/                        the engine's, writable: delegated by a service manager, or root's
//!   cloacina-engine/                  the engine itself, where the kernel allows no processes beside groups with limits
//!   cloacina-<pid>-<n>/               locked with `flock` for as long as its engine lives
//!     1/, 2/, …                       one for each process of a package, with all that the process starts
//! ```
//! A process is put into its group before it is told which package it runs. The limits lie a little above those that the
//! [bounds](super::bounds) watch, so that whatever is beyond a limit is ended with a reason where the engine is in time,
//! and stopped by the kernel where it is not. Where a part cannot be had, the others hold and the reason is told. What an
//! engine left that was killed is recognized by a lock that is free, and ended and removed by the next engine that creates a group.

use std::{
    collections::BTreeSet,
    fmt,
    fs::{self, File},
    io::{self, ErrorKind},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{FlockOperation, flock},
};

use super::keeper;

/// What the names of our groups begin with.
const PREFIX: &str = "cloacina-";
/// The group into which an engine moves itself.
const ENGINE: &str = "cloacina-engine";
/// Names that are tried until one is free.
const NAMES_MAX: u32 = 10_000;
/// What a group holds beyond the memory that a package is told it may have: code, stacks, tables of the kernel. Below that
/// the allocation that goes too far fails, and the engine names the reason.
const HEADROOM_MIB: u64 = 64;
/// One thread more than allowed can be seen, and is the reason for an end.
const HEADROOM_THREADS: u64 = 1;
/// A process that was killed ends when the system gets to it.
const KILL_WAIT: Duration = Duration::from_secs(10);

/// The control groups of one engine.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    /// Nothing before the first process; then the folder, or why there is none.
    own: Mutex<Option<Result<Own, String>>>,
    next: AtomicU64,
}

/// The group of one process; removed when this is dropped.
#[derive(Debug)]
pub(super) struct Group {
    folder: PathBuf,
    level: Enforced,
    /// Goes after it.
    _engine: Arc<Groups>,
}

/// What the kernel enforces for one process, with all that it starts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Enforced {
    pub(super) memory_mib: Option<u64>,
    pub(super) threads: Option<u64>,
    /// Whether all that is in the group can be ended at once.
    pub(super) ends: bool,
    /// Why something of it is not enforced.
    pub(super) lacks: Option<String>,
}

/// The folder of an engine, with the right to it.
#[derive(Debug)]
struct Own {
    folder: PathBuf,
    /// Those that limit its groups.
    controllers: BTreeSet<Controller>,
    lacks: Option<String>,
    _lock: File,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Controller {
    Memory,
    Pids,
}

impl Groups {
    /// A group for one process, with these limits; or why there is none.
    pub(super) fn group(self: &Arc<Self>, memory_mib: Option<u64>, threads: Option<u64>) -> Result<Group, String> {
        let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        let own = own.get_or_insert_with(Own::open).as_ref().map_err(Clone::clone)?;
        let folder = own.folder.join((self.next.fetch_add(1, Ordering::Relaxed) + 1).to_string());
        fs::create_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let mut group = Group { folder, level: Enforced::default(), _engine: Arc::clone(self) };
        group.limit(own, memory_mib, threads);
        Ok(group)
    }
}

impl Group {
    /// Puts a process into the group, with whatever it starts from then on.
    pub(super) fn add(&self, pid: u32) -> io::Result<()> {
        fs::write(self.folder.join("cgroup.procs"), pid.to_string())
    }

    pub(super) fn level(&self) -> &Enforced {
        &self.level
    }

    /// Ends all processes of the group, and says how many there were.
    pub(super) fn end(&self) -> usize {
        end(&self.folder)
    }

    /// Whether the kernel ended processes of the group because it held as much as it may.
    pub(super) fn ran_out_of_memory(&self) -> bool {
        let events = fs::read_to_string(self.folder.join("memory.events")).unwrap_or_default();
        let count = events.lines().find_map(|line| line.strip_prefix("oom_kill ")).unwrap_or("0");
        count != "0"
    }

    fn limit(&mut self, own: &Own, memory_mib: Option<u64>, threads: Option<u64>) {
        let mut lacks: Vec<String> = own.lacks.iter().cloned().collect();
        let mut attempt = |limit: Option<u64>, set: &dyn Fn(u64) -> io::Result<()>| {
            let limit = limit?;
            set(limit).map_err(|error| lacks.push(error.to_string())).ok().map(|()| limit)
        };
        let memory_mib = memory_mib.filter(|_| own.controllers.contains(&Controller::Memory));
        let memory_mib = attempt(memory_mib.map(|mib| mib.saturating_add(HEADROOM_MIB)), &|mib| {
            self.write("memory.max", &mib.saturating_mul(1 << 20).to_string())?;
            self.write("memory.oom.group", "1")?;
            match self.write("memory.swap.max", "0") {
                // A kernel without swap has no limit for it.
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
                written => written,
            }
        });
        let threads = threads.filter(|_| own.controllers.contains(&Controller::Pids));
        let threads = attempt(threads.map(|max| max.saturating_add(HEADROOM_THREADS)), &|max| {
            self.write("pids.max", &max.to_string())
        });
        let ends = self.folder.join("cgroup.kill").exists();
        let lacks = (!lacks.is_empty()).then(|| lacks.join("; "));
        self.level = Enforced { memory_mib, threads, ends, lacks };
    }

    fn write(&self, file: &str, value: &str) -> io::Result<()> {
        write(&self.folder.join(file), value)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.end();
        if let Err(error) = fs::remove_dir(&self.folder) {
            tracing::debug!(group = %self.folder.display(), %error, "a control group could not be removed");
        }
    }
}

impl Enforced {
    /// No group, for that reason.
    pub(super) fn none(reason: String) -> Self {
        Self { lacks: Some(reason), ..Self::default() }
    }
}

/// What is enforced, in words; nothing if nothing is.
impl fmt::Display for Enforced {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            self.memory_mib.map(|mib| format!("{mib} MiB of memory")),
            self.threads.map(|max| format!("{max} threads")),
            self.ends.then(|| "ends all processes of the group".to_owned()),
        ];
        formatter.write_str(&parts.into_iter().flatten().collect::<Vec<_>>().join(", "))
    }
}

impl Own {
    /// Makes the folder below this process's own group, or below the parent of the one that it moved to before.
    fn open() -> Result<Self, String> {
        let mut base = own_group().ok_or("the system shows no control group of version 2")?;
        if base.ends_with(ENGINE) {
            base.pop();
        }
        sweep(&base);
        let (folder, lock) = take(&base).map_err(|error| format!("{}: {error}", base.display()))?;
        let (wanted, mut lacks) = available(&base);
        let mut controllers = BTreeSet::new();
        let made_room = if wanted.is_empty() { Ok(()) } else { make_room(&base, &wanted) };
        for controller in wanted {
            let enable = || {
                enable(&base, controller)?;
                enable(&folder, controller)
            };
            match made_room.clone().and_then(|()| enable().map_err(|error: io::Error| error.to_string())) {
                Ok(()) => drop(controllers.insert(controller)),
                Err(reason) => lacks.push(format!("{controller}: {reason}")),
            }
        }
        Ok(Self { folder, controllers, lacks: (!lacks.is_empty()).then(|| lacks.join("; ")), _lock: lock })
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        // An engine that cannot remove it leaves it to the next one.
        fs::remove_dir(&self.folder).ok();
    }
}

impl fmt::Display for Controller {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Memory => "memory",
            Self::Pids => "pids",
        })
    }
}

/// The controllers that groups below this one may have, and what is to be said of those that they may not.
fn available(base: &Path) -> (Vec<Controller>, Vec<String>) {
    let known = fs::read_to_string(base.join("cgroup.controllers")).unwrap_or_default();
    let is_known = |controller: &Controller| known.split_whitespace().any(|name| name == controller.to_string());
    let (available, lacking): (Vec<_>, Vec<_>) = [Controller::Memory, Controller::Pids].into_iter().partition(is_known);
    (
        available,
        lacking.iter().map(|controller| format!("{controller}: no such controller in {}", base.display())).collect(),
    )
}

/// Moves this process into a group of its own, where the kernel allows no processes beside groups with limits.
fn make_room(base: &Path, wanted: &[Controller]) -> Result<(), String> {
    let enabled = fs::read_to_string(base.join("cgroup.subtree_control")).unwrap_or_default();
    let is_enabled = |controller: &Controller| enabled.split_whitespace().any(|name| name == controller.to_string());
    // The root of all groups has no type, and may hold processes.
    if wanted.iter().all(is_enabled) || !base.join("cgroup.type").exists() {
        return Ok(());
    }
    let own = process::id().to_string();
    let members = fs::read_to_string(base.join("cgroup.procs")).unwrap_or_default();
    if members.lines().any(|member| member != own) {
        return Err(format!("other processes are in the engine's group, {}", base.display()));
    }
    let moved =
        fs::create_dir_all(base.join(ENGINE)).and_then(|()| write(&base.join(ENGINE).join("cgroup.procs"), &own));
    moved.map_err(|error| format!("the engine cannot leave {}: {error}", base.display()))
}

fn enable(folder: &Path, controller: Controller) -> io::Result<()> {
    write(&folder.join("cgroup.subtree_control"), &format!("+{controller}"))
}

fn write(file: &Path, value: &str) -> io::Result<()> {
    fs::write(file, value).map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", file.display())))
}

/// Makes a folder with the first free name, and locks it.
fn take(base: &Path) -> io::Result<(PathBuf, File)> {
    for n in 0..NAMES_MAX {
        let folder = base.join(format!("{PREFIX}{}-{n}", process::id()));
        match fs::create_dir(&folder) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::AlreadyExists => continue,
            Err(error) => return Err(error),
        }
        // Another engine may have taken it for one that was left, and removed it.
        if let Some(lock) = lock(&folder)? {
            return Ok((folder, lock));
        }
    }
    Err(ErrorKind::AlreadyExists.into())
}

/// The lock of a folder, if it is free and the folder still exists.
fn lock(folder: &Path) -> io::Result<Option<File>> {
    let file = match File::open(folder) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
        Err(errno) => return Err(errno.into()),
    }
    let is_same = fs::metadata(folder).is_ok_and(|there| file.metadata().is_ok_and(|own| there.ino() == own.ino()));
    Ok(is_same.then_some(file))
}

/// Ends and removes what engines have left that live no longer.
fn sweep(base: &Path) {
    let folders = fs::read_dir(base).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
    let is_ours = |folder: &PathBuf| {
        let name = folder.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| name.starts_with(PREFIX)) && !folder.ends_with(ENGINE) && folder.is_dir()
    };
    for folder in folders.filter(is_ours) {
        if let Ok(Some(_lock)) = lock(&folder) {
            remove(&folder);
        }
    }
}

/// Removes a folder with its groups, after all processes in them were ended.
fn remove(folder: &Path) {
    let groups = fs::read_dir(folder).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
    for group in groups.filter(|group| group.is_dir()) {
        let n_ended = end(&group);
        if n_ended > 0 {
            tracing::warn!(group = %group.display(), n_ended, "an engine that was killed had left processes behind");
        }
        fs::remove_dir(&group).ok();
    }
    if let Err(error) = fs::remove_dir(folder) {
        tracing::debug!(group = %folder.display(), %error, "the control group of an engine that was killed could not be removed");
    }
}

/// Ends all processes of a group, and says how many there were. Waits for their end.
fn end(group: &Path) -> usize {
    let members = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
    let n_members = members.lines().count();
    if n_members > 0 && fs::write(group.join("cgroup.kill"), "1").is_ok() {
        wait_until_empty(group);
    }
    n_members
}

fn wait_until_empty(group: &Path) {
    let due = keeper::now() + KILL_WAIT;
    let Ok(mut events) = File::open(group.join("cgroup.events")) else { return };
    loop {
        let mut text = String::new();
        let read = io::Seek::rewind(&mut events).and_then(|()| io::Read::read_to_string(&mut events, &mut text));
        let wait = due.saturating_duration_since(keeper::now());
        if read.is_err() || !text.lines().any(|line| line == "populated 1") || wait.is_zero() {
            return;
        }
        let wait = Timespec { tv_sec: i64::try_from(wait.as_secs()).unwrap_or(i64::MAX), tv_nsec: 1 };
        // The kernel tells of a change as of something urgent.
        let mut polled = [PollFd::new(&events, PollFlags::PRI)];
        while poll(&mut polled, Some(&wait)) == Err(rustix::io::Errno::INTR) {}
    }
}

/// The folder of the control group of version 2 in which this process is.
pub(super) fn own_group() -> Option<PathBuf> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let own = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
    folder_of(Path::new(own), &fs::read_to_string("/proc/self/mountinfo").ok()?)
}

/// Where a group is found, by the mounts of this process.
fn folder_of(group: &Path, mounts: &str) -> Option<PathBuf> {
    mounts.lines().find_map(|line| {
        let (mount, file_system) = line.split_once(" - ")?;
        if !file_system.starts_with("cgroup2 ") {
            return None;
        }
        let words: Vec<&str> = mount.split(' ').collect();
        let (root, at) = (words.get(3)?, words.get(4)?);
        Some(Path::new(at).join(group.strip_prefix(root).ok()?))
    })
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command, Stdio};

    use super::*;

    /// A process that waits until its standard input ends, and another that it has started.
    fn waiting() -> Child {
        Command::new("sh").args(["-c", "read go; cat & cat"]).stdin(Stdio::piped()).spawn().unwrap()
    }

    /// A folder for groups, where this machine lets this user have one.
    fn groups() -> Option<Arc<Groups>> {
        let groups = Arc::new(Groups::default());
        match groups.group(None, None) {
            Ok(_) => Some(groups),
            Err(reason) => {
                assert!(!reason.is_empty());
                None
            }
        }
    }

    #[test]
    fn a_group_is_found_by_the_mounts() {
        let mounts = "\
            24 1 0:22 / /proc rw - proc proc rw\n\
            31 24 0:27 / /sys/fs/cgroup/memory rw shared:9 - cgroup cgroup rw,memory\n\
            32 24 0:28 /outer /sys/fs/cgroup/unified rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n";
        let found = folder_of(Path::new("/outer/engine.service"), mounts);
        assert_eq!(found, Some(PathBuf::from("/sys/fs/cgroup/unified/engine.service")));
        assert_eq!(folder_of(Path::new("/elsewhere"), mounts), None);
        assert_eq!(folder_of(Path::new("/"), "24 1 0:22 / /proc rw - proc proc rw\n"), None);
    }

    /// What a group is told, by files in a folder that is none: most machines that run the tests lend no controllers.
    #[test]
    fn each_controller_that_can_be_had_limits_a_group() {
        let base = tempfile::tempdir().unwrap();
        for (controllers, memory, threads, lacks) in [
            (vec![Controller::Memory, Controller::Pids], Some(320), Some(101), None),
            (vec![Controller::Pids], None, Some(101), Some("memory: none")),
            (vec![], None, None, Some("neither")),
        ] {
            let folder = base.path().join(controllers.len().to_string());
            fs::create_dir(&folder).unwrap();
            let lock = File::open(&folder).unwrap();
            let lacks = lacks.map(str::to_owned);
            let controllers = controllers.into_iter().collect();
            let own = Own { folder: folder.clone(), controllers, lacks: lacks.clone(), _lock: lock };
            let mut group = Group { folder: folder.clone(), level: Enforced::default(), _engine: Arc::default() };
            group.limit(&own, Some(256), Some(100));
            assert_eq!(*group.level(), Enforced { memory_mib: memory, threads, ends: false, lacks });
            let written = |file: &str| fs::read_to_string(folder.join(file)).ok();
            let all = |value: &str| memory.map(|_| value.to_owned());
            assert_eq!(written("memory.max"), all("335544320"));
            assert_eq!((written("memory.swap.max"), written("memory.oom.group")), (all("0"), all("1")));
            assert_eq!(written("pids.max"), threads.map(|max| max.to_string()));
            assert!(!group.ran_out_of_memory());
            fs::write(folder.join("memory.events"), "low 0\noom 2\noom_kill 3\n").unwrap();
            assert!(group.ran_out_of_memory());
        }
    }

    #[test]
    fn an_engine_makes_room_for_groups_with_limits_only_if_it_is_alone() {
        let base = tempfile::tempdir().unwrap();
        let (own, place) = (process::id().to_string(), base.path().join(ENGINE).join("cgroup.procs"));
        let tell = |file: &str, text: &str| fs::write(base.path().join(file), text).unwrap();
        tell("cgroup.controllers", "cpu pids\n");
        assert_eq!(available(base.path()).0, [Controller::Pids]);
        assert!(available(base.path()).1[0].starts_with("memory: no such controller"));
        // The root of all groups may hold processes.
        make_room(base.path(), &[Controller::Pids]).unwrap();
        tell("cgroup.type", "domain\n");
        tell("cgroup.procs", &format!("{own}\n1\n"));
        assert!(make_room(base.path(), &[Controller::Pids]).unwrap_err().starts_with("other processes are in"));
        tell("cgroup.subtree_control", "pids\n");
        make_room(base.path(), &[Controller::Pids]).unwrap();
        assert!(!place.exists());
        tell("cgroup.subtree_control", "\n");
        tell("cgroup.procs", &format!("{own}\n"));
        make_room(base.path(), &[Controller::Pids]).unwrap();
        assert_eq!(fs::read_to_string(place).unwrap(), own);
    }

    #[test]
    fn all_that_a_process_has_started_ends_with_its_group() {
        let Some(groups) = groups() else { return };
        let group = groups.group(Some(64), Some(16)).unwrap();
        let folder = group.folder.clone();
        let mut process = waiting();
        group.add(process.id()).unwrap();
        assert_eq!(
            group.level().threads.is_none() || group.level().memory_mib.is_none(),
            group.level().lacks.is_some()
        );
        assert!(group.level().threads.is_none_or(|max| max == 16 + HEADROOM_THREADS));
        assert!(group.end() >= 1 || !group.level().ends);
        process.kill().unwrap();
        process.wait().unwrap();
        drop(group);
        assert!(!folder.exists(), "{}", folder.display());
        drop(groups);
        assert!(!folder.parent().unwrap().exists());
    }

    #[test]
    fn what_an_engine_left_that_was_killed_is_ended_and_removed() {
        let Some(groups) = groups() else { return };
        let living = groups.group(None, None).unwrap();
        let base = living.folder.parent().unwrap().parent().unwrap();
        let (left, lock) = take(base).unwrap();
        fs::create_dir(left.join("1")).unwrap();
        let mut process = waiting();
        // It does not end by the end of its input, which `wait` would bring.
        let _input = process.stdin.take();
        fs::write(left.join("1/cgroup.procs"), process.id().to_string()).unwrap();
        // A process that another test is starting may have a copy of the lock: what is closed is not yet free.
        flock(&lock, FlockOperation::Unlock).unwrap();
        sweep(base);
        // An engine of another test may have found the folder first, and removes it with the lock held.
        File::open(&left).map(|folder| flock(&folder, FlockOperation::LockExclusive)).ok();
        let is_ended = living.level().ends;
        if !is_ended {
            process.kill().unwrap();
        }
        assert!(!process.wait().unwrap().success());
        assert_eq!(left.exists(), !is_ended);
        assert!(living.folder.exists());
    }
}
