//! The store's contract on real databases: atomic, fenced, once, and no stranger pays for another's mistake.
//!
//! Each behavior is written once and run on SQLite and on PostgreSQL; what only one of them has stands at the end, or
//! in `server_tests`. Commits are made by hand here; what they mean is of no interest.

use std::sync::mpsc::{self, Receiver};

use cloacina_workflow::Timestamp;
use diesel::{QueryResult, RunQueryDsl, connection::SimpleConnection, result::Error as DieselError};

use super::{
    Commit, Committer, Connection, Database, Error, EventRow, JobResult, Kind, LEASE_DEFAULT, NewRun, Options, Outcome,
    RunSearch, RunUpdate, Store, WorkflowKey, epoch_begin_in_txn, epoch_end_in_txn, event_list,
    event_payload_list_with, run_by_key, run_dismiss_in_txn, run_get, run_search, run_take_over, schema,
    testing::TestDatabase, workflow_ensure_in_txn, workflow_get, workflow_list,
};
use crate::{
    core::run::State,
    id::{RunId, WorkflowId},
};

/// A store on a database of its own, with the outcomes that it tells.
pub(super) struct Fixture {
    pub(super) store: Store,
    pub(super) outcomes: Receiver<Vec<Outcome>>,
    pub(super) workflow: WorkflowId,
    pub(super) epoch: i64,
    pub(super) database: TestDatabase,
}

