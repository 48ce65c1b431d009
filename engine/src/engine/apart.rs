//! Questions to the database of an engine that has closed its store, for callers that must not be blocked.
//!
//! What is durable can be read without the engine. Each question has a connection and a thread of its own, which ends
//! with the answer; few are asked at once.

use std::{fmt, sync::Arc};

use tokio::sync::Semaphore;

use super::records::Records;
use crate::{
    Error,
    api::Caller,
    store::{Database, on_own_thread},
};

/// Questions at once. After the end of an engine as many may wait as had followed its runs.
const QUESTIONS_MAX: usize = 4;

/// A handle to the database of one engine. Clones share the bound.
#[derive(Clone)]
pub(crate) struct Apart {
    database: Database,
    permits: Arc<Semaphore>,
}

impl Apart {
    pub(super) fn new(database: Database) -> Self {
        Self { database, permits: Arc::new(Semaphore::new(QUESTIONS_MAX)) }
    }

    /// Asks that, on behalf of the caller.
    ///
    /// # Errors
    /// What was asked says, or the store.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        caller: Caller,
        question: impl FnOnce(&mut Records) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        // It is never closed.
        let _permit = self.permits.acquire().await.map_err(|_| Error::ShutDown)?;
        let database = self.database.clone();
        let work = move || question(&mut Records::of(&database)?.on_behalf_of(caller));
        on_own_thread(work).await?
    }
}

impl fmt::Debug for Apart {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Apart").field("database", &self.database.name()).finish_non_exhaustive()
    }
}
