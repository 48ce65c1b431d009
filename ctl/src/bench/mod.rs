//! `cloacina-ctl bench`: what the engine costs beside what the disk can do.
//!
//! ```text
//! start ── folder, server, package ──> rounds ── measure ──┬─> client ──> engine
//!                                        │                 └─> cloacina::testing: raw loops, the store
//!                                        └─ samples ──> ratio, report (stdout)
//! ```
//! - **Ratios.** What is compared is measured in turns, in the same round, each time in a new database.
//! - **Nothing is left behind**: folders, schemas and the private server are gone at the end, also after Ctrl-C.
//! - What is missing on this machine is named, and its figures are absent; nothing is made up.

mod cell;
mod client;
mod clock;
mod endurance;
mod folder;
mod growth;
mod http;
mod listing;
mod macros;
mod measure;
mod package;
mod plan;
mod process;
mod ratio;
mod registering;
pub(crate) mod report;
mod rounds;
mod server;
mod start;
mod usage;
mod workload;

pub(crate) use self::start::bench;