/// Tests of what both databases do, each under a module of its name.
macro_rules! on_both {
    ($($name:ident,)*) => {
        mod sqlite {
            $(#[test] fn $name() { super::$name(super::Fixture::new(super::TestDatabase::sqlite())); })*
        }
        mod postgres {
            $(#[test] fn $name() { super::$name(super::Fixture::new(super::TestDatabase::postgres())); })*
        }
    };
}
pub(super) use on_both;

impl Fixture {
    pub(super) fn new(database: TestDatabase) -> Self {
        let mut fixture = Self::at(database).map_err(|failed| failed.0).unwrap();
        fixture.epoch = fixture.begin();
        fixture
    }

    /// Opens a database without owning its runs.
    fn at(database: TestDatabase) -> Result<Self, Box<(Error, TestDatabase)>> {
        let (outcome, outcomes) = mpsc::channel();
        let answers = Box::new(move |outcomes| outcome.send(outcomes).unwrap());
        let store = match Store::open(Options::new(database.database.clone(), answers)) {
            Ok(store) => store,
            Err(error) => return Err(Box::new((error, database))),
        };
        let ensure = |connection: &mut _| workflow_ensure_in_txn(connection, &key(), "{}", now());
        let workflow = store.write_blocking("test", ensure).unwrap();
        Ok(Self { store, outcomes, workflow, epoch: 0, database })
    }

    pub(super) fn reopen(self) -> Self {
        self.store.close();
        let epoch = self.epoch;
        Self { epoch, ..Self::at(self.database).map_err(|failed| failed.0).unwrap() }
    }

    /// Makes that engine look as if it had not been heard of for long.
    pub(super) fn expire(&self, epoch: i64) {
        let expire = format!("UPDATE owner SET lease_until = 1 WHERE epoch = {epoch}");
        self.store.write_blocking("test", move |connection| connection.batch_execute(&expire)).unwrap();
    }

    pub(super) fn begin(&self) -> i64 {
        begin(&self.store)
    }

    /// The runs that are taken over, and whether their engine had closed in order.
    pub(super) fn take_over(&self, epoch: i64) -> Vec<(RunId, bool)> {
        take_over(&self.store, epoch)
    }

    /// The epochs that are in the table.
    fn owners(&self) -> Vec<i64> {
        use diesel::QueryDsl;
        let owners = |connection: &mut _| {
            schema::owner::table.select(schema::owner::epoch).order(schema::owner::epoch).load(connection)
        };
        self.store.write_blocking("test", owners).unwrap()
    }

    pub(super) fn committer(&self) -> Committer {
        self.store.committer().unwrap()
    }

    /// Commits as one message, which is one group.
    pub(super) fn commit(&self, commits: Vec<Commit>) -> Vec<Outcome> {
        self.committer().commit(commits).unwrap();
        self.outcomes.recv().unwrap()
    }

    pub(super) fn create(&self, run: RunId) -> Commit {
        let new = NewRun {
            workflow: self.workflow,
            state: State::Running,
            created_at: now(),
            started_at: None,
            key: None,
            by: None,
        };
        let events = vec![event(0, Kind::RunCreated, None)];
        Commit { run, epoch: self.epoch, term: 0, create: Some(new), events, update: None }
    }

    pub(super) fn history(&self, run: RunId) -> Vec<(i64, Kind)> {
        let read = move |connection: &mut _| event_list(connection, run);
        let rows = self.store.write_blocking("test", read).unwrap();
        rows.into_iter().map(|row| (row.sequence, row.kind)).collect()
    }
}

pub(super) fn begin(store: &Store) -> i64 {
    store.write_blocking("test", |connection| epoch_begin_in_txn(connection, LEASE_DEFAULT, None)).unwrap()
}

pub(super) fn take_over(store: &Store, epoch: i64) -> Vec<(RunId, bool)> {
    let take = move |connection: &mut _| run_take_over(connection, epoch, &mut |_| true);
    let taken = store.write_blocking("test", take).unwrap();
    taken.runs.iter().map(|orphan| (orphan.row.id, orphan.closed_in_order)).collect()
}

pub(super) fn now() -> Timestamp {
    Timestamp::from_unix_micros(1_700_000_000_000_000)
}

pub(super) fn key() -> WorkflowKey {
    WorkflowKey {
        tenant: "public".to_owned(),
        package: String::new(),
        name: "w".to_owned(),
        digest: Vec::new(),
        fingerprint: String::new(),
    }
}

fn event(sequence: i64, kind: Kind, task: Option<i32>) -> EventRow {
    let payload = Some(b"{}".to_vec());
    EventRow {
        sequence,
        kind,
        task,
        attempt: task.map(|_| 1),
        at: now(),
        started_at: None,
        payload,
        cpu_us: None,
        peak_bytes: None,
    }
}

pub(super) fn completed(run: RunId, epoch: i64, sequence: i64, task: i32) -> Commit {
    let events = vec![event(sequence, Kind::TaskCompleted, Some(task))];
    Commit { run, epoch, term: 0, create: None, events, update: None }
}

pub(super) fn names(outcomes: &[Outcome]) -> Vec<String> {
    let name = |outcome: &Outcome| match outcome {
        Outcome::Failed(error, _) => error.code().to_owned(),
        other => format!("{other:?}"),
    };
    outcomes.iter().map(name).collect()
}

on_both! {
    what_was_committed_is_there_after_reopening,
    a_commit_of_another_epoch_is_fenced_and_writes_nothing,
    an_attempt_ends_once,
    what_tasks_left_is_found_by_a_text_in_it,
    only_the_culprit_gets_the_error_and_its_run_stops,
    what_queues_up_while_a_group_is_written_becomes_one_group,
    a_job_that_ends_with_its_own_error_leaves_its_group_alone,
    a_query_of_a_reader_gives_its_own_error_back,
    a_change_that_fails_leaves_the_others_alone,
    a_schema_from_the_future_is_left_alone,
    a_new_epoch_takes_over_what_is_unfinished,
    what_nobody_here_can_run_stays_for_another,
    an_engine_that_leaves_no_run_leaves_nothing,
    a_workflow_is_kept_once,
    a_closed_store_says_so,
    every_name_of_a_state_or_kind_is_allowed_by_the_schema,
    times_that_are_absent_stay_as_they_were,
    a_large_group_is_written_whole,
    a_submission_key_is_taken_once,
    failed_runs_are_listed_until_they_are_dismissed,
    what_a_commit_says_of_a_run_that_it_creates_is_written,
}

fn what_was_committed_is_there_after_reopening(fixture: Fixture) {
    let run = RunId::new(now());
    let finish = RunUpdate { state: State::Completed, started_at: None, finished_at: Some(now()) };
    let end = Commit { update: Some(finish), ..completed(run, fixture.epoch, 1, 0) };
    assert_eq!(names(&fixture.commit(vec![fixture.create(run), end])), ["Committed", "Committed"]);

    let fixture = fixture.reopen();
    assert_eq!(fixture.history(run), [(0, Kind::RunCreated), (1, Kind::TaskCompleted)]);
    let rows = fixture
        .store
        .write_blocking("test", |connection| run_search(connection, &RunSearch { n_max: 10, ..RunSearch::default() }))
        .unwrap();
    assert_eq!(rows.len(), 1);
    let row = &rows[0].row;
    assert_eq!((row.id, row.state, row.finished_at), (run, State::Completed, Some(now())));
    assert_eq!((rows[0].n_completed, rows[0].is_driven), (1, false));
}

fn a_commit_of_another_epoch_is_fenced_and_writes_nothing(fixture: Fixture) {
    let run = RunId::new(now());
    fixture.commit(vec![fixture.create(run)]);
    let finish = RunUpdate { state: State::Completed, started_at: None, finished_at: None };
    let stale = Commit { update: Some(finish), ..completed(run, fixture.epoch + 1, 1, 0) };
    let unknown = completed(RunId::new(now()), fixture.epoch, 1, 0);
    let owned = completed(run, fixture.epoch, 1, 0);
    assert_eq!(names(&fixture.commit(vec![stale, unknown, owned])), ["Fenced", "Fenced", "Committed"]);
    assert_eq!(fixture.history(run), [(0, Kind::RunCreated), (1, Kind::TaskCompleted)]);
}

fn an_attempt_ends_once(fixture: Fixture) {
    let run = RunId::new(now());
    fixture.commit(vec![fixture.create(run), completed(run, fixture.epoch, 1, 0)]);
    assert_eq!(names(&fixture.commit(vec![completed(run, fixture.epoch, 2, 0)])), ["Duplicate"]);
    assert_eq!(names(&fixture.commit(vec![completed(run, fixture.epoch, 2, 1)])), ["Committed"]);
}

fn what_tasks_left_is_found_by_a_text_in_it(fixture: Fixture) {
    let (run, other) = (RunId::new(now()), RunId::new(now()));
    let left = |run, sequence, task: i32, kind, payload: &[u8]| {
        let mut commit = completed(run, fixture.epoch, sequence, task);
        commit.events[0] = EventRow { payload: Some(payload.to_vec()), ..event(sequence, kind, Some(task)) };
        commit
    };
    let marked: &[u8] = b"\xff\x00 'a.mark' \\";
    fixture.commit(vec![fixture.create(run), fixture.create(other)]);
    let commits = vec![
        left(run, 1, 0, Kind::TaskCompleted, marked),
        left(run, 2, 1, Kind::TaskCompleted, b"a mark"),
        left(run, 3, 2, Kind::TaskReused, b"a.mark"),
        left(run, 4, 3, Kind::TaskFailed, b"a.mark"),
        left(other, 1, 0, Kind::TaskCompleted, b"a.mark of another"),
    ];
    assert_eq!(names(&fixture.commit(commits)), ["Committed"; 5]);
    let find = move |text: &'static str| {
        let read = move |connection: &mut _| event_payload_list_with(connection, run, text);
        fixture.store.write_blocking("test", read).unwrap()
    };
    assert_eq!(find("a.mark"), [marked.to_vec(), b"a.mark".to_vec()]);
    assert_eq!(find("'a.mark' \\"), [marked.to_vec()]);
    assert_eq!(find("nothing"), Vec::<Vec<u8>>::new());
}

fn only_the_culprit_gets_the_error_and_its_run_stops(fixture: Fixture) {
    let runs: Vec<RunId> = (0..9).map(|_| RunId::new(now())).collect();
    fixture.commit(runs.iter().map(|run| fixture.create(*run)).collect());
    let mut commits: Vec<Commit> = runs.iter().map(|run| completed(*run, fixture.epoch, 1, 0)).collect();
    // The second row takes a number that is taken, after the first one was written.
    commits[5].events.push(event(0, Kind::RunStarted, None));
    commits.push(completed(runs[5], fixture.epoch, 3, 1));
    let mut expected = vec!["Committed"; 10];
    (expected[5], expected[9]) = ("STO0010", "STO0011");
    assert_eq!(names(&fixture.commit(commits)), expected);
    assert_eq!(fixture.history(runs[5]), [(0, Kind::RunCreated)]);
    assert_eq!(fixture.history(runs[6]).len(), 2);
}

fn what_queues_up_while_a_group_is_written_becomes_one_group(fixture: Fixture) {
    let held = hold_writer(&fixture.store);
    let committer = fixture.committer();
    for _ in 0..20 {
        committer.commit(vec![fixture.create(RunId::new(now()))]).unwrap();
    }
    drop(held);
    assert_eq!(fixture.outcomes.recv().unwrap().len(), 20);
}

/// Keeps the writer busy until the sender is dropped, so that what is queued meanwhile becomes one group.
pub(super) fn hold_writer(store: &Store) -> mpsc::Sender<()> {
    let (started, is_started) = mpsc::channel();
    let (held, released) = mpsc::channel::<()>();
    let hold = move |_: &mut Connection| -> QueryResult<()> {
        started.send(()).unwrap();
        // The sender says nothing, and is dropped in the end.
        released.recv().ok();
        Ok(())
    };
    store.write_detached("holding the writer", hold, Result::unwrap).unwrap();
    is_started.recv().unwrap();
    held
}

fn a_job_that_ends_with_its_own_error_leaves_its_group_alone(fixture: Fixture) {
    let (before, after) = (RunId::new(now()), RunId::new(now()));
    let held = hold_writer(&fixture.store);
    let n_transactions = fixture.store.n_transactions();
    let committer = fixture.committer();
    committer.commit(vec![fixture.create(before)]).unwrap();
    let (ended, answer) = mpsc::channel();
    let job = |connection: &mut Connection| -> JobResult<()> {
        connection.batch_execute("DELETE FROM event")?;
        Err(Error::Corrupt { reason: "a row cannot be".to_owned() }.into())
    };
    fixture.store.write_detached("changing", job, move |answer| ended.send(answer).unwrap()).unwrap();
    committer.commit(vec![fixture.create(after)]).unwrap();
    drop(held);
    assert_eq!(names(&fixture.outcomes.recv().unwrap()), ["Committed"; 2]);
    let error = answer.recv().unwrap().unwrap_err();
    assert!(matches!(&error, Error::Corrupt { reason } if reason == "a row cannot be"), "{error:?}");
    let of_both = [before, after].map(|run| fixture.history(run));
    assert_eq!(of_both, [[(0, Kind::RunCreated)], [(0, Kind::RunCreated)]], "what the job wrote is undone");
    // The one that held the writer, the group, and the two that read: the group was not halved.
    assert_eq!(fixture.store.n_transactions(), n_transactions + 4);
}

fn a_query_of_a_reader_gives_its_own_error_back(fixture: Fixture) {
    let query =
        |_: &mut Connection| JobResult::<()>::Err(Error::Corrupt { reason: "a row cannot be".to_owned() }.into());
    let error = fixture.store.read_blocking("reading", query).unwrap_err();
    assert!(matches!(&error, Error::Corrupt { reason } if reason == "a row cannot be"), "{error:?}");
}

fn a_change_that_fails_leaves_the_others_alone(fixture: Fixture) {
    let run = RunId::new(now());
    fixture.committer().commit(vec![fixture.create(run)]).unwrap();
    let failed: Result<(), Error> = fixture.store.write_blocking("changing", |connection| {
        connection.batch_execute("DELETE FROM event")?;
        Err(DieselError::NotFound)
    });
    let error = failed.unwrap_err();
    assert_eq!((error.code(), error.to_string().as_str()), ("STO0010", "changing failed"));
    assert_eq!(fixture.history(run).len(), 1);
}

fn a_schema_from_the_future_is_left_alone(fixture: Fixture) {
    let add = "INSERT INTO __diesel_schema_migrations (version) VALUES ('9999')";
    fixture.store.write_blocking("test", move |connection| connection.batch_execute(add)).unwrap();
    fixture.store.close();
    let (error, _database) = *Fixture::at(fixture.database).err().unwrap();
    assert!(matches!(&error, Error::NewerSchema { found, .. } if found == "9999"), "{error:?}");
}

fn a_new_epoch_takes_over_what_is_unfinished(fixture: Fixture) {
    let (open, done) = (RunId::new(now()), RunId::new(now()));
    let finish = RunUpdate { state: State::Failed, started_at: None, finished_at: Some(now()) };
    let ended = Commit { update: Some(finish), ..fixture.create(done) };
    fixture.commit(vec![fixture.create(open), ended]);
    fixture.expire(fixture.epoch);

    let second = fixture.begin();
    assert_eq!(second, fixture.epoch + 1);
    assert_eq!(fixture.take_over(second), [(open, false)]);
    assert_eq!(names(&fixture.commit(vec![completed(open, fixture.epoch, 1, 0)])), ["Fenced"]);
    assert_eq!(names(&fixture.commit(vec![completed(open, second, 1, 0)])), ["Committed"]);

    let close = |epoch| move |connection: &mut _| epoch_end_in_txn(connection, epoch, true);
    fixture.store.write_blocking("test", close(second)).unwrap();
    let third = fixture.begin();
    assert_eq!(third, second + 1);
    assert_eq!(fixture.take_over(third), [(open, true)]);
    assert_eq!(fixture.take_over(third), [], "they are its own now");
    assert_eq!(fixture.owners(), [third], "nothing is left of the others");
}

fn what_nobody_here_can_run_stays_for_another(fixture: Fixture) {
    let run = RunId::new(now());
    fixture.commit(vec![fixture.create(run)]);
    fixture.expire(fixture.epoch);
    let second = fixture.begin();
    let take = move |connection: &mut _| run_take_over(connection, second, &mut |row| row.key.name != "w");
    let taken = fixture.store.write_blocking("test", take).unwrap();
    assert!(taken.runs.is_empty() && taken.workflows.is_empty(), "{taken:?}");
    assert_eq!(taken.ended, [fixture.epoch]);
    assert_eq!(fixture.owners(), [fixture.epoch, second]);
    assert_eq!(fixture.take_over(second), [(run, false)], "what had ended without order did so for all its runs");
}

fn an_engine_that_leaves_no_run_leaves_nothing(fixture: Fixture) {
    let epoch = fixture.epoch;
    fixture.store.write_blocking("test", move |connection| epoch_end_in_txn(connection, epoch, true)).unwrap();
    assert!(fixture.owners().is_empty());
}

fn a_workflow_is_kept_once(fixture: Fixture) {
    let again = move |connection: &mut _| workflow_ensure_in_txn(connection, &key(), "{}", now());
    assert_eq!(fixture.store.write_blocking("test", again).unwrap(), fixture.workflow);
    let rows = fixture.store.write_blocking("test", workflow_list).unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!((rows[0].id, &rows[0].key), (fixture.workflow, &key()));
    let id = fixture.workflow;
    let got = fixture.store.write_blocking("test", move |connection| workflow_get(connection, id)).unwrap();
    assert_eq!(got, rows[0]);
}

fn a_closed_store_says_so(fixture: Fixture) {
    fixture.store.close();
    fixture.store.close();
    let answer = fixture.store.write_blocking("test", |connection| run_get(connection, RunId::new(now())));
    assert!(matches!(answer, Err(Error::Closed)));
}

fn every_name_of_a_state_or_kind_is_allowed_by_the_schema(fixture: Fixture) {
    for state in State::ALL {
        let mut commit = fixture.create(RunId::new(now()));
        if let Some(new) = &mut commit.create {
            new.state = state;
        }
        assert_eq!(names(&fixture.commit(vec![commit])), ["Committed"], "{state}");
    }
    let run = RunId::new(now());
    fixture.commit(vec![fixture.create(run)]);
    for (kind, sequence) in Kind::ALL.into_iter().zip(1..) {
        let events = vec![event(sequence, kind, Some(i32::try_from(sequence).unwrap()))];
        let commit = Commit { run, epoch: fixture.epoch, term: 0, create: None, events, update: None };
        assert_eq!(names(&fixture.commit(vec![commit])), ["Committed"], "{kind:?}");
        assert_eq!(kind.as_str().parse(), Ok(kind));
    }
    // Whatever else stands there was not written by this program.
    let wrong = "UPDATE run SET state = 'sleeping'";
    let refused: Result<(), Error> =
        fixture.store.write_blocking("test", move |connection| connection.batch_execute(wrong));
    assert!(refused.is_err());
    let states = |connection: &mut _| -> QueryResult<Vec<String>> {
        use diesel::QueryDsl;
        schema::run::table.select(schema::run::state).distinct().load(connection)
    };
    assert_eq!(fixture.store.write_blocking("test", states).unwrap().len(), State::ALL.len());
}

fn times_that_are_absent_stay_as_they_were(fixture: Fixture) {
    let run = RunId::new(now());
    let update = |state, started_at, finished_at| {
        let update = Some(RunUpdate { state, started_at, finished_at });
        Commit { run, epoch: fixture.epoch, term: 0, create: None, events: Vec::new(), update }
    };
    // The last three in one group, where the last state counts and no time is lost.
    fixture.commit(vec![fixture.create(run)]);
    fixture.commit(vec![
        update(State::Running, Some(now()), None),
        update(State::Paused, None, None),
        update(State::Cancelled, None, Some(now())),
    ]);
    let row = fixture.store.write_blocking("test", move |connection| run_get(connection, run));
    let row = row.unwrap().unwrap();
    assert_eq!((row.state, row.started_at, row.finished_at), (State::Cancelled, Some(now()), Some(now())));
    fixture.commit(vec![update(State::Failed, None, None)]);
    let listed = fixture
        .store
        .write_blocking("test", |connection| run_search(connection, &RunSearch { n_max: 10, ..RunSearch::default() }))
        .unwrap();
    let listed: Vec<_> = listed.into_iter().map(|found| found.row).collect();
    assert_eq!(listed, [super::RunRow { state: State::Failed, ..row }]);
}

fn what_a_commit_says_of_a_run_that_it_creates_is_written(fixture: Fixture) {
    let run = RunId::new(now());
    let finish = RunUpdate { state: State::Completed, started_at: None, finished_at: Some(now()) };
    let mut whole = Commit { update: Some(finish), ..fixture.create(run) };
    if let Some(new) = &mut whole.create {
        new.started_at = Some(now());
    }
    whole.events.push(EventRow {
        payload: None,
        started_at: Some(now()),
        cpu_us: Some(1_500),
        peak_bytes: Some(1 << 40),
        ..event(1, Kind::TaskCompleted, Some(0))
    });
    whole.events.push(EventRow { payload: Some(vec![0, 255]), ..event(2, Kind::RunFinished, None) });
    let expected = whole.events.clone();
    assert_eq!(names(&fixture.commit(vec![whole])), ["Committed"]);
    let read = move |connection: &mut _| JobResult::Ok((run_get(connection, run)?, event_list(connection, run)?));
    let (row, events) = fixture.store.write_blocking("test", read).unwrap();
    let row = row.unwrap();
    assert_eq!((row.state, row.started_at, row.finished_at), (State::Completed, Some(now()), Some(now())));
    assert_eq!(events, expected);
    assert_eq!(names(&fixture.commit(vec![fixture.create(run)])), ["Duplicate"], "an id is given once");
}

fn a_large_group_is_written_whole(fixture: Fixture) {
    let runs: Vec<RunId> = (0..1500).map(|_| RunId::new(now())).collect();
    let mut commits: Vec<Commit> = runs.iter().map(|run| fixture.create(*run)).collect();
    commits.extend(runs.iter().map(|run| completed(*run, fixture.epoch, 1, 0)));
    // One that is there already costs the others nothing.
    commits.push(completed(runs[0], fixture.epoch, 2, 0));
    let names = names(&fixture.commit(commits));
    assert_eq!(names.iter().filter(|name| *name == "Committed").count(), 3000);
    assert_eq!(names[3000], "Duplicate");
    assert_eq!(fixture.history(runs[0]).len(), 2);
    assert_eq!(fixture.history(runs[1499]).len(), 2);
}

fn a_submission_key_is_taken_once(fixture: Fixture) {
    let (first, second, other) = (RunId::new(now()), RunId::new(now()), RunId::new(now()));
    let keyed = |run| {
        let mut create = fixture.create(run);
        if let Some(new) = &mut create.create {
            new.key = Some("monday".to_owned());
        }
        create
    };
    let commits = vec![keyed(first), keyed(second), fixture.create(other)];
    assert_eq!(names(&fixture.commit(commits)), ["Committed", "Duplicate", "Committed"]);
    assert_eq!(names(&fixture.commit(vec![keyed(second)])), ["Duplicate"]);
    assert_eq!(fixture.history(second), []);
    let find = |key: &'static str| {
        fixture.store.write_blocking("test", move |connection| run_by_key(connection, key)).unwrap()
    };
    assert_eq!((find("monday"), find("tuesday")), (Some(first), None));
}

