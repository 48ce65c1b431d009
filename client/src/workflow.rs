//! Workflows: what can be run, and what it consists of.

use cloacina::{WorkflowFilter, WorkflowRecord, WorkflowReport};
use futures_core::Stream;

use crate::{
    address::encoded,
    client::{BASE, Client},
    error::Error,
    query::Query,
};

impl Client {
    /// The versions of workflows that fit, by tenant, package and name; of one workflow the newest in front.
    pub fn workflows(&self, filter: &WorkflowFilter) -> impl Stream<Item = Result<WorkflowRecord, Error>> + use<> {
        let WorkflowFilter { tenant, name, package, current } = filter;
        let query = Query::default().with("tenant", tenant.as_deref()).with("package", package.as_deref());
        self.items(format!("{BASE}/workflows"), query.with("name", name.as_deref()).with_mark("all", !current))
    }

    /// The version that new runs get of the one workflow that the name fits, with its tasks.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub async fn workflow(&self, name: &str) -> Result<WorkflowReport, Error> {
        self.get(&format!("{BASE}/workflows/{}", encoded(name))).await
    }
}
