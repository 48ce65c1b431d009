//! Why a descriptor cannot be read: damaged records, JSON that does not fit, records that disagree.
//!
//! Each variant carries the values; the program that shows the error adds hints.

use std::fmt;

use super::FORMAT;

/// Why a descriptor cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The section holds no record.
    Empty,
    /// The bytes at the start of a record are not those of a record.
    NoRecord {
        /// Bytes from the section's start.
        offset: usize,
    },
    /// A record ends after the section.
    Truncated {
        /// Bytes from the section's start.
        offset: usize,
    },
    /// The record, or its JSON, is of a schema that this version does not know.
    Format {
        /// The version in the record.
        found: u32,
    },
    /// The JSON is malformed or does not fit the schema.
    Json {
        /// The message of serde, with line and column.
        reason: String,
    },
    /// Two records of one library disagree on a member that must be the same.
    Disagree {
        /// Which member.
        member: &'static str,
        /// One record's value and the workflow it describes.
        first: (String, String),
        /// The other's.
        second: (String, String),
    },
    /// Two workflows have one name.
    Duplicate {
        /// The name.
        workflow: String,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => formatter.write_str("there is no workflow in the section `cloacina`"),
            Self::NoRecord { offset } => {
                write!(formatter, "there is no record at byte {offset} of the section `cloacina`")
            }
            Self::Truncated { offset } => {
                write!(formatter, "the record at byte {offset} of the section `cloacina` ends after the section")
            }
            Self::Format { found } => write!(formatter, "descriptor format {found}, where this program reads {FORMAT}"),
            Self::Json { reason } => write!(formatter, "the descriptor's JSON cannot be read: {reason}"),
            Self::Disagree { member, first, second } => write!(
                formatter,
                "the workflows disagree on {member}: {:?} in {}, {:?} in {}",
                first.0, first.1, second.0, second.1
            ),
            Self::Duplicate { workflow } => write!(formatter, "two workflows are called {workflow:?}"),
        }
    }
}

impl std::error::Error for Error {}
