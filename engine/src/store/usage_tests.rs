//! What attempts used up: counted once, summed without taking the unknown for nothing, and only of the runs in question.
//!
//! Written once and run on both databases; that indexes lead there is seen in SQLite's own plan.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use cloacina_workflow::Timestamp;
use diesel::{
    Connection as _, RunQueryDsl,
    connection::{InstrumentationEvent, SimpleConnection},
    sql_query,
    sql_types::Text,
};

use super::{
    Commit, Connection, EventRow, Kind, RunUpdate, UsageSearch, UsageSum,
    connection::{self, Access},
    testing::TestDatabase,
    tests::{Fixture, names, now, on_both},
    usage::UsageRuns,
    usage_count_runs, usage_list, usage_sum, workflow_ensure_in_txn,
};
use crate::{
    core::run::State,
    id::{RunId, WorkflowId},
};

on_both! {
    each_attempt_and_callback_is_listed_once,
    sums_count_what_is_known_apart_from_what_is_not,
    only_runs_of_the_time_and_the_workflows_count,
    runs_without_a_history_are_counted_apart,
}

const MIB: i64 = 1 << 20;

fn after(wait: Duration) -> Timestamp {
    Timestamp::from_unix_micros(now().unix_micros() + wait.as_micros() as u64)
}

fn row(
    kind: Kind,
    task: i32,
    attempt: Option<i32>,
    took_us: Option<u64>,
    used: (Option<i64>, Option<i64>),
) -> EventRow {
    let at = after(Duration::from_secs(1));
    EventRow {
        sequence: 0,
        kind,
        task: Some(task),
        attempt,
        at,
        started_at: took_us.map(|took| Timestamp::from_unix_micros(at.unix_micros() - took)),
        payload: None,
        cpu_us: used.0,
        peak_bytes: used.1,
    }
}

/// A run in which everything happens that ends an attempt, and much that does not.
fn rows() -> Vec<EventRow> {
    let unknown = (None, None);
    vec![
        row(Kind::AttemptStarted, 0, Some(1), None, unknown),
        row(Kind::AttemptFailed, 0, Some(1), Some(400), (Some(30), Some(9 * MIB))),
        row(Kind::AttemptFenced, 0, Some(1), Some(7_000), (Some(7_000), Some(70 * MIB))),
        row(Kind::AttemptInterrupted, 0, Some(2), None, unknown),
        row(Kind::AttemptLost, 0, Some(3), Some(50), unknown),
        row(Kind::TaskCompleted, 0, Some(4), Some(100), (Some(12), None)),
        row(Kind::CallbackCompleted, 0, None, Some(5), (Some(2), None)),
        row(Kind::TaskReused, 1, Some(3), Some(1_000), (Some(1_000), Some(80 * MIB))),
        row(Kind::TaskSkipped, 2, Some(0), None, unknown),
        row(Kind::TaskCancelled, 3, None, None, unknown),
        row(Kind::TaskCancelled, 4, Some(1), Some(60), unknown),
        row(Kind::TaskFailed, 5, Some(1), Some(20), (Some(0), Some(MIB))),
    ]
}

/// Writes a run with that history.
fn write(fixture: &Fixture, workflow: WorkflowId, created_at: Timestamp, rows: Vec<EventRow>) -> RunId {
    let run = RunId::new(created_at);
    let mut create = fixture.create(run);
    if let Some(new) = &mut create.create {
        (new.created_at, new.workflow) = (created_at, workflow);
    }
    let numbered = rows.into_iter().zip(1..).map(|(row, sequence)| EventRow { sequence, ..row });
    create.events.extend(numbered);
    let finish = RunUpdate { state: State::Failed, started_at: None, finished_at: Some(created_at) };
    assert_eq!(names(&fixture.commit(vec![Commit { update: Some(finish), ..create }])), ["Committed"]);
    run
}

