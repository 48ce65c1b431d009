//! `cloacina-ctl runs …`: runs in a database.
//!
//! ```text
//! --database ── database ──> Records ── find (which run) ──> one file per verb ──> view (as shown) ──> output
//! ```
//! What only looks asks [`cloacina::Records`], which works beside a living engine and without one.

mod context;
mod events;
mod find;
mod list;
mod moment;
mod show;
mod view;
mod wait;
mod watch;
mod why;

pub(crate) use self::{
    context::context,
    events::events,
    list::list,
    show::show,
    view::{Task, between, exit_code, span, task_table},
    wait::wait,
    watch::watch,
    why::why,
};
