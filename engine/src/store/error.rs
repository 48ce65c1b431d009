//! What can go wrong with the store, sorted by what to do about it.
//!
//! Expected conflicts (a fenced run, a second end of one attempt) are not errors but outcomes of a commit.

use std::{io, path::PathBuf, sync::Arc};

use cloacina_packager::Class;
use diesel::result::{DatabaseErrorInformation, DatabaseErrorKind, Error as DieselError};

use super::{
    postgres::{OpenTrouble, sqlstate_of},
    reconnect::Patience,
};

/// Why the store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Another engine has the file.
    #[error("the database {} belongs to {}", path.display(), owner(*pid))]
    Locked {
        /// The database.
        path: PathBuf,
        /// The other engine's process, when the lock file tells.
        pid: Option<u32>,
    },
    /// The lock file beside the database cannot be used.
    #[error("cannot use the lock file {}", path.display())]
    LockFile {
        /// The lock file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The database cannot be opened.
    #[error("cannot open the database {database}")]
    Open {
        /// The database, without a password.
        database: String,
        /// What SQLite, or the server or the way to it, said.
        source: NotOpened,
    },
    /// There is no such database yet, or nothing of this program is in it.
    #[error("there is no database {database} yet: {reason}")]
    Absent {
        /// The database, without a password.
        database: String,
        /// What is missing.
        reason: &'static str,
    },
    /// The address names a database that this engine cannot use.
    #[error("cannot use {url:?} as a database")]
    Address {
        /// What was given.
        url: String,
    },
    /// The file has several names, and this is not the one to use.
    #[error("cannot open the database {} under this name: {reason}", path.display())]
    OtherName {
        /// The name that was given.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A backup cannot be written.
    #[error("cannot write the backup {}", path.display())]
    Backup {
        /// The backup.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file of the database was removed or replaced under a living engine.
    #[error("the file {} was removed or replaced while an engine drives the database", path.display())]
    Removed {
        /// The file that is not there any more.
        path: PathBuf,
    },
    /// The file is a database of another program.
    #[error("the database {database} belongs to another program: {reason}")]
    Foreign {
        /// The database.
        database: String,
        /// What shows that.
        reason: String,
    },
    /// A newer version of this program wrote the database.
    #[error("the database {database} has schema {found}, this program knows up to {known}")]
    NewerSchema {
        /// The database, without a password.
        database: String,
        /// Version of the schema in the database.
        found: String,
        /// The newest version that this program knows.
        known: String,
    },
    /// The schema cannot be brought up to date.
    #[error("cannot bring the schema of {database} up to date: {reason}")]
    Migrate {
        /// The database, without a password.
        database: String,
        /// What the migration said.
        reason: String,
    },
    /// Somebody else holds the database for longer than the engine waits.
    #[error("the database stayed busy while {doing}")]
    Busy {
        /// What the store was doing.
        doing: &'static str,
        /// What the database said.
        source: DieselError,
    },
    /// The server cannot be reached, and did not come back for as long as the store tried.
    #[error("the database could not be reached while {doing}")]
    Unavailable {
        /// What the store was doing.
        doing: &'static str,
        /// What the server or the way to it said.
        source: DieselError,
    },
    /// The connection was lost while a commit was on its way, and the server could not be asked what became of it.
    #[error("the connection to the database was lost while {doing}, and it is not known whether the change was made")]
    InDoubt {
        /// What the store was doing.
        doing: &'static str,
        /// Why it could not be asked.
        source: Box<Error>,
    },
    /// The server, the database or the user may only read.
    #[error("the database is read-only: {reason}")]
    ReadOnly {
        /// Why, or what the server said.
        reason: String,
    },
    /// The server has the database set up in a way that the store cannot work with.
    #[error("cannot use the database {database}: {reason}")]
    Unsuitable {
        /// The database, without a password.
        database: String,
        /// What does not suit.
        reason: String,
        /// What to change.
        remedy: &'static str,
    },
    /// There is no room for what must be written, or the disk fails.
    #[error("the disk refused a write while {doing}")]
    Disk {
        /// What the store was doing.
        doing: &'static str,
        /// What the database said.
        source: DieselError,
    },
    /// What stands in the database cannot be.
    #[error("the database is damaged: {reason}")]
    Corrupt {
        /// What was found.
        reason: String,
    },
    /// Anything else that the database said.
    #[error("the database failed while {doing}")]
    Query {
        /// What the store was doing.
        doing: &'static str,
        /// What the database said.
        source: DieselError,
    },
    /// A change failed, alone or because the database could not be written at all.
    #[error("{}", changed(doing, source))]
    Change {
        /// What the store was doing.
        doing: &'static str,
        /// Why; others may have been told the same.
        source: Arc<Error>,
    },
    /// An earlier write of the same run failed, so this one was not tried.
    #[error("an earlier write of the same run failed")]
    Stopped,
    /// A thread of the store could not be started.
    #[error("cannot start the thread {name:?}")]
    Thread {
        /// The thread.
        name: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The store has been closed.
    #[error("the store is closed")]
    Closed,
}

impl Error {
    /// What kind of trouble it is.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Address { .. } | Self::OtherName { .. } | Self::Foreign { .. } => Class::Invalid,
            Self::Absent { .. } => Class::NotFound,
            Self::Backup { source, .. } if source.kind() == io::ErrorKind::AlreadyExists => Class::Conflict,
            Self::NewerSchema { .. } => Class::Conflict,
            Self::Locked { .. } | Self::Busy { .. } => Class::Busy,
            Self::LockFile { .. }
            | Self::Open { .. }
            | Self::Backup { .. }
            | Self::Removed { .. }
            | Self::Unavailable { .. }
            | Self::InDoubt { .. }
            | Self::ReadOnly { .. }
            | Self::Unsuitable { .. }
            | Self::Disk { .. }
            | Self::Stopped
            | Self::Thread { .. }
            | Self::Closed => Class::Unavailable,
            Self::Migrate { .. } | Self::Corrupt { .. } | Self::Query { .. } => Class::Internal,
            Self::Change { source, .. } => source.class(),
        }
    }

    /// The stable code; each has a page under `docs/errors/`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Locked { .. } => "STO0001",
            Self::LockFile { .. } => "STO0002",
            Self::Open { .. } | Self::Absent { .. } => "STO0003",
            Self::Address { .. } => "STO0004",
            Self::NewerSchema { .. } => "STO0005",
            Self::Migrate { .. } => "STO0006",
            Self::Busy { .. } => "STO0007",
            Self::Disk { .. } => "STO0008",
            Self::Corrupt { .. } => "STO0009",
            Self::Query { .. } => "STO0010",
            Self::Change { source, .. } => source.code(),
            Self::Stopped => "STO0011",
            Self::Thread { .. } => "STO0012",
            Self::Closed => "STO0013",
            Self::Unavailable { .. } => "STO0014",
            Self::OtherName { .. } => "STO0015",
            Self::Backup { .. } => "STO0016",
            Self::Removed { .. } => "STO0017",
            Self::Foreign { .. } => "STO0018",
            Self::InDoubt { .. } => "STO0019",
            Self::ReadOnly { .. } => "STO0020",
            Self::Unsuitable { .. } => "STO0021",
        }
    }

    /// What the reader can do about it.
    #[must_use]
    pub fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::Locked { pid: Some(pid), .. } => {
                format!("one engine at a time drives a SQLite file: wait until process {pid} has ended, stop it, or use another database")
            }
            Self::Locked { pid: None, .. } => {
                "one engine at a time drives a SQLite file: wait until the other has ended, stop it, or use another database".to_owned()
            }
            Self::LockFile { .. } => "the folder of the database must be writable".to_owned(),
            Self::Open { source: NotOpened { trouble: OpenTrouble::Full, .. }, .. } => {
                "an engine needs up to three connections: end other programs that use the server, or raise `max_connections` or the limit of the user or database"
                    .to_owned()
            }
            Self::Open { source: NotOpened { trouble: OpenTrouble::Address, .. }, .. } => {
                "correct the address; parameters that only `libpq` knows, such as `sslrootcert` and `passfile`, cannot be used"
                    .to_owned()
            }
            Self::Open { database, .. } if database.starts_with("postgres") => {
                "the server must be running, and the user and the database must exist: `psql <address>` tells more"
                    .to_owned()
            }
            Self::Open { .. } => "the folder must exist and be writable, and the file must be a database".to_owned(),
            Self::Absent { .. } => {
                "the first `run`, `demo`, `runs create` or `package register` on it makes it".to_owned()
            }
            Self::Address { .. } => {
                "give the path of a file, alone or after `sqlite:`, or `postgres://user@host/database`; a URI such as `file:…`, and parameters such as `?mode=ro`, cannot be used for a file".to_owned()
            }
            Self::Backup { source, .. } if source.kind() == io::ErrorKind::AlreadyExists => {
                "a backup never replaces a file: choose another name, or remove the file first".to_owned()
            }
            Self::Backup { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                "the folder of the backup must exist".to_owned()
            }
            Self::Backup { source, .. } if source.kind() == io::ErrorKind::InvalidData => {
                "keep the last good backup: the database itself may be damaged".to_owned()
            }
            Self::Backup { .. } => "the folder of the backup must be writable, and have room for the database".to_owned(),
            Self::Removed { .. } => {
                "move the file back to its path, or stop the engine; before you stop it, `cloacina-ctl explain STO0017` tells how to save the data".to_owned()
            }
            Self::Foreign { .. } => "give the path of a new file: nothing was written to this one".to_owned(),
            Self::OtherName { .. } => {
                "use the name under which the database was created, or remove its other names; mount its folder instead of the file".to_owned()
            }
            Self::NewerSchema { .. } => "use the version of Cloacina that wrote it, or a newer one".to_owned(),
            Self::Busy { .. } => "close other programs that have the database open".to_owned(),
            Self::Unavailable { .. } => {
                "check that the server runs, then start the engine again; nothing acknowledged is lost".to_owned()
            }
            Self::InDoubt { .. } => {
                "check that the server runs, and whether the change was made, before you repeat the change".to_owned()
            }
            Self::ReadOnly { .. } => {
                "use the address of a server and a user that may write: `SHOW transaction_read_only` must say `off`".to_owned()
            }
            Self::Unsuitable { remedy, .. } => (*remedy).to_owned(),
            Self::Disk { .. } => {
                "make room on the disk, or the file and its folder writable: nothing acknowledged is lost".to_owned()
            }
            Self::Corrupt { .. } => "restore the database from a backup".to_owned(),
            Self::Change { source, .. } => return source.hints(),
            Self::Migrate { .. } | Self::Query { .. } | Self::Stopped | Self::Thread { .. } | Self::Closed => {
                return Vec::new();
            }
        };
        vec![hint]
    }

    /// Whether everybody else would have got it in the same way: the database cannot be written by anyone now.
    pub(crate) fn is_nobodys_fault(&self) -> bool {
        matches!(
            self,
            Self::Busy { .. }
                | Self::Unavailable { .. }
                | Self::InDoubt { .. }
                | Self::ReadOnly { .. }
                | Self::Removed { .. }
        )
    }

    /// Whether nothing was done because the engine of the store is about to end.
    pub(crate) fn is_closed(&self) -> bool {
        match self {
            Self::Closed => true,
            Self::Change { source, .. } => source.is_closed(),
            _ => false,
        }
    }

    /// Whether what failed may have been done all the same.
    pub(crate) fn is_in_doubt(&self) -> bool {
        match self {
            Self::InDoubt { .. } => true,
            Self::Change { source, .. } => source.is_in_doubt(),
            _ => false,
        }
    }

    /// How long it is worth trying the same again on a server.
    pub(super) fn patience(&self) -> Patience {
        match self {
            Self::Busy { .. } | Self::Unavailable { .. } => Patience::Full,
            Self::Open { source, .. } => match source.trouble {
                OpenTrouble::Soon | OpenTrouble::Full => Patience::Full,
                OpenTrouble::Refused => Patience::Brief,
                OpenTrouble::Address | OpenTrouble::Other => Patience::None,
            },
            _ => Patience::None,
        }
    }

    /// The same, told by who had a connection before: then there is a server, and it is lost.
    pub(super) fn into_lost(self) -> Self {
        match self {
            Self::Open { source, .. } => {
                let said = Box::new(source.to_string());
                let source = DieselError::DatabaseError(DatabaseErrorKind::ClosedConnection, said);
                Self::Unavailable { doing: "opening it again", source }
            }
            error => error,
        }
    }

    /// Sorts what diesel reports.
    pub(crate) fn from_diesel(doing: &'static str, source: DieselError) -> Self {
        let Some((trouble, message)) = trouble_of(&source) else { return Self::Query { doing, source } };
        match trouble {
            Trouble::Lost => Self::Unavailable { doing, source },
            Trouble::Busy => Self::Busy { doing, source },
            Trouble::ReadOnly => Self::ReadOnly { reason: message },
            Trouble::Disk => Self::Disk { doing, source },
            Trouble::Damaged => Self::Corrupt { reason: message },
            Trouble::Other => Self::Query { doing, source },
        }
    }
}