fn dead_letters() -> RunSearch {
    RunSearch { states: vec![State::Failed], not_dismissed: true, n_max: 10, ..RunSearch::default() }
}

fn failed_runs_are_listed_until_they_are_dismissed(fixture: Fixture) {
    let run = RunId::new(now());
    let finish = RunUpdate { state: State::Failed, started_at: None, finished_at: Some(now()) };
    fixture.commit(vec![fixture.create(RunId::new(now())), Commit { update: Some(finish), ..fixture.create(run) }]);
    let listed = || {
        let rows = fixture.store.write_blocking("test", |connection| run_search(connection, &dead_letters())).unwrap();
        rows.iter().map(|found| found.row.id).collect::<Vec<_>>()
    };
    assert_eq!(listed(), [run]);
    let dismiss = move |connection: &mut _| run_dismiss_in_txn(connection, run, "ada", now());
    fixture.store.write_blocking("test", dismiss).unwrap();
    assert_eq!(listed(), []);
}

#[test]
fn a_second_engine_is_refused_with_the_first_ones_process() {
    let fixture = Fixture::new(TestDatabase::sqlite());
    let again = || Store::open(Options::new(fixture.database.database.clone(), Box::new(|_| {})));
    let error = again().unwrap_err();
    assert!(matches!(&error, Error::Locked { pid: Some(pid), .. } if *pid == std::process::id()), "{error:?}");
    fixture.store.close();
    again().unwrap().close();
}

#[test]
fn another_file_than_a_database_is_refused() {
    let database = TestDatabase::sqlite();
    let Database::Sqlite(path) = &database.database else { unreachable!() };
    let other = vec![b'x'; 4096];
    std::fs::write(path, &other).unwrap();
    let (error, database) = *Fixture::at(database).err().unwrap();
    assert_eq!(error.code(), "STO0003", "{error:?}");
    let Database::Sqlite(path) = &database.database else { unreachable!() };
    // Nothing was written to it, or made beside it.
    assert_eq!(std::fs::read(path).unwrap(), other);
    assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    // One that begins well, and goes on as no database does.
    std::fs::write(path, [b"SQLite format 3\0".as_slice(), &other].concat()).unwrap();
    let (error, _database) = *Fixture::at(database).err().unwrap();
    assert_eq!(error.code(), "STO0009", "{error:?}");
}
