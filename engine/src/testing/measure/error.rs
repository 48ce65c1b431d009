//! Why something could not be measured.

use crate::store;

/// Why something could not be measured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MeasureError {
    /// The store had trouble.
    #[error(transparent)]
    Store(#[from] store::Error),
    /// The database refused what was asked of it without the store.
    #[error("{doing}: {message}")]
    Database {
        /// What was asked.
        doing: &'static str,
        /// The database's own words.
        message: String,
    },
    /// A commit of the load was not written.
    #[error("a commit was not written: {outcome}")]
    NotWritten {
        /// What became of it.
        outcome: String,
    },
    /// The folder of the database cannot be used.
    #[error("the folder of the database cannot be used")]
    Folder(#[from] std::io::Error),
}
