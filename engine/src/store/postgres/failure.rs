//! What the server or the way to it said, by its SQLSTATE and never by its words, which may be in any language.
//!
//! Appendix A of the manual of PostgreSQL lists the codes.

use std::{error::Error as StdError, io};

use diesel::result::{DatabaseErrorInformation, DatabaseErrorKind, Error as DieselError};
use tokio_postgres::error::{DbError, SqlState};

/// What a server said, for diesel.
#[derive(Debug)]
struct Said {
    message: String,
    /// Absent if it was not the server that failed but the way to it.
    server: Option<Box<DbError>>,
}

/// What stands in the way of a new connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OpenTrouble {
    /// There is no server, or it is being started again.
    Refused,
    /// The server will take connections soon.
    Soon,
    /// The server has no connection left, for now.
    Full,
    /// The address makes no sense, so nothing was tried.
    Address,
    /// Something else that does not pass by itself.
    Other,
}

impl DatabaseErrorInformation for Said {
    fn message(&self) -> &str {
        &self.message
    }

    fn details(&self) -> Option<&str> {
        self.server.as_ref()?.detail()
    }

    /// Diesel has no place for the SQLSTATE and the store no use for hints, which are for people who write SQL.
    fn hint(&self) -> Option<&str> {
        Some(self.server.as_ref()?.code().code())
    }

    fn table_name(&self) -> Option<&str> {
        self.server.as_ref()?.table()
    }

    fn column_name(&self) -> Option<&str> {
        self.server.as_ref()?.column()
    }

    fn constraint_name(&self) -> Option<&str> {
        self.server.as_ref()?.constraint()
    }

    fn statement_position(&self) -> Option<i32> {
        None
    }
}

/// The SQLSTATE of what a server said; nothing for SQLite, and if the connection failed.
pub(crate) fn sqlstate_of(information: &(dyn DatabaseErrorInformation + Send + Sync)) -> Option<&str> {
    information.hint()
}

/// For diesel, what a statement came to.
pub(super) fn failed(error: &tokio_postgres::Error) -> DieselError {
    let kind = match error.as_db_error() {
        Some(server) => kind_of(server.code()),
        None if is_lost(error) => DatabaseErrorKind::ClosedConnection,
        None => DatabaseErrorKind::Unknown,
    };
    let message = words(error);
    let server = error.as_db_error().map(|server| Box::new(server.clone()));
    DieselError::DatabaseError(kind, Box::new(Said { message, server }))
}

/// Whether nothing can be asked on this connection any more.
pub(super) fn is_lost(error: &tokio_postgres::Error) -> bool {
    let is_fatal = |server: &DbError| {
        matches!(server.parsed_severity(), Some(severity) if severity == tokio_postgres::error::Severity::Fatal
            || severity == tokio_postgres::error::Severity::Panic)
    };
    error.is_closed() || io_kind(error).is_some() || error.as_db_error().is_some_and(is_fatal)
}

/// Whether a check of a statement did not hold, or a row was there already.
pub(super) fn is_refusal(error: &tokio_postgres::Error) -> bool {
    error.code().is_some_and(|code| *code == SqlState::DIVISION_BY_ZERO || *code == SqlState::UNIQUE_VIOLATION)
}

/// What stands in the way of a connection that could not be opened.
pub(super) fn open_trouble(error: &tokio_postgres::Error) -> OpenTrouble {
    if let Some(server) = error.as_db_error() {
        return match *server.code() {
            SqlState::TOO_MANY_CONNECTIONS => OpenTrouble::Full,
            SqlState::CANNOT_CONNECT_NOW
            | SqlState::ADMIN_SHUTDOWN
            | SqlState::CRASH_SHUTDOWN
            | SqlState::QUERY_CANCELED => OpenTrouble::Soon,
            _ => OpenTrouble::Other,
        };
    }
    match io_kind(error) {
        Some(io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound) => OpenTrouble::Refused,
        // The server ended while it was asked.
        Some(io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe | io::ErrorKind::UnexpectedEof) => {
            OpenTrouble::Soon
        }
        Some(_) => OpenTrouble::Other,
        None if error.is_closed() => OpenTrouble::Soon,
        None => OpenTrouble::Other,
    }
}

/// What went wrong and why, in one line.
pub(crate) fn words(error: &tokio_postgres::Error) -> String {
    if let Some(server) = error.as_db_error() {
        return server.message().to_owned();
    }
    let mut words = error.to_string();
    let mut source = StdError::source(error);
    while let Some(cause) = source {
        let cause_words = cause.to_string();
        if !words.contains(&cause_words) {
            words = format!("{words}: {cause_words}");
        }
        source = cause.source();
    }
    words
}

/// What the system said, if it was the system.
fn io_kind(error: &tokio_postgres::Error) -> Option<io::ErrorKind> {
    StdError::source(error)?.downcast_ref::<io::Error>().map(io::Error::kind)
}

fn kind_of(code: &SqlState) -> DatabaseErrorKind {
    match *code {
        SqlState::UNIQUE_VIOLATION => DatabaseErrorKind::UniqueViolation,
        SqlState::FOREIGN_KEY_VIOLATION => DatabaseErrorKind::ForeignKeyViolation,
        SqlState::NOT_NULL_VIOLATION => DatabaseErrorKind::NotNullViolation,
        SqlState::CHECK_VIOLATION => DatabaseErrorKind::CheckViolation,
        SqlState::RESTRICT_VIOLATION => DatabaseErrorKind::RestrictViolation,
        SqlState::EXCLUSION_VIOLATION => DatabaseErrorKind::ExclusionViolation,
        SqlState::T_R_SERIALIZATION_FAILURE => DatabaseErrorKind::SerializationFailure,
        SqlState::READ_ONLY_SQL_TRANSACTION => DatabaseErrorKind::ReadOnlyTransaction,
        _ => DatabaseErrorKind::Unknown,
    }
}
