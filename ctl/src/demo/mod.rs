//! `cloacina-ctl demo`: what a run goes through, and what becomes of one that fails, step by step and in true words: what is
//! told is what engines said.
//!
//! - `life`: the life of a run of the built-in workflow.
//! - `order`: a task that fails, a run that waits without an engine, and another engine that continues it.

mod life;
mod order;
pub(crate) mod show;

pub(crate) use self::show::demo;