/// Why a connection could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct NotOpened {
    message: String,
    trouble: OpenTrouble,
}

impl NotOpened {
    pub(super) fn new(message: String, trouble: OpenTrouble) -> Self {
        Self { message, trouble }
    }

    /// For a reason that does not pass by itself.
    pub(super) fn other(message: String) -> Self {
        Self::new(message, OpenTrouble::Other)
    }
}

/// What a failure of a statement comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    /// The server has ended, or has not started yet.
    Lost,
    /// Somebody else is in the way.
    Busy,
    ReadOnly,
    Disk,
    Damaged,
    Other,
}

/// What kind of trouble it is, if it was the database that failed, and its words. A rollback that fails as well says less
/// than what it was for.
fn trouble_of(error: &DieselError) -> Option<(Trouble, String)> {
    match error {
        DieselError::DatabaseError(kind, information) => {
            let trouble = match kind {
                DatabaseErrorKind::ClosedConnection | DatabaseErrorKind::UnableToSendCommand => Trouble::Lost,
                DatabaseErrorKind::SerializationFailure => Trouble::Busy,
                DatabaseErrorKind::ReadOnlyTransaction => Trouble::ReadOnly,
                _ => trouble_by_code(&**information),
            };
            Some((trouble, information.message().to_owned()))
        }
        DieselError::RollbackErrorOnCommit { commit_error, .. } => trouble_of(commit_error),
        // A connection that was lost in a transaction.
        DieselError::BrokenTransactionManager => Some((Trouble::Lost, String::new())),
        _ => None,
    }
}

