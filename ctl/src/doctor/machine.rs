//! What the machine has left: room on the disks, and files that a process may open.

use std::path::{Path, PathBuf};

use rustix::process::{Resource, getrlimit};

use super::check::Check;
use crate::database::Database;
use crate::output::size;

/// Less room than this is soon full.
const ROOM_LITTLE: u64 = 1 << 30;

/// With less room an engine refuses changes before long.
const ROOM_LEAST: u64 = 64 << 20;

/// Each connection and each process of a package takes some.
const OPEN_FILES_LITTLE: u64 = 1024;

/// The room where the database and the data of an engine are.
pub(super) fn disk(database: &Database) -> Check {
    let folder = match database.is_on_a_server() {
        true => PathBuf::from("."),
        false => there(Path::new(&database.url)),
    };
    let room = match rustix::fs::statvfs(&folder) {
        Ok(found) => found.f_bavail * found.f_frsize,
        Err(error) => return Check::fail("disk", format!("{}: {error}", folder.display()), "make the folder readable"),
    };
    let found = format!("{} free in {}", size(room), folder.display());
    let remedy = "remove what is not needed, or set how long runs are kept: docs/concepts/retention.md";
    match room {
        ROOM_LITTLE.. => Check::ok("disk", found),
        ROOM_LEAST.. => Check::warn("disk", found, remedy),
        _ => Check::fail("disk", found, remedy),
    }
}

/// The nearest folder of a path that is there.
fn there(path: &Path) -> PathBuf {
    let folders = path.ancestors().skip(1).find(|folder| !folder.as_os_str().is_empty() && folder.is_dir());
    folders.map_or_else(|| PathBuf::from("."), Path::to_owned)
}

/// How many files this process may open.
pub(super) fn open_files() -> Check {
    let Some(most) = getrlimit(Resource::Nofile).current else { return Check::ok("open files", "no limit") };
    let found = format!("at most {most}");
    if most >= OPEN_FILES_LITTLE {
        return Check::ok("open files", found);
    }
    Check::warn("open files", found, "raise the limit: `ulimit -n 65536`, or `LimitNOFILE=65536` of a systemd unit")
}
