//! The heart: pure decisions about runs.
//!
//! `decide(run, event, now)` returns the transitions to store and the effects to perform once they are stored. No
//! code here reads a clock, draws random bits, does I/O, waits or serializes; moments come in with the events and
//! values are opaque handles that are passed on (only trigger rules read them). `apply` is the one function that
//! changes a run: live operation applies each transition in the moment in which it is decided, recovery after a crash
//! applies those that were stored, so what a replay rebuilds is what was there.
//!
//! The cost of an event is proportional to what it makes ready, never to the size of the run.

pub(crate) mod apply;
pub(crate) mod context;
pub(crate) mod control;
pub(crate) mod decide;
pub(crate) mod effect;
pub(crate) mod explain;
pub(crate) mod graph;
pub(crate) mod node;
pub(crate) mod plan;
pub(crate) mod replay;
pub(crate) mod retry;
pub(crate) mod rule;
pub(crate) mod run;
pub(crate) mod slot;
pub(crate) mod stage;
pub(crate) mod task;
pub(crate) mod view;

#[cfg(test)]
mod early_tests;
#[cfg(test)]
mod fold_tests;
#[cfg(test)]
mod rule_tests;
#[cfg(test)]
mod state_tests;
#[cfg(test)]
mod tests;
