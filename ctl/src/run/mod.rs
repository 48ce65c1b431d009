//! `cloacina-ctl run`: a whole run in one process.
//!
//! ```text
//! path ── package::Source ──> archive ─┐
//! --input ── input ──> context ────────┴─ drive ──> engine: register, schedule, wait
//!                                           │ notices ──> display (stderr)
//!                                           └ report  ──> report  (stdout, exit code)
//! ```

mod display;
mod drive;
mod input;
mod interrupt;
pub(crate) mod report;
mod secret;
mod start;

pub(crate) use self::{
    drive::{GRACE, stop, watch_run},
    input::{read_object as read_input, read_value_of},
    interrupt::{Interrupt, Interrupts},
    secret::add as add_secrets,
    start::run,
};
