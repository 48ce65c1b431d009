//! Diesel's PostgreSQL over a client that is written in Rust: the errors of the server keep their SQLSTATE, no C
//! library is linked, and later several statements can be on their way at once.
//!
//! Diesel builds the statements and reads the values; what is here sends the one and receives the other.

mod connection;
mod failure;
mod link;
mod row;
#[cfg(test)]
mod tests;

pub(crate) use self::connection::{Flight, Landing, PgConnection};
pub(super) use self::failure::{OpenTrouble, sqlstate_of};
#[cfg(any(test, feature = "measuring"))]
pub(crate) use self::{failure::words, link::Link};
