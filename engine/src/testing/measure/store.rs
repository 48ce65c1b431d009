//! The store by itself: a load pushed straight at the group-commit writer.
//!
//! As with an engine, so many runs are under way at once, and the next commit of a run is handed over when the one
//! before is durable. What is answered together is followed up together.

use std::{
    collections::VecDeque,
    sync::mpsc,
    time::{Duration, Instant},
};

use cloacina_workflow::Timestamp;

use super::{Load, MeasureError, Measured};
use crate::{
    Engine,
    clock::{Clock, SystemClock},
    id::{TENANT_DEFAULT, WorkflowId},
    store::{
        self, Answers, Commit, Connection, Database, JobResult, LEASE_DEFAULT, Outcome, Store, WorkflowKey,
        epoch_begin_in_txn,
    },
};

/// How many transactions the engine has committed since it was started.
#[must_use]
pub fn n_transactions(engine: &Engine) -> u64 {
    engine.shared.store().n_transactions()
}

/// Pushes the load at the writer of the store in that database.
///
/// # Errors
/// What the store says, or that it did not write something.
pub fn measure_store(address: &str, load: &Load) -> Result<Measured, MeasureError> {
    let (answer, answers) = mpsc::channel();
    let send: Answers = Box::new(move |outcomes| {
        // A measurement that was given up waits for no answers.
        answer.send(outcomes).ok();
    });
    let (store, workflow, epoch) = open(address, send)?;
    let measured = push(&store, &answers, load.commits(workflow, epoch), load.at_once);
    store.close();
    measured
}

/// Opens a store with a workflow to which runs may refer, as the engine does.
pub(super) fn open(address: &str, answers: Answers) -> Result<(Store, WorkflowId, i64), MeasureError> {
    let database = Database::parse(address)?;
    let store = Store::open(store::Options::new(database, answers))?;
    let now = SystemClock.now();
    let prepared = store.write_blocking("preparing a measurement", move |connection| prepare(connection, now));
    match prepared {
        Ok((workflow, epoch)) => {
            store.keep_lease(epoch);
            Ok((store, workflow, epoch))
        }
        Err(error) => {
            store.close();
            Err(error.into())
        }
    }
}

fn prepare(connection: &mut Connection, now: Timestamp) -> JobResult<(WorkflowId, i64)> {
    let key = WorkflowKey {
        tenant: TENANT_DEFAULT.to_owned(),
        package: "bench".to_owned(),
        name: "load".to_owned(),
        digest: Vec::new(),
        fingerprint: String::new(),
    };
    let workflow = store::workflow_ensure_in_txn(connection, &key, r#"{"name":"load","tasks":[]}"#, now)?;
    Ok((workflow, epoch_begin_in_txn(connection, LEASE_DEFAULT, None)?))
}

#[expect(clippy::disallowed_methods, reason = "a measurement reads the clock")]
fn push(
    store: &Store,
    answers: &mpsc::Receiver<Vec<Outcome>>,
    runs: Vec<Vec<Commit>>,
    at_once: usize,
) -> Result<Measured, MeasureError> {
    let committer = store.committer()?;
    let n_commits = runs.iter().map(Vec::len).sum();
    let mut latencies: Vec<Duration> = Vec::with_capacity(n_commits);
    let mut waiting = runs.into_iter().map(Vec::into_iter);
    // The commits that wait for their answers, oldest first, each with what is left of its run.
    let mut under_way = VecDeque::with_capacity(at_once);
    let n_before = store.n_transactions();
    let begin = Instant::now();
    let mut free = at_once;
    let mut next = Vec::with_capacity(at_once);
    loop {
        while free > 0
            && let Some(mut run) = waiting.next()
        {
            if let Some(commit) = run.next() {
                next.push(commit);
                under_way.push_back((begin.elapsed(), run));
                free -= 1;
            }
        }
        if !next.is_empty() {
            committer.commit(std::mem::take(&mut next))?;
        }
        if under_way.is_empty() {
            break;
        }
        let outcomes = answers.recv().map_err(|_| store::Error::Closed)?;
        let answered = begin.elapsed();
        for outcome in outcomes {
            if !matches!(outcome, Outcome::Committed) {
                return Err(MeasureError::NotWritten { outcome: format!("{outcome:?}") });
            }
            let Some((sent, mut run)) = under_way.pop_front() else { continue };
            latencies.push(answered.saturating_sub(sent));
            match run.next() {
                Some(commit) => {
                    next.push(commit);
                    under_way.push_back((answered, run));
                }
                None => free += 1,
            }
        }
    }
    Ok(Measured { elapsed: begin.elapsed(), latencies, n_transactions: store.n_transactions() - n_before })
}
