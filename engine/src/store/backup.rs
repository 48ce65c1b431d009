//! A copy of a SQLite database as it is at one moment, beside a living engine or without one.
//!
//! The copy is made by `VACUUM INTO`, in one read transaction that keeps nobody from writing, under a temporary name in
//! the folder of the backup. It gets its name once it has been checked and is on the disk, and never replaces a file.

use std::{
    ffi::OsString,
    fs::{self, OpenOptions},
    io,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::Duration,
};

use diesel::{
    Connection as _, QueryDsl, QueryableByName, RunQueryDsl, SqliteConnection,
    connection::SimpleConnection,
    sql_query,
    sql_types::{BigInt, Text},
};
use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::{Connection, Database, Error, View, connection::Place, migrate, reader::Reader, schema::run};

/// How often the progress is told.
const PROGRESS_EVERY: Duration = Duration::from_millis(200);

/// A backup that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Backup {
    /// The file.
    pub file: PathBuf,
    /// Its size.
    pub n_bytes: u64,
    /// How many runs are in it.
    pub n_runs: u64,
}

/// How much of a backup is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BackupProgress {
    /// Bytes that were written.
    pub n_written: u64,
    /// The size of the database; the backup is smaller where the database has room to spare.
    pub n_bytes: u64,
}

/// The unfinished copy; removed unless it got its name.
struct Partial {
    path: PathBuf,
}

impl View {
    /// Writes the database to a new file. `told` hears of the progress and says whether to go on.
    ///
    /// # Errors
    /// [`Error::Backup`] if the file is there, cannot be written or came out damaged, if `told` ended it, or if the
    /// database is not a file; else what the database says.
    pub(crate) fn backup(self, to: &Path, mut told: impl FnMut(BackupProgress) -> bool) -> Result<Backup, Error> {
        let failed = |source: io::Error| Error::Backup { path: to.to_owned(), source };
        let Reader { connection: Some(Connection::Sqlite(mut connection)), place: Place::File(file), .. } = self.reader
        else {
            return Err(failed(io::Error::new(io::ErrorKind::Unsupported, "the database is on a server")));
        };
        let to = absolute(to).map_err(failed)?;
        let mode = file.path().metadata().map_err(failed)?.permissions().mode();
        let partial = Partial::create(&to, mode & 0o777).map_err(failed)?;
        let text = partial.path.to_str().ok_or_else(|| failed(io::ErrorKind::InvalidFilename.into()))?.to_owned();
        let n_bytes = size(&mut connection)?;

        let (done, is_done) = mpsc::channel();
        let copy = move || {
            let copied = connection
                .batch_execute("PRAGMA query_only = OFF")
                .and_then(|()| sql_query("VACUUM INTO ?").bind::<Text, _>(text).execute(&mut connection).map(drop));
            // Before the file, as everywhere.
            drop(connection);
            drop(file);
            // Nobody waits any longer if it was ended.
            done.send(copied).ok();
        };
        const NAME: &str = "cloacina-backup";
        let spawned = thread::Builder::new().name(NAME.to_owned()).spawn(copy);
        spawned.map_err(|source| Error::Thread { name: NAME, source })?;
        let copied = loop {
            match is_done.recv_timeout(PROGRESS_EVERY) {
                Ok(copied) => break copied,
                Err(RecvTimeoutError::Disconnected) => return Err(Error::Closed),
                Err(RecvTimeoutError::Timeout) => {
                    let n_written = partial.path.metadata().map_or(0, |metadata| metadata.len());
                    if !told(BackupProgress { n_written, n_bytes }) {
                        return Err(failed(io::ErrorKind::Interrupted.into()));
                    }
                }
            }
        };
        copied.map_err(|source| Error::from_diesel("copying the database", source))?;
        let n_runs = partial.check().map_err(|reason| failed(io::Error::new(io::ErrorKind::InvalidData, reason)))?;
        let n_bytes = partial.keep(&to).map_err(failed)?;
        Ok(Backup { file: to, n_bytes, n_runs })
    }
}

impl Partial {
    /// Makes the file beside the one that it is to be, which must not be there.
    fn create(to: &Path, mode: u32) -> io::Result<Self> {
        if to.symlink_metadata().is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let mut name = OsString::from(".");
        name.push(to.file_name().ok_or(io::ErrorKind::InvalidFilename)?);
        name.push(format!(".partial-{}", std::process::id()));
        let path = to.with_file_name(name);
        // SQLite fills a file that is empty.
        OpenOptions::new().write(true).create_new(true).mode(mode).open(&path)?;
        Ok(Self { path })
    }

    /// Looks whether the copy is whole, and counts its runs.
    fn check(&self) -> Result<u64, String> {
        #[derive(QueryableByName)]
        struct Finding {
            #[diesel(sql_type = Text)]
            integrity_check: String,
        }
        let path = self.path.to_str().ok_or("its name is not UTF-8")?;
        let mut connection = SqliteConnection::establish(path).map_err(|error| error.to_string())?;
        let failed = |error: diesel::result::Error| error.to_string();
        connection.batch_execute("PRAGMA query_only = ON").map_err(failed)?;
        let findings: Vec<Finding> = sql_query("PRAGMA integrity_check(1)").load(&mut connection).map_err(failed)?;
        if let Some(finding) = findings.into_iter().map(|finding| finding.integrity_check).find(|text| text != "ok") {
            return Err(format!("the copy is damaged: {finding}"));
        }
        let n_runs: i64 = run::table.count().get_result(&mut connection).map_err(failed)?;
        let database = Database::Sqlite(self.path.clone());
        migrate::check(&mut Connection::Sqlite(connection), &database).map_err(|error| error.to_string())?;
        Ok(u64::try_from(n_runs).unwrap_or_default())
    }

    /// Gives the file its name once it is on the disk; returns its size.
    fn keep(&self, to: &Path) -> io::Result<u64> {
        let file = fs::File::open(&self.path)?;
        file.sync_all()?;
        match renameat_with(CWD, &self.path, CWD, to, RenameFlags::NOREPLACE) {
            Ok(()) => {}
            // Some file systems cannot refuse to replace; a link refuses as well.
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {
                fs::hard_link(&self.path, to)?;
                fs::remove_file(&self.path)?;
            }
            Err(errno) => return Err(errno.into()),
        }
        fs::File::open(to.parent().unwrap_or(Path::new("/")))?.sync_all()?;
        Ok(file.metadata()?.len())
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        for path in [self.path.clone(), super::file::beside(&self.path, "-journal")] {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    tracing::warn!(path = %path.display(), %error, "an unfinished backup cannot be removed");
                }
                _ => {}
            }
        }
    }
}

fn absolute(path: &Path) -> io::Result<PathBuf> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidFilename)?;
    if path.as_os_str().as_encoded_bytes().ends_with(b"/") {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Ok(folder.canonicalize()?.join(name))
}

fn size(connection: &mut SqliteConnection) -> Result<u64, Error> {
    #[derive(QueryableByName)]
    struct Size {
        #[diesel(sql_type = BigInt)]
        n_bytes: i64,
    }
    let query = "SELECT page_count * page_size AS n_bytes FROM pragma_page_count(), pragma_page_size()";
    let size: Result<Size, _> = sql_query(query).get_result(connection);
    let size = size.map_err(|source| Error::from_diesel("measuring the database", source))?;
    Ok(u64::try_from(size.n_bytes).unwrap_or_default())
}
