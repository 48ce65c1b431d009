//! The heart: pure decisions about runs.

pub(crate) mod run;
pub(crate) mod task;
