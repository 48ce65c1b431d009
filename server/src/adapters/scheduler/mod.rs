//! The distributed scheduler: its tasks are workflows, and the runs of its tasks are runs.

pub(super) mod system;
pub(super) mod task;
pub(super) mod worker;
