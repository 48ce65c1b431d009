//! Many runs at once: choosing them by what they are, and asking the same of all of them.
//!
//! Each run is asked by itself and answers for itself; there is no change of many runs that happens as one. What
//! fails and nobody dismissed is the list of dead letters, which is a query and no state of its own.

use cloacina_workflow::Timestamp;

use super::{
    handle::{Engine, statuses},
    run_handle::RunHandle,
};
use crate::{Error, core::run, error::Request, id::RunId, runtime::RunStatus, store};

/// Dead letters that are returned at most at once.
const DEAD_LETTERS_MAX: i64 = 10_000;

/// Which runs; what is absent does not matter.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// In one of these states; any if empty.
    pub states: Vec<run::State>,
    /// Of the workflow with that full name.
    pub workflow: Option<String>,
    /// Submitted then or later.
    pub since: Option<Timestamp>,
    /// Submitted before then.
    pub until: Option<Timestamp>,
}

impl Filter {
    /// Whether it chooses that run.
    #[must_use]
    pub fn fits(&self, status: &RunStatus) -> bool {
        (self.states.is_empty() || self.states.contains(&status.state))
            && self.workflow.as_ref().is_none_or(|workflow| *workflow == status.workflow)
            && self.since.is_none_or(|since| status.created_at >= since)
            && self.until.is_none_or(|until| status.created_at < until)
    }
}

impl Engine {
    /// The runs that the filter chooses, newest first.
    ///
    /// # Errors
    /// What the store says.
    pub async fn select(&self, filter: &Filter) -> Result<Vec<RunStatus>, Error> {
        let (mut chosen, mut before) = (Vec::new(), None);
        loop {
            let page = self.runs(before).await?;
            let Some(last) = page.last() else { return Ok(chosen) };
            before = Some(last.id);
            // Newer runs come first, so nothing that follows can be young enough.
            let is_over = filter.since.is_some_and(|since| last.created_at < since);
            chosen.extend(page.into_iter().filter(|status| filter.fits(status)));
            if is_over {
                return Ok(chosen);
            }
        }
    }

    /// Asks the same of all runs that the filter chooses; one that refuses does not keep the others from it.
    ///
    /// # Errors
    /// What the store says while the runs are chosen.
    pub async fn control_all(
        &self,
        filter: &Filter,
        request: Request,
        by: &str,
    ) -> Result<Vec<(RunId, Result<(), Error>)>, Error> {
        let mut answers = Vec::new();
        for status in self.select(filter).await? {
            let run = self.run(status.id).await?;
            answers.push((status.id, run.request(request, by).await));
        }
        Ok(answers)
    }

    /// The failed runs that nobody dismissed, newest first.
    ///
    /// # Errors
    /// What the store says.
    pub async fn dead_letters(&self) -> Result<Vec<RunStatus>, Error> {
        let read = self.shared.store().read("listing dead letters", |connection| {
            Ok((store::run_list_failed(connection, DEAD_LETTERS_MAX)?, store::workflow_list(connection)?))
        });
        let (rows, workflows) = read.await?;
        Ok(statuses(rows?, &workflows?))
    }
}

impl RunHandle {
    /// Asks that of the run, with nothing more said about it.
    async fn request(&self, request: Request, by: &str) -> Result<(), Error> {
        match request {
            Request::Start => self.start(by).await,
            Request::Pause => self.pause(by).await,
            Request::Resume => self.resume(by).await,
            Request::Cancel => self.cancel(by).await,
            Request::Rerun => self.rerun_failed(None, by).await.map(drop),
            Request::Dismiss => self.dismiss(by).await,
            Request::Retry => self.retry_all(by).await,
            Request::Delete => self.delete().await,
            Request::Fork | Request::RunTask | Request::ShowContext => {
                Err(Error::UnknownTask { id: self.id(), task: String::new() })
            }
        }
    }
}
