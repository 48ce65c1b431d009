//! Workflows: what can be run, what it consists of, and making one as data.
//!
//! A definition is sent as it stands in its file: the server tells the lines of mistakes.

use std::path::PathBuf;

use cloacina::{PackageAnswer, WorkflowFilter, WorkflowRecord, WorkflowReport};
use futures_core::Stream;
use hyper::{
    Method,
    header::{CONTENT_TYPE, HeaderValue},
};

use crate::{
    address::encoded,
    body,
    client::{BASE, Client},
    error::Error,
    query::Query,
};

/// The definition of a workflow as data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewWorkflow {
    /// The file of the definition: JSON if its name ends with `.json`, else TOML.
    pub definition: PathBuf,
    /// The tenant; without one, that of the caller, else `public`.
    pub tenant: Option<String>,
    /// Whether new runs get it at once.
    pub activate: bool,
}

impl Client {
    /// Makes a workflow of the definition in a file, which is read while it is sent.
    ///
    /// # Errors
    /// As [`Error`] says; [`Error::File`] if there is no such file.
    pub async fn workflow_define(&self, new: &NewWorkflow) -> Result<PackageAnswer, Error> {
        let NewWorkflow { definition, tenant, activate } = new;
        let query = Query::default().with("tenant", tenant.as_deref()).with("activate", Some(*activate));
        let is_json = definition.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"));
        let body = body::file(String::new(), definition, String::new()).await?;
        let mut request = self.request(Method::POST, &format!("{BASE}/workflows{query}"), body)?;
        let kind = if is_json { "application/json" } else { "application/toml" };
        request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        self.send(request).await?.json().await
    }

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
