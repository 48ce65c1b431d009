//! The store's contract on a real file: atomic, fenced, once, and no stranger pays for another's mistake.
//!
//! Commits are made by hand here; what they mean is of no interest.

use std::sync::mpsc::{self, Receiver};

use cloacina_workflow::Timestamp;
use diesel::{QueryResult, RunQueryDsl, connection::SimpleConnection, result::Error as DieselError};
use tempfile::TempDir;

use super::{
    Commit, Committer, Error, EventRow, Kind, NewRun, Options, Outcome, RunUpdate, Store, WorkflowKey,
    epoch_begin_in_txn, epoch_close_in_txn, event_list, run_get, run_list, run_take_over, schema,
    workflow_ensure_in_txn, workflow_list,
};
use crate::{
    core::run::State,
    id::{RunId, WorkflowId},
};

const EPOCH: i64 = 1;

/// A store on a file of its own, with the outcomes that it tells.
struct Fixture {
    store: Store,
    outcomes: Receiver<Vec<Outcome>>,
    workflow: WorkflowId,
    folder: TempDir,
}

impl Fixture {
    fn new() -> Self {
        Self::at(tempfile::tempdir().unwrap()).unwrap()
    }

    fn at(folder: TempDir) -> Result<Self, Error> {
        let (outcome, outcomes) = mpsc::channel();
        let answers = Box::new(move |outcomes| outcome.send(outcomes).unwrap());
        let store = Store::open(Options { path: folder.path().join("runs.db"), answers })?;
        let key = key();
        let ensured =
            store.write_blocking("test", move |connection| workflow_ensure_in_txn(connection, &key, "{}", now()));
        let workflow = ensured??;
        Ok(Self { store, outcomes, workflow, folder })
    }

    fn reopen(self) -> Self {
        self.store.close();
        Self::at(self.folder).unwrap()
    }

    fn committer(&self) -> Committer {
        self.store.committer().unwrap()
    }

    /// Commits as one message, which is one group.
    fn commit(&self, commits: Vec<Commit>) -> Vec<Outcome> {
        self.committer().commit(commits).unwrap();
        self.outcomes.recv().unwrap()
    }

    fn create(&self, run: RunId) -> Commit {
        let new =
            NewRun { workflow: self.workflow, state: State::Running, created_at: now(), started_at: None, key: None };
        let events = vec![event(0, Kind::RunCreated, None)];
        Commit { run, epoch: EPOCH, create: Some(new), events, update: None }
    }

    fn history(&self, run: RunId) -> Vec<(i64, Kind)> {
        let read = move |connection: &mut _| event_list(connection, run);
        let rows = self.store.write_blocking("test", read).unwrap().unwrap();
        rows.into_iter().map(|row| (row.sequence, row.kind)).collect()
    }
}

fn now() -> Timestamp {
    Timestamp::from_unix_micros(1_700_000_000_000_000)
}

fn key() -> WorkflowKey {
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
    EventRow { sequence, kind, task, attempt: task.map(|_| 1), at: now(), started_at: None, payload }
}

fn completed(run: RunId, epoch: i64, sequence: i64, task: i32) -> Commit {
    let events = vec![event(sequence, Kind::TaskCompleted, Some(task))];
    Commit { run, epoch, create: None, events, update: None }
}

fn names(outcomes: &[Outcome]) -> Vec<String> {
    let name = |outcome: &Outcome| match outcome {
        Outcome::Failed(error) => error.code().to_owned(),
        other => format!("{other:?}"),
    };
    outcomes.iter().map(name).collect()
}

#[test]
fn what_was_committed_is_there_after_reopening() {
    let fixture = Fixture::new();
    let run = RunId::new(now());
    let finish = RunUpdate { state: State::Completed, started_at: None, finished_at: Some(now()) };
    let end = Commit { update: Some(finish), ..completed(run, EPOCH, 1, 0) };
    assert_eq!(names(&fixture.commit(vec![fixture.create(run), end])), ["Committed", "Committed"]);

    let fixture = fixture.reopen();
    assert_eq!(fixture.history(run), [(0, Kind::RunCreated), (1, Kind::TaskCompleted)]);
    let rows = fixture.store.write_blocking("test", |connection| run_list(connection, None, 10)).unwrap().unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!((rows[0].id, rows[0].state, rows[0].finished_at), (run, State::Completed, Some(now())));
}

#[test]
fn a_commit_of_another_epoch_is_fenced_and_writes_nothing() {
    let fixture = Fixture::new();
    let run = RunId::new(now());
    fixture.commit(vec![fixture.create(run)]);
    let finish = RunUpdate { state: State::Completed, started_at: None, finished_at: None };
    let stale = Commit { update: Some(finish), ..completed(run, EPOCH + 1, 1, 0) };
    let unknown = completed(RunId::new(now()), EPOCH, 1, 0);
    let owned = completed(run, EPOCH, 1, 0);
    assert_eq!(names(&fixture.commit(vec![stale, unknown, owned])), ["Fenced", "Fenced", "Committed"]);
    assert_eq!(fixture.history(run), [(0, Kind::RunCreated), (1, Kind::TaskCompleted)]);
}

#[test]
fn an_attempt_ends_once() {
    let fixture = Fixture::new();
    let run = RunId::new(now());
    fixture.commit(vec![fixture.create(run), completed(run, EPOCH, 1, 0)]);
    assert_eq!(names(&fixture.commit(vec![completed(run, EPOCH, 2, 0)])), ["Duplicate"]);
    assert_eq!(names(&fixture.commit(vec![completed(run, EPOCH, 2, 1)])), ["Committed"]);
}

