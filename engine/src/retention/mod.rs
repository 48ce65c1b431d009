//! Retention: what of the past is kept, and for how long.
//!
//! - [`Retention`] is the rule, and choosing by it is a pure function of rows, rule and moment: no clock, no database.
//! - Unfinished runs are never chosen. Failed runs that were not dismissed are a separate class.
//! - Removing what was chosen is the business of the store, and doing so at the right time that of the runtime.

mod choose;
mod policy;

#[cfg(test)]
mod tests;

pub use self::policy::Retention;
pub(crate) use self::{
    choose::{Finished, Oldest, choose_lines, choose_runs, earlier},
    policy::{Class, What},
};