/// Whether a statement names a table that is not there.
pub(super) fn is_missing_table(error: &DieselError) -> bool {
    let DieselError::DatabaseError(_, information) = error else { return false };
    match sqlstate_of(&**information) {
        Some(sqlstate) => sqlstate == "42P01",
        None => information.message().contains("no such table"),
    }
}

fn trouble_by_code(information: &(dyn DatabaseErrorInformation + Send + Sync)) -> Trouble {
    match sqlstate_of(information) {
        Some(sqlstate) => trouble_of_sqlstate(sqlstate),
        None => trouble_of_file(information.message()),
    }
}

/// By the table of codes in appendix A of the manual of PostgreSQL.
fn trouble_of_sqlstate(sqlstate: &str) -> Trouble {
    match sqlstate {
        // Ended by an administrator, by a crash, while starting, or because it was idle for too long.
        "57P01" | "57P02" | "57P03" | "57P05" | "25P03" => Trouble::Lost,
        // Serialization, a deadlock, a lock that was not given in time, a statement that was canceled.
        "40001" | "40P01" | "55P03" | "57014" => Trouble::Busy,
        "25006" => Trouble::ReadOnly,
        // The disk is full, or fails.
        "53100" | "58030" => Trouble::Disk,
        "XX001" | "XX002" => Trouble::Damaged,
        connection if connection.starts_with("08") => Trouble::Lost,
        _ => Trouble::Other,
    }
}

/// Diesel does not tell the result code of SQLite. Its words are constants of the library that is built into this program,
/// one for each code, so they are as good.
fn trouble_of_file(message: &str) -> Trouble {
    const WORDS: &[(&str, Trouble)] = &[
        ("is locked", Trouble::Busy),
        ("disk is full", Trouble::Disk),
        ("disk I/O error", Trouble::Disk),
        ("readonly", Trouble::Disk),
        ("malformed", Trouble::Damaged),
        ("not a database", Trouble::Damaged),
    ];
    WORDS.iter().find(|(words, _)| message.contains(words)).map_or(Trouble::Other, |(_, trouble)| *trouble)
}

fn changed(doing: &str, source: &Error) -> String {
    if source.is_in_doubt() { format!("it is not known whether {doing} was done") } else { format!("{doing} failed") }
}

fn owner(pid: Option<u32>) -> String {
    match pid {
        Some(pid) if pid == std::process::id() => format!("another engine in this process ({pid})"),
        Some(pid) => format!("the engine in process {pid}"),
        None => "another engine".to_owned(),
    }
}
