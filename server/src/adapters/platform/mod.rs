//! The jobs platform: its pipelines are workflows, its jobs are runs that wait, and its executions are runs that have begun.

pub(super) mod execution;
pub(super) mod job;
pub(super) mod metrics;
pub(super) mod pipeline;
pub(super) mod schedule;
pub(super) mod worker;
