//! A PostgreSQL server of its own, for tests that crash it.
//!
//! Its files are in a folder of the system's folder for temporary files, and it listens on a socket there alone. It is
//! ended and its files are removed when it is dropped.

use std::{
    fmt, fs, io,
    os::unix::{fs::chown, process::CommandExt},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use crate::store::PgConnection;
use diesel::{Connection as _, RunQueryDsl, connection::SimpleConnection, dsl::sql, sql_types::Integer};
use rustix::process::{Pid, Signal, geteuid, kill_process};

/// What went wrong, in words.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The server refuses to run as root; then this user runs it, which has no files.
const NOBODY: u32 = 65_534;

/// Where packages put the programs of a server, by version: the folder, and how the names in it begin.
const PLACES: [(&str, &str); 2] = [("/usr/lib/postgresql", ""), ("/usr", "pgsql-")];

/// How long a server may take to start, in looks and the time between them.
const LOOKS_MAX: u32 = 1_200;
const LOOK: Duration = Duration::from_millis(50);

/// A server that can be crashed and started again.
#[derive(Debug)]
pub struct PrivateServer {
    programs: PathBuf,
    folder: PathBuf,
    options: Vec<String>,
    postmaster: Option<Child>,
}

/// A transaction that stays open.
pub struct Held {
    pid: i32,
    _connection: PgConnection,
}

impl Held {
    /// The server's process that serves it.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.pid
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Held").field("pid", &self.pid).finish_non_exhaustive()
    }
}

impl PrivateServer {
    /// Makes a server with a server's default settings but for these, and starts it.
    ///
    /// # Errors
    /// If PostgreSQL is not installed, or what it says.
    pub fn start(options: &[&str]) -> Result<Self, Failure> {
        let programs = programs().ok_or("the programs of a PostgreSQL server were not found: install the server")?;
        let folder = std::env::temp_dir().join(format!("cloacina-server-{}", uuid::Uuid::now_v7().simple()));
        fs::create_dir(&folder)?;
        if geteuid().is_root() {
            chown(&folder, Some(NOBODY), Some(NOBODY))?;
        }
        let options = options.iter().map(|option| (*option).to_owned()).collect();
        let mut server = Self { programs, folder, options, postmaster: None };
        let data = server.data();
        let mut initdb = server.command("initdb");
        initdb.args(["--username=cloacina", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"]);
        let made = initdb.arg("--pgdata").arg(data).output()?;
        if !made.status.success() {
            return Err(String::from_utf8_lossy(&made.stderr).into_owned().into());
        }
        server.wait_until_ready()?;
        Ok(server)
    }

    /// The address of a database of it, for its superuser.
    #[must_use]
    pub fn url(&self) -> String {
        format!("postgres://cloacina@localhost/postgres?host={}", self.folder.display())
    }

    /// Runs statements as its superuser.
    ///
    /// # Errors
    /// What the server says.
    pub fn execute(&self, statements: &str) -> Result<(), Failure> {
        Ok(PgConnection::establish(&self.url())?.batch_execute(statements)?)
    }

    /// Runs a statement in a transaction that stays open for as long as what is returned.
    ///
    /// # Errors
    /// What the server says.
    pub fn hold(&self, statement: &str) -> Result<Held, Failure> {
        let mut connection = PgConnection::establish(&self.url())?;
        connection.batch_execute(&format!("BEGIN; {statement}"))?;
        let pid = diesel::select(sql::<Integer>("pg_backend_pid()")).get_result(&mut connection)?;
        Ok(Held { pid, _connection: connection })
    }

    /// Ends the whole server at once, as the end of its machine does. Nothing is left of it but its files.
    ///
    /// # Errors
    /// What the system says.
    pub fn crash(&mut self) -> Result<(), Failure> {
        let Some(mut postmaster) = self.postmaster.take() else { return Ok(()) };
        postmaster.kill()?;
        postmaster.wait()?;
        Ok(())
    }

    /// As [`Self::crash`], by the server itself, which tells its clients.
    ///
    /// # Errors
    /// What the system says.
    pub fn stop_at_once(&mut self) -> Result<(), Failure> {
        let Some(mut postmaster) = self.postmaster.take() else { return Ok(()) };
        kill_process(Pid::from_child(&postmaster), Signal::QUIT)?;
        postmaster.wait()?;
        Ok(())
    }

    /// Kills one of its processes, which makes it end all others and recover. Returns when it has ended the others.
    ///
    /// # Errors
    /// What the system says, also if there is no such process.
    pub fn kill_process(&self, pid: i32) -> Result<(), Failure> {
        let pid = Pid::from_raw(pid).ok_or("0 is not a process")?;
        let mut other = PgConnection::establish(&self.url())?;
        kill_process(pid, Signal::KILL)?;
        for _ in 0..LOOKS_MAX {
            if other.batch_execute("SELECT 1").is_err() {
                return Ok(());
            }
            std::thread::park_timeout(LOOK);
        }
        Err("the server does not notice that one of its processes was killed".into())
    }

    /// Starts it if it has ended, and waits until it takes connections.
    ///
    /// # Errors
    /// If it does not start for long.
    pub fn wait_until_ready(&mut self) -> Result<(), Failure> {
        for _ in 0..LOOKS_MAX {
            // It does not start while a process is left of the server before, which notices soon that it is alone.
            let has_ended = self.postmaster.as_mut().is_none_or(|child| !matches!(child.try_wait(), Ok(None)));
            if has_ended {
                self.postmaster = Some(self.spawn()?);
            }
            if PgConnection::establish(&self.url()).is_ok() {
                return Ok(());
            }
            std::thread::park_timeout(LOOK);
        }
        Err("the server does not start".into())
    }

    fn spawn(&self) -> Result<Child, Failure> {
        let log = fs::OpenOptions::new().append(true).create(true).open(self.folder.join("server.log"))?;
        let mut postgres = self.command("postgres");
        postgres.arg("-D").arg(self.data()).args(["-c", "listen_addresses="]);
        postgres.arg("-c").arg(format!("unix_socket_directories={}", self.folder.display()));
        for option in &self.options {
            postgres.args(["-c", option]);
        }
        Ok(postgres.stderr(log.try_clone()?).stdout(log).spawn()?)
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        command.current_dir("/").stdin(Stdio::null());
        if geteuid().is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        command
    }
}

impl Drop for PrivateServer {
    fn drop(&mut self) {
        if let Err(error) = self.stop_at_once() {
            tracing::warn!(%error, "a server of a test was not ended");
        }
        if let Err(error) = fs::remove_dir_all(&self.folder) {
            tracing::warn!(%error, folder = %self.folder.display(), "the files of a server are left behind");
        }
    }
}

/// The folder of the newest server that is installed.
fn programs() -> Option<PathBuf> {
    let mut found = Vec::new();
    for (place, beginning) in PLACES {
        let versions = fs::read_dir(place).into_iter().flatten().filter_map(io::Result::ok);
        let versions = versions.filter(|entry| entry.file_name().to_string_lossy().starts_with(beginning));
        let programs = versions.map(|entry| entry.path().join("bin"));
        found.extend(programs.filter(|programs| programs.join("initdb").exists()));
    }
    found.sort();
    found.pop()
}
