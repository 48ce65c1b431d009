//! The verbs of `cloacina-ctl tenant`, `user`, `token` and `audit`: who may ask a server.
//!
//! On a database this program is an engine that starts no task, for the moment: on PostgreSQL beside any other, on a SQLite file
//! only where no engine lives. A living server is asked over HTTP, with `--server`.

mod ask;
pub(crate) mod audit;
mod authority;
pub(crate) mod tenant;
pub(crate) mod token;
pub(crate) mod user;
