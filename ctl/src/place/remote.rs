//! What a server knows, for verbs that read: a client, and the runtime in which it waits.
//!
//! A verb waits for each answer. Each list is read a page at a time.

use std::collections::HashMap;

use cloacina::{
    LogFilter, LogRecord, PackageEvent, PackageFilter, PackageRecord, RunEvent, RunId, RunReport, RunSummary, RunUsage,
    WorkflowFilter, WorkflowRecord, WorkflowReport,
};
use cloacina_client::{Client, RunQuery};
use futures_util::TryStreamExt;
use tokio::runtime::Runtime;

use super::source::Runs;
use crate::error::Error;
use crate::runs::runtime;

/// Items of a page at most, as the server gives them.
const ITEMS_MAX: usize = 1_000;

/// A server that is asked.
#[derive(Debug)]
pub(crate) struct Remote {
    client: Client,
    runtime: Runtime,
}

impl Remote {
    pub(super) fn new(client: Client) -> Result<Self, Error> {
        Ok(Self { client, runtime: runtime()? })
    }

    /// The runs that fit, newest first, so many at most.
    pub(super) fn list(&self, query: &RunQuery, n_max: usize) -> Result<Runs, Error> {
        self.wait(async {
            let (mut runs, mut cursor) = (Vec::new(), None);
            loop {
                let n_asked = (n_max - runs.len()).min(ITEMS_MAX);
                let page = self.client.run_page(query, n_asked, cursor.as_deref()).await?;
                runs.extend(page.items);
                cursor = page.next;
                if cursor.is_none() || runs.len() >= n_max {
                    return Ok(Runs { runs, has_more: cursor.is_some() });
                }
            }
        })
    }

    /// The runs with an id that begins so, newest first, so many at most.
    pub(super) fn named(&self, text: &str, n_max: usize) -> Result<Vec<RunSummary>, Error> {
        self.wait(self.client.runs_named(text, n_max.min(ITEMS_MAX)))
    }

    pub(super) fn short_ids(&self, ids: &[RunId]) -> Result<HashMap<RunId, String>, Error> {
        self.wait(async {
            let mut short = HashMap::with_capacity(ids.len());
            for ids in ids.chunks(ITEMS_MAX) {
                short.extend(self.client.short_ids(ids).await?);
            }
            Ok(short)
        })
    }

    pub(super) fn report(&self, id: RunId) -> Result<RunReport, Error> {
        self.wait(self.client.run(id))
    }

    pub(super) fn events(&self, id: RunId) -> Result<Vec<RunEvent>, Error> {
        self.wait(self.client.events(id, None))
    }

    pub(super) fn logs(&self, id: RunId, filter: &LogFilter) -> Result<Vec<LogRecord>, Error> {
        self.wait(self.client.logs(id, filter))
    }

    pub(super) fn usage(&self, id: RunId) -> Result<RunUsage, Error> {
        self.wait(self.client.usage(id))
    }

    pub(super) fn workflows(&self, filter: &WorkflowFilter) -> Result<Vec<WorkflowRecord>, Error> {
        self.wait(self.client.workflows(filter).try_collect())
    }

    pub(super) fn workflow(&self, name: &str) -> Result<WorkflowReport, Error> {
        self.wait(self.client.workflow(name))
    }

    pub(super) fn packages(&self, filter: &PackageFilter) -> Result<Vec<PackageRecord>, Error> {
        self.wait(self.client.packages(filter).try_collect())
    }

    pub(super) fn package(&self, name: &str) -> Result<PackageRecord, Error> {
        self.wait(self.client.package(name))
    }

    pub(super) fn package_events(&self, name: &str) -> Result<Vec<PackageEvent>, Error> {
        self.wait(self.client.package_events(name))
    }

    fn wait<T>(&self, asked: impl Future<Output = Result<T, cloacina_client::Error>>) -> Result<T, Error> {
        Ok(self.runtime.block_on(asked)?)
    }
}
