//! Between columns and Rust types, both ways; a value that no version of this program wrote is damage.

use cloacina_packager::Digest;
use cloacina_workflow::Timestamp;

use super::Error;
use crate::id::{RunId, WorkflowId};

/// Microseconds as a column holds them.
pub(super) fn micros(at: Timestamp) -> i64 {
    i64::try_from(at.unix_micros()).unwrap_or(i64::MAX)
}

pub(super) fn timestamp(micros: i64) -> Timestamp {
    Timestamp::from_unix_micros(u64::try_from(micros).unwrap_or(0))
}

pub(super) fn run_id(column: &[u8]) -> Result<RunId, Error> {
    id_bytes(column).map(RunId::from_bytes)
}

pub(super) fn workflow_id(column: &[u8]) -> Result<WorkflowId, Error> {
    id_bytes(column).map(WorkflowId::from_bytes)
}

pub(super) fn content_digest(column: &[u8]) -> Result<Digest, Error> {
    let bytes: Result<[u8; 32], _> = column.try_into();
    let found = column.len();
    bytes.map(Digest::from_bytes).map_err(|_| Error::Corrupt { reason: format!("a digest of {found} bytes") })
}

fn id_bytes(column: &[u8]) -> Result<[u8; 16], Error> {
    let found = column.len();
    column.try_into().map_err(|_| Error::Corrupt { reason: format!("an id of {found} bytes") })
}

pub(super) fn state<T: std::str::FromStr>(column: &str) -> Result<T, Error> {
    column.parse().map_err(|_| Error::Corrupt { reason: format!("a state called {column:?}") })
}
