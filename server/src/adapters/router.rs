//! The routes of all adapters.

use utoipa_axum::router::OpenApiRouter;

use super::{jobs, platform, scheduler};
use crate::app::Shared;

/// What the tags of the description are about.
pub(crate) const TAGS: [(&str, &str); 3] = [
    ("jobs", "Adapter: the jobs API. A type is a workflow, and a job is a run."),
    ("platform", "Adapter: the jobs platform. A job is a run that waits until it is executed."),
    ("scheduler", "Adapter: the distributed scheduler. A task is a workflow."),
];

/// The routes, with their whole paths.
pub(crate) fn routes() -> OpenApiRouter<Shared> {
    let platform = OpenApiRouter::new()
        .merge(platform::pipeline::routes())
        .merge(platform::job::routes())
        .merge(platform::schedule::routes())
        .merge(platform::worker::routes())
        .merge(platform::execution::routes())
        .merge(platform::metrics::routes());
    let scheduler = OpenApiRouter::new()
        .merge(scheduler::task::routes())
        .merge(scheduler::worker::routes())
        .merge(scheduler::system::routes());
    OpenApiRouter::new().merge(jobs::routes()).nest("/api/v1", platform).nest("/api", scheduler)
}
