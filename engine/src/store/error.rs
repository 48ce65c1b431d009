//! What can go wrong with the store, sorted by what to do about it.
//!
//! Expected conflicts (a fenced run, a second end of one attempt) are no errors but outcomes of a commit.

use std::{io, path::PathBuf, sync::Arc};

use diesel::result::{ConnectionError, DatabaseErrorKind, Error as DieselError};

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
    #[error("cannot open the database {}", path.display())]
    Open {
        /// The database.
        path: PathBuf,
        /// What SQLite said.
        source: ConnectionError,
    },
    /// The address names a database that this engine cannot use.
    #[error("cannot use {url:?} as a database")]
    Address {
        /// What was given.
        url: String,
    },
    /// A newer version of this program wrote the database.
    #[error("the database {} has schema {found}, this program knows up to {known}", path.display())]
    NewerSchema {
        /// The database.
        path: PathBuf,
        /// Version of the schema in the file.
        found: String,
        /// The newest version that this program knows.
        known: String,
    },
    /// The schema cannot be brought up to date.
    #[error("cannot bring the schema of {} up to date: {reason}", path.display())]
    Migrate {
        /// The database.
        path: PathBuf,
        /// What the migration said.
        reason: String,
    },
    /// Somebody else holds the file for longer than the engine waits.
    #[error("the database stayed busy while {doing}")]
    Busy {
        /// What the store was doing.
        doing: &'static str,
        /// What SQLite said.
        source: DieselError,
    },
    /// There is no room for what must be written, or the disk fails.
    #[error("the disk refused a write while {doing}")]
    Disk {
        /// What the store was doing.
        doing: &'static str,
        /// What SQLite said.
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
        /// What SQLite said.
        source: DieselError,
    },
    /// A change failed, alone or because the database could not be written at all.
    #[error("{doing} failed")]
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
    /// The stable code; each has a page under `docs/errors/`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Locked { .. } => "STO0001",
            Self::LockFile { .. } => "STO0002",
            Self::Open { .. } => "STO0003",
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
        }
    }

    /// What the reader can do about it.
    #[must_use]
    pub fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::Locked { pid: Some(pid), .. } => {
                format!("one engine at a time drives a SQLite file: stop process {pid} or use another database")
            }
            Self::Locked { pid: None, .. } => {
                "one engine at a time drives a SQLite file: stop the other or use another database".to_owned()
            }
            Self::LockFile { .. } => "the folder of the database must be writable".to_owned(),
            Self::Open { .. } => "the folder must exist and be writable, and the file must be a database".to_owned(),
            Self::Address { .. } => "give the path of a file, or `sqlite:` followed by a path".to_owned(),
            Self::NewerSchema { .. } => "use the version of Cloacina that wrote it, or a newer one".to_owned(),
            Self::Busy { .. } => "close other programs that have the database open".to_owned(),
            Self::Disk { .. } => {
                "make room on the disk, then start the engine again; nothing acknowledged is lost".to_owned()
            }
            Self::Corrupt { .. } => "restore the file from a backup; `PRAGMA integrity_check` tells more".to_owned(),
            Self::Change { source, .. } => return source.hints(),
            Self::Migrate { .. } | Self::Query { .. } | Self::Stopped | Self::Thread { .. } | Self::Closed => {
                return Vec::new();
            }
        };
        vec![hint]
    }

    /// Sorts what diesel reports; SQLite's result code only comes as its message.
    pub(crate) fn from_diesel(doing: &'static str, source: DieselError) -> Self {
        let message = match &source {
            DieselError::DatabaseError(DatabaseErrorKind::ClosedConnection, _) => return Self::Closed,
            DieselError::DatabaseError(_, information) => information.message().to_owned(),
            _ => return Self::Query { doing, source },
        };
        if message.contains("is locked") {
            Self::Busy { doing, source }
        } else if message.contains("disk is full") || message.contains("disk I/O error") || message.contains("readonly")
        {
            Self::Disk { doing, source }
        } else if message.contains("malformed") || message.contains("not a database") {
            Self::Corrupt { reason: message }
        } else {
            Self::Query { doing, source }
        }
    }
}

fn owner(pid: Option<u32>) -> String {
    match pid {
        Some(pid) if pid == std::process::id() => format!("another engine in this process ({pid})"),
        Some(pid) => format!("the engine in process {pid}"),
        None => "another engine".to_owned(),
    }
}
