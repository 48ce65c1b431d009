//! The JSON documents of the commands, as a contract: what the program prints is what the schemas allow, and what the
//! pages in `docs/reference/json` show as an example.
//!
//! `UPDATE_EXPECT=1` writes the examples anew. What differs from run to run (ids, moments, measured figures) stands in them as
//! a value that could have been.

mod example;
mod ordered;
mod scene;
mod schema;
mod show;

pub(crate) use self::show::{check, conforming};
