//! Where a command works: on a database, or on a server.
//!
//! ```text
//! --database, --server ── choice ──> Place ┬─ Database ─ cloacina::Records      ┐
//!                                          └─ Server ─── remote (HTTP client)   ┴─ source ──> one file per verb
//! ```
//! A verb reads from a [`Source`] and has its requests performed by a `runs::Performer`. Neither the verb nor what it prints
//! knows which of the two it is; a verb that needs a database itself asks for one by [`Place::database`], which refuses a
//! server before anything is done.

mod choice;
mod perform;
mod remote;
mod server;
mod source;

pub(crate) use self::{
    choice::Place,
    perform::{perform, perform_package, register},
    server::Server,
    source::{Runs, Source},
};
