//! The interfaces of the products that Cloacina follows, so that their clients go on working.
//!
//! Each adapter translates words: a path and a body into a call of the engine, and what the call returned into the fields that
//! the other product had. `docs/reference/adapters.md` is the table of both sides.

mod counts;
mod jobs;
mod platform;
mod router;
mod scheduler;
mod startable;
mod workers;

pub(crate) use self::{
    router::{TAGS, routes},
    workers::Workers,
};
