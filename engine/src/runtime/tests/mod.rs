//! The whole engine on a real file, through the public handles: what users can rely on.
//!
//! Tasks are functions without captures, so what a test shares with its tasks is a `static` of its own.

mod control;
mod fixture;
mod matrix;
mod policy;
mod restart;
mod run;
mod trouble;
