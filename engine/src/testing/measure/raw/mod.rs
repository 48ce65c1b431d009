//! The databases by themselves: one loop that writes a load with bare prepared statements, and nothing else.
//!
//! The rows come in the order in which so many runs at once bring them about, and each transaction writes a fixed
//! number of changes. Nothing is decided, checked, fenced or answered: this is the limit of the disk and of the
//! database for these rows.
//!
//! Every `unsafe` block is a call of a C function of SQLite or of the C library. They are sound because
//! a connection and its statements are used by one thread, are closed by their owners alone, and what is bound lives
//! until the statement has been executed.

#![expect(unsafe_code, reason = "measures the C libraries without anything in between")]

mod memory;
mod postgres;
mod sqlite;
mod write;

pub(super) use self::postgres::Postgres;
#[cfg(test)]
pub(crate) use self::sqlite::{Value, n_prepared_anew};
pub use self::{memory::release_memory, sqlite::sqlite_version, write::measure_raw};
