//! `cloacina-ctl doctor`: whether everything is there that an engine and its server need, and what to do where it is not.
//!
//! Nothing is changed: no database is made, no schema is migrated, no port is kept. Each file looks at one thing.

pub(crate) mod check;
mod database;
mod diagnose;
mod keys;
mod machine;
mod port;
mod sandbox;

pub(crate) use self::{diagnose::doctor, sandbox::confine};