fn sums(fixture: &Fixture, search: &UsageSearch) -> Vec<UsageSum> {
    let search = search.clone();
    let read = move |connection: &mut Connection| usage_sum(connection, &search);
    let mut sums = fixture.store.write_blocking("test", read).unwrap();
    sums.sort_by_key(|sum| (sum.workflow.as_bytes().to_vec(), sum.task));
    sums
}

fn counts(fixture: &Fixture, search: &UsageSearch) -> Vec<UsageRuns> {
    let search = search.clone();
    let read = move |connection: &mut Connection| usage_count_runs(connection, &search);
    fixture.store.write_blocking("test", read).unwrap()
}

fn of(workflows: &[WorkflowId]) -> UsageSearch {
    UsageSearch { workflows: workflows.to_vec(), ..UsageSearch::default() }
}

fn each_attempt_and_callback_is_listed_once(fixture: Fixture) {
    let run = write(&fixture, fixture.workflow, now(), rows());
    write(&fixture, fixture.workflow, now(), rows());
    let read = move |connection: &mut Connection| usage_list(connection, run);
    let ends = fixture.store.write_blocking("test", read).unwrap();
    let listed: Vec<_> = ends.iter().map(|end| (end.kind, end.task, end.attempt, end.cpu_us, end.peak_bytes)).collect();
    assert_eq!(
        listed,
        [
            (Kind::AttemptFailed, 0, Some(1), Some(30), Some(9 * MIB)),
            (Kind::AttemptInterrupted, 0, Some(2), None, None),
            (Kind::AttemptLost, 0, Some(3), None, None),
            (Kind::TaskCompleted, 0, Some(4), Some(12), None),
            (Kind::CallbackCompleted, 0, None, Some(2), None),
            (Kind::TaskCancelled, 4, Some(1), None, None),
            (Kind::TaskFailed, 5, Some(1), Some(0), Some(MIB)),
        ]
    );
    assert_eq!(ends[0].started_at.map(|began| ends[0].at.unix_micros() - began.unix_micros()), Some(400));
    let nobody = RunId::new(now());
    let read = move |connection: &mut Connection| usage_list(connection, nobody);
    assert_eq!(fixture.store.write_blocking("test", read).unwrap(), []);
}

fn sums_count_what_is_known_apart_from_what_is_not(fixture: Fixture) {
    let workflow = fixture.workflow;
    write(&fixture, workflow, now(), rows());
    write(&fixture, workflow, now(), rows());
    let nothing = UsageSum {
        workflow,
        task: 4,
        n_attempts: 2,
        n_callbacks: 0,
        n_timed: 2,
        time_us: 120,
        n_cpu: 0,
        cpu_us: 0,
        n_peak: 0,
        peak_bytes: None,
    };
    let first = UsageSum {
        task: 0,
        n_attempts: 8,
        n_callbacks: 2,
        n_timed: 8,
        time_us: 2 * 555,
        n_cpu: 6,
        cpu_us: 2 * 44,
        n_peak: 2,
        peak_bytes: Some(9 * MIB),
        ..nothing.clone()
    };
    let last = UsageSum { task: 5, time_us: 40, n_cpu: 2, n_peak: 2, peak_bytes: Some(MIB), ..nothing.clone() };
    assert_eq!(sums(&fixture, &of(&[workflow])), [first, nothing, last]);
    assert_eq!(sums(&fixture, &of(&[])), []);
}

