//! What the databases and the store can do without an engine around them: the limits beside which `cloacina-ctl bench`
//! puts the engine.
//!
//! ```text
//!   Load ── the rows of its runs, made beforehand ──┬─▶ raw: one loop, bare prepared statements ─▶ database
//!                                                   └─▶ store: the group-commit writer ──────────▶ database
//! ```
//! - **The same rows.** A [`Load`] makes the very commits that the engine makes of runs of a chain of tasks which do
//!   nothing; a test holds what both leave behind against each other.
//! - **The same promises.** Every connection is set up as the store's writer is, and nothing counts before its sync.
//! - Each measurement has a [`Scratch`] database of its own, brought up to date by the store's own migrations.

mod error;
mod listing;
mod load;
mod raw;
mod scratch;
mod store;

#[cfg(test)]
mod tests;

#[cfg(test)]
pub(crate) use self::raw::{Value, n_prepared_anew};
pub use self::{
    error::MeasureError,
    listing::{Listed, measure_lists},
    load::{Load, Measured},
    raw::{measure_raw, release_memory, sqlite_version},
    scratch::Scratch,
    store::{measure_store, n_transactions},
};