#[test]
fn only_the_culprit_gets_the_error_and_its_run_stops() {
    let fixture = Fixture::new();
    let runs: Vec<RunId> = (0..9).map(|_| RunId::new(now())).collect();
    fixture.commit(runs.iter().map(|run| fixture.create(*run)).collect());
    let mut commits: Vec<Commit> = runs.iter().map(|run| completed(*run, EPOCH, 1, 0)).collect();
    // The second row takes a number that is taken, after the first one was written.
    commits[5].events.push(event(0, Kind::RunStarted, None));
    commits.push(completed(runs[5], EPOCH, 3, 1));
    let mut expected = vec!["Committed"; 10];
    (expected[5], expected[9]) = ("STO0010", "STO0011");
    assert_eq!(names(&fixture.commit(commits)), expected);
    assert_eq!(fixture.history(runs[5]), [(0, Kind::RunCreated)]);
    assert_eq!(fixture.history(runs[6]).len(), 2);
}

#[test]
fn what_queues_up_while_a_group_is_written_becomes_one_group() {
    let fixture = Fixture::new();
    let (started, is_started) = mpsc::channel();
    let (go_on, wait) = mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let store = fixture.store.clone();
    let blocker = std::thread::spawn(move || {
        store.write_blocking("test", move |_| {
            started.send(()).unwrap();
            wait.lock().unwrap().recv().ok();
            Ok(())
        })
    });
    is_started.recv().unwrap();
    let committer = fixture.committer();
    for _ in 0..20 {
        committer.commit(vec![fixture.create(RunId::new(now()))]).unwrap();
    }
    drop(go_on);
    assert_eq!(fixture.outcomes.recv().unwrap().len(), 20);
    blocker.join().unwrap().unwrap();
}

#[test]
fn a_change_that_fails_leaves_the_others_alone() {
    let fixture = Fixture::new();
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

#[test]
fn a_second_engine_is_refused_with_the_first_ones_process() {
    let fixture = Fixture::new();
    let path = fixture.store.path().to_owned();
    let again = Store::open(Options { path: path.clone(), answers: Box::new(|_| {}) });
    let error = again.unwrap_err();
    assert!(matches!(&error, Error::Locked { pid: Some(pid), .. } if *pid == std::process::id()), "{error:?}");
    fixture.store.close();
    Store::open(Options { path, answers: Box::new(|_| {}) }).unwrap().close();
}

#[test]
fn a_schema_from_the_future_is_left_alone() {
    let fixture = Fixture::new();
    let add = "INSERT INTO __diesel_schema_migrations (version) VALUES ('9999')";
    fixture.store.write_blocking("test", move |connection| connection.batch_execute(add)).unwrap();
    fixture.store.close();
    let error = Fixture::at(fixture.folder).err().unwrap();
    assert!(matches!(&error, Error::NewerSchema { found, .. } if found == "9999"), "{error:?}");
}

#[test]
fn a_file_that_is_no_database_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("runs.db"), vec![b'x'; 4096]).unwrap();
    let error = Fixture::at(folder).err().unwrap();
    assert_eq!(error.code(), "STO0009", "{error:?}");
}

#[test]
fn a_new_epoch_takes_over_what_is_unfinished() {
    let fixture = Fixture::new();
    let (open, done) = (RunId::new(now()), RunId::new(now()));
    let finish = RunUpdate { state: State::Failed, started_at: None, finished_at: Some(now()) };
    let ended = Commit { update: Some(finish), ..fixture.create(done) };
    fixture.commit(vec![fixture.create(open), ended]);

    let begin = |fixture: &Fixture| fixture.store.write_blocking("test", epoch_begin_in_txn).unwrap();
    let first = begin(&fixture);
    assert!(first.closed_in_order, "nothing can have run in a new file");
    let second = begin(&fixture);
    assert_eq!((second.epoch, second.closed_in_order), (first.epoch + 1, false));
    let take = move |connection: &mut _| run_take_over(connection, second.epoch);
    let taken = fixture.store.write_blocking("test", take).unwrap().unwrap();
    assert_eq!(taken.iter().map(|row| row.id).collect::<Vec<_>>(), [open]);
    assert_eq!(names(&fixture.commit(vec![completed(open, EPOCH, 1, 0)])), ["Fenced"]);
    assert_eq!(names(&fixture.commit(vec![completed(open, second.epoch, 1, 0)])), ["Committed"]);

    let close = move |connection: &mut _| epoch_close_in_txn(connection, second.epoch);
    fixture.store.write_blocking("test", close).unwrap();
    assert!(begin(&fixture).closed_in_order);
}

#[test]
fn a_workflow_is_kept_once() {
    let fixture = Fixture::new();
    let again = move |connection: &mut _| workflow_ensure_in_txn(connection, &key(), "{}", now());
    assert_eq!(fixture.store.write_blocking("test", again).unwrap().unwrap(), fixture.workflow);
    let rows = fixture.store.write_blocking("test", workflow_list).unwrap().unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!((rows[0].id, &rows[0].key), (fixture.workflow, &key()));
}

#[test]
fn a_closed_store_says_so() {
    let fixture = Fixture::new();
    fixture.store.close();
    fixture.store.close();
    let answer = fixture.store.write_blocking("test", |connection| run_get(connection, RunId::new(now())));
    assert!(matches!(answer, Err(Error::Closed)));
}

#[test]
fn every_name_of_a_state_or_kind_is_allowed_by_the_schema() {
    let fixture = Fixture::new();
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
        let commit = Commit { run, epoch: EPOCH, create: None, events, update: None };
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
