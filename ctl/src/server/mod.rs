//! `dev` and `serve`: an engine with its HTTP interface, until somebody asks the program to stop.

mod connections;
mod dev;
pub(crate) mod life;
mod serve;
mod watch;

pub(crate) use self::{dev::dev, serve::serve};
