//! Removing runs and parts of them, and what retention finds, on both databases.
//!
//! What is removed goes in many small transactions; between any two of them nothing may be seen that is half gone.

use std::time::Duration;

use cloacina_workflow::{Level, Timestamp};
use diesel::{QueryDsl, RunQueryDsl};

use super::{
    Commit, Connection, EventRow, JobError, JobResult, Kind, LogRow, RunSearch, RunUpdate, event_list, log_list_oldest,
    removal_enlist_in_txn, removal_sweep_in_txn, run_by_key, run_count_due, run_count_finished, run_dismiss_in_txn,
    run_get, run_list_oldest, run_search, schema,
    testing::TestDatabase,
    tests::{Fixture, now, on_both},
};
use crate::{
    core::{effect::after, run::State},
    id::RunId,
    retention::{Class, What},
};

on_both! {
    a_deleted_run_is_gone_at_once_and_its_rows_little_by_little,
    only_runs_that_have_ended_are_removed,
    an_interrupted_removal_goes_on,
    what_was_written_goes_and_the_rest_of_the_history_stays,
    a_history_goes_and_its_run_stays,
    the_oldest_of_each_class_are_found,
}

fn write<T: Send + 'static, E: Into<JobError>>(
    fixture: &Fixture,
    change: impl FnMut(&mut Connection) -> Result<T, E> + Send + 'static,
) -> T {
    fixture.store.write_blocking("test", change).unwrap()
}

fn later(seconds: u64) -> Timestamp {
    after(now(), Duration::from_secs(seconds))
}

/// A run that ended, with so many tasks that wrote something, and as many lines.
fn ended(fixture: &Fixture, state: State, at: Timestamp, n_tasks: i32) -> RunId {
    let run = RunId::new(now());
    let mut create = fixture.create(run);
    create.create.as_mut().unwrap().key = Some(run.to_string());
    create.events.extend((0..n_tasks).map(|task| EventRow {
        sequence: i64::from(task) + 1,
        kind: Kind::TaskCompleted,
        task: Some(task),
        attempt: Some(1),
        at,
        started_at: None,
        cpu_us: None,
        peak_bytes: None,
        payload: Some(b"{\"set\":{}}".to_vec()),
    }));
    let finish = RunUpdate { state, started_at: None, finished_at: Some(at) };
    fixture.commit(vec![Commit { update: Some(finish), ..create }]);
    for task in 0..n_tasks {
        let line = LogRow {
            run,
            task,
            attempt: 1,
            at,
            level: Level::Info,
            target: String::new(),
            message: String::new(),
            fields: String::new(),
            n_dropped: 0,
        };
        fixture.store.logs().push(line).unwrap();
    }
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(fixture.store.log_flush()).unwrap();
    run
}

fn enlist(fixture: &Fixture, what: What, runs: &[RunId]) -> usize {
    let runs = runs.to_vec();
    write(fixture, move |connection| removal_enlist_in_txn(connection, what, &runs, later(100)))
}

/// Sweeps to the end, and says how many rows went in each transaction.
fn sweep(fixture: &Fixture, n_rows_max: usize) -> Vec<usize> {
    let mut sizes = Vec::new();
    loop {
        let swept = write(fixture, move |connection| removal_sweep_in_txn(connection, n_rows_max));
        assert!(swept.n_rows <= n_rows_max + 1, "{swept:?}");
        sizes.push(swept.n_rows);
        if !swept.is_more {
            return sizes;
        }
    }
}

fn n_rows(fixture: &Fixture) -> (i64, i64, i64) {
    write(fixture, |connection| {
        JobResult::Ok((
            schema::event::table.count().get_result(connection)?,
            schema::log::table.count().get_result(connection)?,
            schema::removal::table.count().get_result(connection)?,
        ))
    })
}

fn a_deleted_run_is_gone_at_once_and_its_rows_little_by_little(fixture: Fixture) {
    let (gone, kept) = (ended(&fixture, State::Completed, now(), 50), ended(&fixture, State::Completed, now(), 3));
    assert_eq!(enlist(&fixture, What::Run, &[gone]), 1);
    let key = gone.to_string();
    assert_eq!(write(&fixture, move |connection| run_by_key(connection, &key)), None);
    let listed = write(&fixture, |connection| run_search(connection, &RunSearch { n_max: 10, ..RunSearch::default() }));
    assert_eq!(listed.iter().map(|found| found.row.id).collect::<Vec<_>>(), [kept]);
    assert_eq!(n_rows(&fixture), (51 + 4, 50 + 3, 1));
    let sizes = sweep(&fixture, 10);
    assert!(sizes.len() >= 10, "{sizes:?}");
    assert_eq!(sizes.iter().sum::<usize>(), 51 + 50 + 1);
    assert_eq!(n_rows(&fixture), (4, 3, 0));
    assert_eq!(fixture.history(kept).len(), 4);
}

