//! What verbs read from: the records of a database, or a server.
//!
//! Both answer with the same types, so that a verb shows them without knowing where they come from.

use std::collections::HashMap;

use cloacina::{
    LogFilter, LogRecord, PackageEvent, PackageFilter, PackageRecord, Page, Records, RunEvent, RunFilter, RunId,
    RunOwner, RunReport, RunState, RunSummary, RunUsage, WorkflowFilter, WorkflowRecord, WorkflowReport,
};
use cloacina_client::RunQuery;

use super::remote::Remote;
use crate::error::Error;

/// What is read from.
#[derive(Debug)]
pub(crate) enum Source {
    Database(Box<Records>),
    Server(Box<Remote>),
}

/// A part of a list of runs.
#[derive(Debug, Default)]
pub(crate) struct Runs {
    /// The runs, newest first.
    pub(crate) runs: Vec<RunSummary>,
    /// Whether more runs fit.
    pub(crate) has_more: bool,
}

impl Source {
    pub(super) fn database(records: Records) -> Self {
        Self::Database(Box::new(records))
    }

    /// The runs that fit, newest first, so many at most. The filter has no range of ids.
    pub(crate) fn list(&mut self, filter: &RunFilter, n_max: usize) -> Result<Runs, Error> {
        match self {
            Self::Database(records) => {
                let page = records.list(filter, &Page::first(n_max))?;
                Ok(Runs { has_more: page.next.is_some(), runs: page.runs })
            }
            Self::Server(remote) => remote.list(&RunQuery::of(filter), n_max),
        }
    }

    /// The same, without whether there are more.
    pub(crate) fn runs(&mut self, filter: &RunFilter, n_max: usize) -> Result<Vec<RunSummary>, Error> {
        Ok(self.list(filter, n_max)?.runs)
    }

    /// The runs with an id that begins so, newest first.
    ///
    /// # Errors
    /// [`Error::BadRunId`] if no id can begin so, and what the source says.
    pub(crate) fn runs_named(&mut self, text: &str, n_max: usize) -> Result<Vec<RunSummary>, Error> {
        let ids = RunId::range_of(text).ok_or_else(|| Error::BadRunId { text: text.to_owned() })?;
        match self {
            Self::Database(records) => Ok(records.runs(&RunFilter { ids: Some(ids), ..RunFilter::default() }, n_max)?),
            Self::Server(remote) => remote.named(text, n_max),
        }
    }

    /// A run in brief; none if there is no such run.
    pub(crate) fn run(&mut self, id: RunId) -> Result<Option<RunSummary>, Error> {
        Ok(self.runs_named(&id.to_string(), 1)?.pop())
    }

    /// For each run the beginning of its id that is enough to name it.
    pub(crate) fn short_ids(&mut self, ids: &[RunId]) -> Result<HashMap<RunId, String>, Error> {
        match self {
            Self::Database(records) => Ok(records.short_ids(ids)?),
            Self::Server(remote) => remote.short_ids(ids),
        }
    }

    /// A run and all its tasks.
    pub(crate) fn report(&mut self, id: RunId) -> Result<RunReport, Error> {
        match self {
            Self::Database(records) => Ok(records.report(id)?),
            Self::Server(remote) => remote.report(id),
        }
    }

    /// Where a run stands.
    pub(crate) fn state(&mut self, id: RunId) -> Result<RunState, Error> {
        match self {
            Self::Database(records) => Ok(records.state(id)?),
            Self::Server(remote) => Ok(remote.report(id)?.state),
        }
    }

    /// A run's history, from its beginning.
    pub(crate) fn events(&mut self, id: RunId) -> Result<Vec<RunEvent>, Error> {
        match self {
            Self::Database(records) => Ok(records.events(id)?),
            Self::Server(remote) => remote.events(id),
        }
    }

    /// The lines of a log that fit, in order; at most 10,000 at once.
    pub(crate) fn logs(&mut self, id: RunId, filter: &LogFilter) -> Result<Vec<LogRecord>, Error> {
        match self {
            Self::Database(records) => Ok(records.logs(id, filter)?),
            Self::Server(remote) => remote.logs(id, filter),
        }
    }

    /// What a run used up.
    pub(crate) fn usage(&mut self, id: RunId) -> Result<RunUsage, Error> {
        match self {
            Self::Database(records) => Ok(records.usage(id)?),
            Self::Server(remote) => remote.usage(id),
        }
    }

    /// The engine that drives the database, and its process as far as that is known. A server is an engine.
    pub(crate) fn engine(&mut self) -> Result<Option<Option<u32>>, Error> {
        match self {
            Self::Database(records) => Ok(records.engine()?),
            Self::Server(_) => Ok(Some(None)),
        }
    }

    /// Whether an engine drives that run now, as far as that is known.
    pub(crate) fn is_driven(&mut self, id: RunId) -> Result<bool, Error> {
        match self {
            Self::Database(records) => Ok(records.is_driven(id)?),
            Self::Server(_) => Ok(self.run(id)?.is_some_and(|run| run.driven == Some(true))),
        }
    }

    /// The engine that a run belongs to, which only a database tells.
    pub(crate) fn owner(&mut self, id: RunId) -> Result<Option<RunOwner>, Error> {
        match self {
            Self::Database(records) => Ok(records.owner(id)?),
            Self::Server(_) => Ok(None),
        }
    }

    /// The versions of workflows that fit.
    pub(crate) fn workflows(&mut self, filter: &WorkflowFilter) -> Result<Vec<WorkflowRecord>, Error> {
        match self {
            Self::Database(records) => Ok(records.workflows(filter)?),
            Self::Server(remote) => remote.workflows(filter),
        }
    }

    /// The version that new runs get of the one workflow that the name fits.
    pub(crate) fn workflow(&mut self, name: &str) -> Result<WorkflowReport, Error> {
        match self {
            Self::Database(records) => Ok(records.workflow(name)?),
            Self::Server(remote) => remote.workflow(name),
        }
    }

    /// The versions of packages that fit.
    pub(crate) fn packages(&mut self, filter: &PackageFilter) -> Result<Vec<PackageRecord>, Error> {
        match self {
            Self::Database(records) => Ok(records.packages(filter)?),
            Self::Server(remote) => remote.packages(filter),
        }
    }

    /// One version of a package.
    pub(crate) fn package(&mut self, name: &str) -> Result<PackageRecord, Error> {
        match self {
            Self::Database(records) => Ok(records.package(name)?),
            Self::Server(remote) => remote.package(name),
        }
    }

    /// What happened to the versions of a package.
    pub(crate) fn package_events(&mut self, name: &str) -> Result<Vec<PackageEvent>, Error> {
        match self {
            Self::Database(records) => Ok(records.package_events(name)?),
            Self::Server(remote) => remote.package_events(name),
        }
    }
}
