//! The loader against packages that keep the rules and packages that break each of them: first with tables that were
//! compiled into the test, then with libraries made by a C compiler against the published header.

mod compiled;
pub(crate) mod library;
pub(crate) mod recorder;
mod table;
