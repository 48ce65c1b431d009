//! What the driver has the store do in the background. The answer of each job comes back as an event.
//!
//! Nothing here waits, but for what is written last of all. A job that cannot even be queued is answered as one that has
//! failed, so that the driver has one place for both.

use std::{
    sync::{Arc, mpsc::Sender},
    time::Duration,
};

use cloacina_workflow::Timestamp;

use super::{
    catalog::{Catalog, Version},
    dormant::Asked,
    event::{Event, HistoryRead},
    prune::{Progress, step_in_txn},
    runner::TaskRunner,
};
use crate::{
    id::RunId,
    retention::Retention,
    store::{self, Connection, Error as StoreError, JobError, JobResult, RunRow, Store, TakenOver, event_list},
};

/// Queues jobs of the store.
#[derive(Debug)]
pub(super) struct Jobs {
    store: Store,
    events: Sender<Event>,
    catalog: Arc<Catalog>,
    /// How long this engine counts as alive after it was last heard of.
    lease: Duration,
}

/// Histories to be read.
#[derive(Debug)]
pub(super) struct Reading {
    /// The epoch under which they are asked for.
    pub(super) epoch: Option<i64>,
    pub(super) version: Arc<Version>,
    /// Absent if the code is not there, and something is to be done without it.
    pub(super) runner: Option<Arc<dyn TaskRunner>>,
    pub(super) rows: Vec<RunRow>,
}

impl Jobs {
    pub(super) fn new(store: Store, events: Sender<Event>, catalog: Arc<Catalog>, lease: Duration) -> Self {
        Self { store, events, catalog, lease }
    }

    /// Renews the lease of that epoch from now on; no lease without one.
    pub(super) fn keep_lease(&self, epoch: Option<i64>) {
        self.store.keep_lease(epoch.unwrap_or(0));
    }

    /// Gives that epoch the runs of engines that are gone, as far as this engine has the code. `with_own` also lists the
    /// runs that the epoch has already.
    pub(super) fn take_over(&self, epoch: i64, with_own: bool) {
        let catalog = Arc::clone(&self.catalog);
        let take = move |connection: &mut Connection| -> JobResult<TakenOver> {
            let mut has_code = |row: &store::WorkflowRow| catalog.code_for_row(row).is_some();
            let mut taken = store::run_take_over(connection, epoch, &mut has_code)?;
            if with_own {
                taken.add(store::run_list_own(connection, epoch)?);
            }
            Ok(taken)
        };
        self.write("taking over runs", take, move |taken| Event::TakenOver { epoch, taken });
    }

    /// Gives that epoch one run, unless its engine lives.
    ///
    /// # Errors
    /// If the job cannot be queued. The request is gone with the job, which tells its caller.
    pub(super) fn claim(&self, epoch: i64, run: RunId, asked: Asked) -> Result<(), StoreError> {
        let events = self.events.clone();
        let claim = move |connection: &mut Connection| store::run_claim(connection, epoch, run);
        self.store.write_detached("taking over a run", claim, move |claimed| {
            let asked = Box::new(asked);
            // Without a driver nothing can be done.
            events.send(Event::Claimed { run, claimed, asked }).ok();
        })
    }

    /// Begins an epoch in the place of one that has ended.
    pub(super) fn begin_epoch(&self, before: i64) {
        let lease = self.lease;
        let begin = move |connection: &mut Connection| store::epoch_begin_in_txn(connection, lease, Some(before));
        self.write("beginning an epoch", begin, move |begun| Event::EpochBegun { before, begun });
    }

    /// Ends the last epoch. `in_order` says that the history lacks nothing that happened.
    pub(super) fn end_epoch(&self, epoch: i64, in_order: bool) {
        let end = move |connection: &mut Connection| store::epoch_end_in_txn(connection, epoch, in_order);
        if let Err(error) = self.store.write_blocking("closing", end) {
            tracing::warn!(%error, "the next start will assume that attempts were interrupted");
        }
    }

    /// Reads histories. One that cannot be read keeps no other from being read.
    pub(super) fn read_histories(&self, reading: Reading) {
        let Reading { epoch, version, runner, rows } = reading;
        let rows: Arc<[RunRow]> = rows.into();
        let unread = Arc::clone(&rows);
        let read = move |connection: &mut Connection| -> JobResult<Vec<HistoryRead>> {
            let read = rows.iter().map(|row| {
                let events = event_list(connection, row.id).map_err(|error| error.into_error("reading a history"));
                match events {
                    // On a new connection it may be read.
                    Err(error @ StoreError::Unavailable { .. }) => Err(error.into()),
                    events => Ok((row.clone(), events.map_err(Arc::new))),
                }
            });
            read.collect()
        };
        self.read("reading histories", read, move |runs| {
            let runs = runs.unwrap_or_else(|error| {
                let error = Arc::new(error);
                unread.iter().map(|row| (row.clone(), Err(Arc::clone(&error)))).collect()
            });
            Event::Loaded { epoch, version, runner, runs }
        });
    }

    /// Counts the finished runs that count against the limit.
    pub(super) fn count_finished(&self) {
        self.read("counting runs", store::run_count_finished, Event::FinishedCounted);
    }

    /// Does one step of removing expired runs and logs.
    pub(super) fn prune(&self, policy: Retention, progress: Progress, now: Timestamp) {
        let step = move |connection: &mut Connection| step_in_txn(connection, &policy, &progress, now, false);
        self.write("removing expired runs and logs", step, Event::Pruned);
    }

    fn write<T, E>(
        &self,
        doing: &'static str,
        change: impl FnMut(&mut Connection) -> Result<T, E> + Send + 'static,
        answer: impl FnOnce(Result<T, StoreError>) -> Event + Clone + Send + 'static,
    ) where
        T: Send + 'static,
        E: Into<JobError>,
    {
        let (events, if_queued) = (self.events.clone(), answer.clone());
        // Without a driver nobody waits for the answer, here and below.
        let queued = self.store.write_detached(doing, change, move |done| drop(events.send(if_queued(done))));
        if let Err(error) = queued {
            self.events.send(answer(Err(error))).ok();
        }
    }

    fn read<T, E>(
        &self,
        doing: &'static str,
        query: impl FnMut(&mut Connection) -> Result<T, E> + Send + 'static,
        answer: impl FnOnce(Result<T, StoreError>) -> Event + Clone + Send + 'static,
    ) where
        T: Send + 'static,
        E: Into<JobError>,
    {
        let (events, if_queued) = (self.events.clone(), answer.clone());
        let queued = self.store.read_detached(doing, query, move |done| drop(events.send(if_queued(done))));
        if let Err(error) = queued {
            self.events.send(answer(Err(error))).ok();
        }
    }
}