fn only_runs_of_the_time_and_the_workflows_count(fixture: Fixture) {
    let key = super::WorkflowKey { name: "other".to_owned(), ..super::tests::key() };
    let ensure = move |connection: &mut Connection| workflow_ensure_in_txn(connection, &key, "{}", now());
    let other = fixture.store.write_blocking("test", ensure).unwrap();
    let hour = |n_hours: u64| after(Duration::from_secs(3_600 * n_hours));
    let one = || vec![row(Kind::TaskCompleted, 0, Some(1), Some(1), (None, None))];
    for n_hours in 0..4 {
        write(&fixture, fixture.workflow, hour(n_hours), one());
    }
    write(&fixture, other, hour(2), one());
    let n_of = |search: &UsageSearch| {
        let n_attempts: i64 = sums(&fixture, search).iter().map(|sum| sum.n_attempts).sum();
        let n_runs: i64 = counts(&fixture, search).iter().map(|count| count.n_runs).sum();
        assert_eq!(n_attempts, n_runs, "{search:?}");
        n_runs
    };
    let (from, before) = (Some(hour(1)), Some(hour(3)));
    let both = of(&[fixture.workflow, other]);
    assert_eq!(n_of(&both), 5);
    assert_eq!(n_of(&UsageSearch { created_from: from, ..both.clone() }), 4);
    assert_eq!(n_of(&UsageSearch { created_before: before, ..both.clone() }), 4);
    assert_eq!(n_of(&UsageSearch { created_from: from, created_before: before, ..both }), 3);
    assert_eq!(n_of(&UsageSearch { created_from: from, created_before: before, ..of(&[fixture.workflow]) }), 2);
    let later = Timestamp::from_unix_micros(hour(1).unix_micros() + 1);
    assert_eq!(n_of(&UsageSearch { created_from: Some(later), ..of(&[fixture.workflow]) }), 2);
}

fn runs_without_a_history_are_counted_apart(fixture: Fixture) {
    let workflow = fixture.workflow;
    write(&fixture, workflow, now(), rows());
    write(&fixture, workflow, now(), Vec::new());
    let prune =
        "UPDATE run SET events_pruned_at = 1 WHERE NOT EXISTS (SELECT 1 FROM event WHERE run = id AND sequence > 0)";
    fixture.store.write_blocking("test", |connection| connection.batch_execute(prune)).unwrap();
    assert_eq!(counts(&fixture, &of(&[workflow])), [UsageRuns { workflow, n_runs: 2, n_pruned: 1 }]);
}

#[derive(diesel::QueryableByName)]
struct Step {
    #[diesel(sql_type = Text)]
    detail: String,
}

/// Each table by an index, none of them as a whole.
#[test]
fn a_question_about_a_time_looks_at_the_runs_of_that_time_alone() {
    let fixture = Fixture::new(TestDatabase::sqlite());
    let search = UsageSearch { created_from: Some(now()), created_before: Some(now()), ..of(&[fixture.workflow]) };
    let place = fixture.database.place();
    let mut view = connection::open(&place, Access::Read).unwrap();
    let Connection::Sqlite(sqlite) = &mut view else { unreachable!() };
    let asked = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&asked);
    sqlite.set_instrumentation(move |event: InstrumentationEvent<'_>| {
        if let InstrumentationEvent::StartQuery { query, .. } = event {
            told.lock().unwrap().push(query.to_string());
        }
    });
    usage_sum(&mut view, &search).unwrap();
    let query = asked.lock().unwrap().pop().unwrap();
    let (query, _) = query.split_once("--").unwrap();
    let steps: Vec<Step> = match &mut view {
        Connection::Sqlite(sqlite) => sql_query(format!("EXPLAIN QUERY PLAN {query}")).load(sqlite).unwrap(),
        Connection::Postgres(_) => unreachable!(),
    };
    let steps: Vec<String> = steps.into_iter().map(|step| step.detail).collect();
    // Either table may come first.
    let is_range = |step: &String| step.ends_with("(id>? AND id<?)") || step.ends_with("(run>? AND run<?)");
    let n_searches = steps.iter().filter(|step| step.starts_with("SEARCH ") && step.contains(" USING INDEX ")).count();
    assert!(n_searches == 2 && steps.iter().any(is_range), "{steps:?}");
    assert!(!steps.iter().any(|step| step.starts_with("SCAN")), "{steps:?}");
}