fn only_runs_that_have_ended_are_removed(fixture: Fixture) {
    let open = RunId::new(now());
    fixture.commit(vec![fixture.create(open)]);
    for what in What::ALL {
        assert_eq!(enlist(&fixture, what, &[open, RunId::new(now())]), 0);
    }
    assert_eq!((sweep(&fixture, 10), fixture.history(open).len()), (vec![0], 1));
}

fn an_interrupted_removal_goes_on(fixture: Fixture) {
    let run = ended(&fixture, State::Completed, now(), 20);
    enlist(&fixture, What::Run, &[run]);
    let swept = write(&fixture, |connection| removal_sweep_in_txn(connection, 7));
    assert_eq!((swept.n_rows, swept.is_more), (7, true));
    let fixture = fixture.reopen();
    sweep(&fixture, 7);
    assert_eq!(n_rows(&fixture), (0, 0, 0));
}

fn what_was_written_goes_and_the_rest_of_the_history_stays(fixture: Fixture) {
    let run = ended(&fixture, State::Completed, now(), 30);
    assert_eq!(enlist(&fixture, What::Context, &[run]), 1);
    assert_eq!(enlist(&fixture, What::Context, &[run]), 0, "once is enough");
    sweep(&fixture, 8);
    let row = write(&fixture, move |connection| run_get(connection, run)).unwrap();
    assert_eq!((row.context_pruned_at, row.events_pruned_at), (Some(later(100)), None));
    let events = write(&fixture, move |connection| event_list(connection, run));
    assert_eq!(events.len(), 31);
    assert!(events.iter().all(|event| event.payload.is_none()));
    assert_eq!(n_rows(&fixture), (31, 30, 0));
}

fn a_history_goes_and_its_run_stays(fixture: Fixture) {
    let run = ended(&fixture, State::Failed, now(), 5);
    // Whatever is removed of one run in several ways is gone in the end.
    for what in [What::Context, What::Events] {
        assert_eq!(enlist(&fixture, what, &[run]), 1);
    }
    sweep(&fixture, 3);
    let row = write(&fixture, move |connection| run_get(connection, run)).unwrap();
    assert_eq!((row.state, row.events_pruned_at), (State::Failed, Some(later(100))));
    assert_eq!(n_rows(&fixture), (0, 5, 0));
    enlist(&fixture, What::Run, &[run]);
    sweep(&fixture, 3);
    assert_eq!(n_rows(&fixture), (0, 0, 0));
}

fn the_oldest_of_each_class_are_found(fixture: Fixture) {
    let completed: Vec<RunId> = [3, 1, 2].map(|at| ended(&fixture, State::Completed, later(at), 1)).to_vec();
    let dead = ended(&fixture, State::Failed, later(1), 0);
    let dismissed = ended(&fixture, State::Failed, later(2), 0);
    write(&fixture, move |connection| run_dismiss_in_txn(connection, dismissed, "ada", later(9)));
    fixture.commit(vec![fixture.create(RunId::new(now()))]);

    let oldest = |what, class, from, n_max| {
        let list = move |connection: &mut Connection| run_list_oldest(connection, (what, class), from, n_max);
        write(&fixture, list).iter().map(|run| run.id).collect::<Vec<_>>()
    };
    let from = Timestamp::from_unix_micros(0);
    assert_eq!(oldest(What::Run, Class::Completed, from, 2), [completed[1], completed[2]]);
    assert_eq!(oldest(What::Run, Class::Completed, later(2), 9), [completed[2], completed[0]]);
    assert_eq!(oldest(What::Run, Class::DeadLetter, from, 9), [dead]);
    assert_eq!(oldest(What::Run, Class::Failed, from, 9), [dismissed]);
    assert_eq!(oldest(What::Run, Class::Cancelled, from, 9), []);
    enlist(&fixture, What::Context, &completed[..2]);
    assert_eq!(oldest(What::Context, Class::Completed, from, 9), [completed[2]]);
    assert_eq!(oldest(What::Events, Class::Completed, from, 9).len(), 3);
    assert_eq!(write(&fixture, run_count_finished), 4);
    assert_eq!(write(&fixture, |connection| log_list_oldest(connection, 2)).len(), 2);

    let due = move |connection: &mut Connection| run_count_due(connection, (What::Run, Class::Completed), later(2));
    let due = write(&fixture, due);
    assert_eq!(due.iter().map(|(_, n_runs)| *n_runs).collect::<Vec<_>>(), [2]);
}
