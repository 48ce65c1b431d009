//! Runs: submitting, listing, showing and deleting them.
//!
//! A submission is answered when it is durable. With a key it can be sent again after a lost connection, and is the same run.

use std::collections::HashMap;

use cloacina::{RunFilter, RunId, RunReport, RunState, RunSummary, Timestamp};
use futures_core::Stream;
use hyper::{Method, header::HeaderValue};

use crate::{
    address::encoded,
    client::{BASE, Client},
    error::Error,
    page::Page,
    query::Query,
    run_request::{NewRun, Outcome, Submitted},
};

/// The header that makes a submission happen once.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// Which runs are listed; an absent part excludes none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunQuery {
    /// Only runs in one of these states; all if there are none.
    pub states: Vec<RunState>,
    /// Only runs of workflows that this name fits.
    pub workflow: Option<String>,
    /// Only runs of this tenant.
    pub tenant: Option<String>,
    /// Only runs that were submitted at this moment or later.
    pub created_from: Option<Timestamp>,
    /// Only runs that were submitted before this moment.
    pub created_before: Option<Timestamp>,
    /// Only runs that nobody dismissed.
    pub not_dismissed: bool,
}

impl Client {
    /// Submits a run, and returns its id.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub async fn submit(&self, new: &NewRun) -> Result<RunId, Error> {
        Ok(self.post::<Submitted>(&runs(), new).await?.run)
    }

    /// Submits a run under a key: the same request again is answered with the same run.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub async fn submit_once(&self, new: &NewRun, key: &str) -> Result<RunId, Error> {
        let mut request = self.with_json(Method::POST, &runs(), new)?;
        let key = HeaderValue::from_str(key).map_err(|_| Error::Header { what: "key" })?;
        request.headers_mut().insert(IDEMPOTENCY_KEY, key);
        Ok(self.send(request).await?.json::<Submitted>().await?.run)
    }

    /// Submits several runs, each with its own outcome, in order.
    ///
    /// # Errors
    /// As [`Error`] says, if none of them was submitted.
    pub async fn submit_all(&self, new: &[NewRun]) -> Result<Vec<Outcome>, Error> {
        self.post(&runs(), &new).await
    }

    /// A page of the runs that fit, newest first, so many at most.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub async fn run_page(
        &self,
        query: &RunQuery,
        limit: usize,
        cursor: Option<&str>,
    ) -> Result<Page<RunSummary>, Error> {
        self.page(&runs(), query.query(), limit, cursor).await
    }

    /// The runs that fit, newest first, read a page at a time.
    pub fn runs(&self, query: &RunQuery) -> impl Stream<Item = Result<RunSummary, Error>> + use<> {
        self.items(runs(), query.query())
    }

    /// The failed runs that nobody dismissed, newest first.
    pub fn dead_letters(&self) -> impl Stream<Item = Result<RunSummary, Error>> + use<> {
        self.items(format!("{BASE}/dead-letters"), Query::default())
    }

    /// A run and all its tasks.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub async fn run(&self, run: RunId) -> Result<RunReport, Error> {
        self.get(&of_run(run, "")).await
    }

    /// Deletes a run that has ended, with its history and its logs.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub async fn run_delete(&self, run: RunId) -> Result<(), Error> {
        self.delete(&of_run(run, "")).await
    }

    /// The runs whose id begins so, newest first, so many at most.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub async fn runs_named(&self, beginning: &str, limit: usize) -> Result<Vec<RunSummary>, Error> {
        self.get(&format!("{}/named/{}{}", runs(), encoded(beginning), Query::default().with("limit", Some(limit))))
            .await
    }

    /// For each of at most 1,000 runs the beginning of its id that is enough to name it on this server, for people.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub async fn short_ids(&self, of: &[RunId]) -> Result<HashMap<RunId, String>, Error> {
        self.post(&format!("{}/short-ids", runs()), &of).await
    }
}

impl RunQuery {
    /// The same as a filter, except for its range of ids, which no server takes.
    #[must_use]
    pub fn of(filter: &RunFilter) -> Self {
        let RunFilter { states, workflow, tenant, created_from, created_before, not_dismissed, ids: _ } =
            filter.clone();
        Self { states, workflow, tenant, created_from, created_before, not_dismissed }
    }

    pub(crate) fn query(&self) -> Query {
        let names: Vec<&str> = self.states.iter().map(|state| state.as_str()).collect();
        Query::default()
            .with("state", (!names.is_empty()).then(|| names.join(",")))
            .with("workflow", self.workflow.as_deref())
            .with("tenant", self.tenant.as_deref())
            .with("created_from", self.created_from)
            .with("created_before", self.created_before)
            .with_mark("not_dismissed", self.not_dismissed)
    }
}

fn runs() -> String {
    format!("{BASE}/runs")
}

/// The path of a run, or of a part of it.
pub(crate) fn of_run(run: RunId, part: &str) -> String {
    format!("{BASE}/runs/{run}{part}")
}
