//! Many runs at once: choosing them by what they are, and asking the same of all of them.
//!
//! Each run is asked by itself and answers for itself; there is no change of many runs that happens as one. What
//! fails and nobody dismissed is the list of dead letters, which is a query and no state of its own.

use super::{handle::Engine, run_handle::RunHandle};
use crate::{
    Error,
    api::{self, Page, RunFilter, RunPage},
    core::run,
    error::Request,
    id::RunId,
    store::{Connection, Database},
    view::RunStatus,
};

/// Dead letters that are returned at most at once.
const DEAD_LETTERS_MAX: usize = 10_000;

impl Engine {
    /// The runs that fit, newest first, a page of them.
    ///
    /// # Errors
    /// What the store says.
    pub async fn list(&self, filter: &RunFilter, page: &Page) -> Result<RunPage, Error> {
        let (scope, filter, page) = (self.caller.scope().clone(), filter.clone(), *page);
        let briefs = self.shared.briefs.clone();
        let list = move |connection: &mut Connection| api::list(connection, &scope, &filter, &page, &briefs);
        let page = self.shared.store().read("listing runs", list).await?;
        // A file is driven by this engine, as there is one engine to a file.
        Ok(page.of_file(|| matches!(self.shared.store().database(), Database::Sqlite(_)).then_some(true)))
    }

    /// All runs that fit, newest first.
    ///
    /// # Errors
    /// What the store says.
    pub async fn select(&self, filter: &RunFilter) -> Result<Vec<RunStatus>, Error> {
        let next = |page| async move {
            let RunPage { runs, next } = self.list(filter, &page).await?;
            Ok((runs.into_iter().map(|run| run.status).collect(), next))
        };
        api::wait_for_all(next).await
    }

    /// How many runs are in each state, for every state.
    ///
    /// # Errors
    /// What the store says.
    pub async fn count_by_state(&self) -> Result<Vec<(run::State, u64)>, Error> {
        let (scope, briefs) = (self.caller.scope().clone(), self.shared.briefs.clone());
        let count = move |connection: &mut Connection| api::count_by_state(connection, &scope, &briefs);
        Ok(self.shared.store().read("counting runs", count).await?)
    }

    /// Asks the same of all runs that the filter chooses; one that refuses does not keep the others from it.
    ///
    /// # Errors
    /// What the store says while the runs are chosen.
    pub async fn control_all(
        &self,
        filter: &RunFilter,
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
        let dead = RunFilter { states: vec![run::State::Failed], not_dismissed: true, ..RunFilter::default() };
        let page = self.list(&dead, &Page::first(DEAD_LETTERS_MAX)).await?;
        Ok(page.runs.into_iter().map(|run| run.status).collect())
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
