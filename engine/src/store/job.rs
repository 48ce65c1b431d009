//! How the jobs and the queries of the store end.
//!
//! A job fails in one of two ways. The database fails a statement: then the store decides what becomes of that, and may
//! run the job again. Or the job itself ends with an error, mostly because a row cannot be: that is its answer, which its
//! caller gets as it is, and what the job wrote is undone.

use diesel::result::Error as DieselError;

use super::Error;

/// What a job or a query of the store ends with.
pub(crate) type JobResult<T> = Result<T, JobError>;

/// Why a job of the store did not end well.
#[derive(Debug)]
pub(crate) enum JobError {
    /// The database failed a statement.
    Query(DieselError),
    /// The job's own answer.
    Store(Error),
}

impl JobError {
    /// The error for the caller of the store, who knows what the job was for.
    pub(crate) fn into_error(self, doing: &'static str) -> Error {
        match self {
            Self::Query(source) => Error::from_diesel(doing, source),
            Self::Store(error) => error,
        }
    }
}

impl From<DieselError> for JobError {
    fn from(source: DieselError) -> Self {
        Self::Query(source)
    }
}

impl From<Error> for JobError {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}
