//! A PostgreSQL server of our own, made of the programs found on this machine and gone at the end.
//!
//! It listens on a socket in a folder that only its user may enter, so it needs no port and no password. It keeps its
//! promises about the disk: everything that is not set here is as PostgreSQL is delivered. The server refuses to run
//! as root, so root starts it as `nobody`. It is in a session of its own, so Ctrl-C reaches the benchmark alone.

use std::fs;
use std::io;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::config::Config;

/// Where distributions put the programs of each major version.
const PLACES: [&str; 4] = ["/usr/lib/postgresql", "/usr/local/lib/postgresql", "/usr", "/opt/homebrew/opt"];

/// Paths of sockets may not be longer than 107 bytes; the server adds a name to that of the folder.
const SOCKET_PATH_MAX: usize = 85;

/// The user that root starts the server as.
const USER: &str = "nobody";

/// Lines of a log that are worth repeating.
const LOG_LINES: usize = 3;

/// A running server; stopped and removed when dropped.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) url: String,
    /// The process whose children serve connections.
    pub(super) process: Option<u32>,
    programs: PathBuf,
    user: Option<(u32, u32)>,
    folder: TempDir,
    /// Where the socket is if its path would be too long in the folder.
    _sockets: Option<TempDir>,
}

impl Server {
    /// The folder with the programs, of the newest version if there are several.
    pub(super) fn find_programs(config: &Config) -> Option<PathBuf> {
        let children =
            |place: &str| fs::read_dir(place).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
        let installed = PLACES.iter().flat_map(|place| children(place)).map(|folder| folder.join("bin"));
        let mut found: Vec<PathBuf> = installed.filter(|folder| has_programs(folder)).collect();
        found.sort_by_key(|folder| version_in(folder));
        found.pop().or_else(|| config.path.iter().find(|folder| has_programs(folder)).cloned())
    }

    /// Makes a server in a new folder in that one and starts it; `Err` says why it does not run.
    pub(super) fn start(programs: &Path, parent: &Path) -> Result<Self, String> {
        let user = unprivileged()?;
        let folder = private_folder(parent, user)?;
        let short = folder.path().as_os_str().len() <= SOCKET_PATH_MAX;
        let sockets = (!short).then(|| private_folder(Path::new("/tmp"), user)).transpose()?;
        let socket = sockets.as_ref().unwrap_or(&folder).path().to_owned();
        let url = format!("postgres://cloacina@localhost/postgres?host={}", escaped(&socket));
        let mut server = Self { url, process: None, programs: programs.to_owned(), user, folder, _sockets: sockets };
        server.run("initdb", |initdb, data| {
            initdb.args(["--username=cloacina", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"]);
            initdb.arg("--pgdata").arg(data);
        })?;
        server.run("pg_ctl", |pg_ctl, data| {
            let options = format!("-c listen_addresses='' -c unix_socket_directories='{}'", socket.display());
            pg_ctl.args(["start", "--silent", "--wait", "--timeout=60", "--options", &options]);
            pg_ctl.arg("--log").arg(data.join("server.log")).arg("--pgdata").arg(data);
        })?;
        let id = fs::read_to_string(server.data().join("postmaster.pid")).unwrap_or_default();
        server.process = id.lines().next().and_then(|line| line.trim().parse().ok());
        Ok(server)
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Runs one of the programs to its end.
    fn run(&self, program: &str, arguments: impl FnOnce(&mut Command, &Path)) -> Result<(), String> {
        let data = self.data();
        let mut command = Command::new(self.programs.join(program));
        arguments(&mut command, &data);
        // What the server inherits would keep a pipe open for as long as it runs.
        let log = self.folder.path().join(format!("{program}.log"));
        let said = fs::File::create(&log).and_then(|out| Ok((out.try_clone()?, out)));
        let (out, err) = said.map_err(|error| format!("{}: {error}", log.display()))?;
        command.current_dir("/").stdin(Stdio::null()).stdout(out).stderr(err);
        if let Some((user, group)) = self.user {
            command.uid(user).gid(group);
        }
        let status = command.status().map_err(|error| format!("{program} does not start: {error}"))?;
        if status.success() {
            return Ok(());
        }
        let logs = [log, data.join("server.log")].map(|log| fs::read_to_string(log).unwrap_or_default());
        let text = logs.concat();
        let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let last = lines[lines.len().saturating_sub(LOG_LINES)..].join("; ");
        Err(format!("{program} failed ({status}): {last}"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.data().join("postmaster.pid").exists() {
            // What it holds is removed next, so it need not end in order. If it does not end, nothing more can be done.
            self.run("pg_ctl", |pg_ctl, data| {
                pg_ctl.args(["stop", "--silent", "--wait", "--mode=immediate", "--pgdata"]).arg(data);
            })
            .ok();
        }
    }
}

fn has_programs(folder: &Path) -> bool {
    ["initdb", "pg_ctl", "postgres"].iter().all(|program| folder.join(program).is_file())
}

/// The first number in the name of the folder above, such as 17 in `pgsql-17/bin`.
fn version_in(folder: &Path) -> u32 {
    let name = folder.parent().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
    let digits = |text: String| {
        text.chars().skip_while(|one| !one.is_ascii_digit()).take_while(char::is_ascii_digit).collect::<String>()
    };
    name.map(digits).and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

/// The user and group for the server; absent if it can run as we do.
fn unprivileged() -> Result<Option<(u32, u32)>, String> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    let users = fs::read_to_string("/etc/passwd").map_err(|error| format!("/etc/passwd: {error}"))?;
    let found = users.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        (fields.first() == Some(&USER)).then_some(())?;
        Some((fields.get(2)?.parse().ok()?, fields.get(3)?.parse().ok()?))
    });
    found.map(Some).ok_or_else(|| format!("it cannot run as root, and there is no user {USER}"))
}

fn private_folder(parent: &Path, user: Option<(u32, u32)>) -> Result<TempDir, String> {
    let made = tempfile::Builder::new().prefix("cloacina-bench-postgres-").tempdir_in(parent);
    let owned = made.and_then(|folder| {
        if let Some((user, group)) = user {
            chown(folder.path(), Some(user), Some(group))?;
        }
        Ok(folder)
    });
    owned.map_err(|error: io::Error| format!("no folder in {}: {error}", parent.display()))
}

/// A path as it stands in the query of an address.
fn escaped(path: &Path) -> String {
    let bytes = path.as_os_str().as_encoded_bytes().iter();
    let escape = |byte: &u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'_' | b'-' => char::from(*byte).to_string(),
        other => format!("%{other:02X}"),
    };
    bytes.map(escape).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_escaped_and_versions_compared_as_numbers() {
        assert_eq!(escaped(Path::new("/tmp/a b&c=%")), "/tmp/a%20b%26c%3D%25");
        let versions = ["/usr/lib/postgresql/9/bin", "/usr/lib/postgresql/17/bin", "/usr/pgsql-16/bin", "/usr/x/bin"];
        assert_eq!(versions.map(|folder| version_in(Path::new(folder))), [9, 17, 16, 0]);
    }
}
