//! What only a server can do to a store: be lost, be slow to come up, and be shared by several engines.
//!
//! Every test has a schema of its own on the server that `./test` starts. Connections are really ended, by the server;
//! engines are declared dead by moving their lease into the past.

use std::{collections::HashSet, sync::mpsc, thread};

use diesel::{QueryResult, RunQueryDsl, connection::SimpleConnection, dsl::sql, sql_types};

use super::{
    Connection, Database, Error, Kind, LEASE_DEFAULT, Options, Outcome, Store,
    connection::{self, Access},
    mark::{Fate, Mark},
    owner::{Renewal, owner_renew},
    process::Process,
    testing::TestDatabase,
    tests::{Fixture, begin, completed, names, now, take_over},
};
use crate::id::RunId;

fn fixture() -> Fixture {
    Fixture::new(TestDatabase::postgres())
}

/// Another engine on the same database.
struct Second {
    store: Store,
    outcomes: mpsc::Receiver<Vec<Outcome>>,
}

impl Second {
    fn open(fixture: &Fixture) -> Self {
        let (outcome, outcomes) = mpsc::channel();
        let answers = Box::new(move |outcomes| outcome.send(outcomes).unwrap());
        let store = Store::open(Options::new(fixture.database.database.clone(), answers)).unwrap();
        Self { store, outcomes }
    }

    fn take_over(&self) -> (i64, Vec<RunId>) {
        let epoch = begin(&self.store);
        (epoch, take_over(&self.store, epoch).into_iter().map(|(run, _)| run).collect())
    }
}

fn backend(connection: &mut Connection) -> QueryResult<i32> {
    let Connection::Postgres(connection) = connection else { unreachable!() };
    diesel::select(sql::<sql_types::Integer>("pg_backend_pid()")).get_result(connection)
}

#[test]
fn a_living_engine_keeps_its_runs() {
    let fixture = fixture();
    let run = RunId::new(now());
    fixture.commit(vec![fixture.create(run)]);
    let second = Second::open(&fixture);
    let (epoch, taken) = second.take_over();
    assert_eq!((epoch, taken), (fixture.epoch + 1, Vec::new()));
    assert_eq!(names(&fixture.commit(vec![completed(run, fixture.epoch, 1, 0)])), ["Committed"]);
    second.store.close();
}

#[test]
fn an_engine_that_was_taken_over_from_is_fenced_in_everything() {
    let fixture = fixture();
    let run = RunId::new(now());
    fixture.commit(vec![fixture.create(run)]);
    let renew = |store: &Store, epoch| {
        let renew = move |connection: &mut Connection| {
            let Connection::Postgres(connection) = connection else { unreachable!() };
            owner_renew(connection, epoch, LEASE_DEFAULT)
        };
        store.write_blocking("test", renew).unwrap()
    };
    fixture.expire(fixture.epoch);
    let renewed = renew(&fixture.store, fixture.epoch);
    assert_eq!(
        renewed,
        Renewal { is_owner: true, ended: Vec::new(), newest_change: 0 },
        "late, but nobody has noticed"
    );
    fixture.expire(fixture.epoch);

    let second = Second::open(&fixture);
    let (epoch, taken) = second.take_over();
    assert_eq!(taken, [run]);
    let stale = vec![completed(run, fixture.epoch, 1, 0), fixture.create(RunId::new(now()))];
    assert_eq!(names(&fixture.commit(stale)), ["Fenced", "Fenced"]);
    assert_eq!(renew(&fixture.store, fixture.epoch), Renewal { is_owner: false, ended: Vec::new(), newest_change: 0 });
    fixture.expire(epoch);
    assert!(renew(&fixture.store, 0).ended.contains(&epoch), "a living engine is told of others that do not");
    second.store.committer().unwrap().commit(vec![completed(run, epoch, 1, 0)]).unwrap();
    assert_eq!(names(&second.outcomes.recv().unwrap()), ["Committed"]);
    assert_eq!(fixture.history(run), [(0, Kind::RunCreated), (1, Kind::TaskCompleted)]);
    second.store.close();
}

#[test]
fn a_process_that_is_gone_is_not_waited_for() {
    let fixture = fixture();
    let run = RunId::new(now());
    fixture.commit(vec![fixture.create(run)]);
    let second = Second::open(&fixture);
    assert_eq!(second.take_over().1, [], "its process is this one");
    let Process { began, .. } = Process::this();
    fixture.database.execute(&format!("UPDATE owner SET process_began = {} - 1", began.unwrap()));
    assert_eq!(second.take_over().1, [run], "another process has its id by now");
    second.store.close();
}

#[test]
fn a_commit_that_is_on_its_way_is_not_waited_for() {
    let fixture = fixture();
    let run = RunId::new(now());
    fixture.commit(vec![fixture.create(run)]);
    let second = Second::open(&fixture);
    let mut stopped =
        connection::open(&fixture.database.place(), Access::Write { lease: LEASE_DEFAULT, synced: true }).unwrap();
    let begun = format!("BEGIN; SELECT 1 FROM owner WHERE epoch = {} FOR KEY SHARE", fixture.epoch);
    stopped.batch_execute(&begun).unwrap();
    fixture.database.execute("UPDATE owner SET lease_until = 1");
    assert_eq!(second.take_over().1, []);
    drop(stopped);
    assert_eq!(second.take_over().1, [run]);
    second.store.close();
}

#[test]
fn the_server_ends_a_transaction_that_somebody_left_alone() {
    let database = TestDatabase::postgres();
    let lease = std::time::Duration::from_millis(1);
    let open = |lease| connection::open(&database.place(), Access::Write { lease, synced: true }).unwrap();
    let (mut stopped, mut looking) = (open(lease), open(LEASE_DEFAULT));
    let pid = backend(&mut stopped).unwrap();
    stopped.batch_execute("BEGIN").unwrap();
    let is_there = format!("EXISTS (SELECT 1 FROM pg_stat_activity WHERE pid = {pid})");
    let Connection::Postgres(looking) = &mut looking else { unreachable!() };
    while diesel::select(sql::<sql_types::Bool>(&is_there)).get_result(looking).unwrap() {}
    let error = Error::from_diesel("test", stopped.batch_execute("SELECT 1").unwrap_err());
    assert!(matches!(error, Error::Unavailable { .. }), "{error:?}");
}

#[test]
fn nothing_of_the_first_owner_follows_the_second_ones_beginning() {
    let fixture = fixture();
    let runs: Vec<RunId> = (0..20).map(|_| RunId::new(now())).collect();
    fixture.commit(runs.iter().map(|run| fixture.create(*run)).collect());
    let second = Second::open(&fixture);
    let (started, is_started) = mpsc::channel();
    let taken = thread::scope(|scope| {
        let (database, store) = (&fixture.database, &second.store);
        let taking = scope.spawn(move || {
            is_started.recv().unwrap();
            database.execute("UPDATE owner SET lease_until = 1");
            let epoch = begin(store);
            // Only between two commits of the other is there a moment for it.
            loop {
                let taken = take_over(store, epoch);
                if !taken.is_empty() {
                    break (epoch, taken.into_iter().map(|(run, _)| run).collect::<Vec<_>>());
                }
            }
        });
        // Goes on until it is fenced, so the take-over falls between two of its commits, or in one.
        for sequence in 1.. {
            let task = i32::try_from(sequence).unwrap();
            let commits = runs.iter().map(|run| completed(*run, fixture.epoch, sequence, task)).collect();
            let names = names(&fixture.commit(commits));
            assert!(names.iter().all(|name| *name == names[0]), "a group is fenced whole: {names:?}");
            if names[0] == "Fenced" {
                break;
            }
            assert_eq!(names[0], "Committed");
            started.send(()).ok();
        }
        taking.join().unwrap()
    });
    let (epoch, taken) = taken;
    assert_eq!(taken.iter().collect::<HashSet<_>>(), runs.iter().collect());
    let n_before: Vec<usize> = runs.iter().map(|run| fixture.history(*run).len()).collect();
    assert!(n_before.iter().all(|n| *n == n_before[0]), "{n_before:?}");
    let next = i64::try_from(n_before[0]).unwrap();
    let commits = runs.iter().map(|run| completed(*run, epoch, next, 0)).collect();
    second.store.committer().unwrap().commit(commits).unwrap();
    assert!(names(&second.outcomes.recv().unwrap()).iter().all(|name| name == "Committed"));
    second.store.close();
}

#[test]
fn engines_that_start_together_make_one_schema_and_one_epoch_each() {
    let database = TestDatabase::postgres();
    let open = || {
        let store = Store::open(Options::new(database.database.clone(), Box::new(|_| {}))).unwrap();
        let epoch = begin(&store);
        store.close();
        epoch
    };
    let mut epochs = thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(open)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
    });
    epochs.sort_unstable();
    assert_eq!(epochs, [1, 2, 3, 4]);
}

#[test]
fn a_lost_connection_is_opened_again() {
    let fixture = fixture();
    let run = RunId::new(now());
    fixture.commit(vec![fixture.create(run)]);
    let writer = fixture.store.write_blocking("test", backend).unwrap();
    fixture.database.execute(&format!("SELECT pg_terminate_backend({writer}, 5000)"));
    assert_eq!(names(&fixture.commit(vec![completed(run, fixture.epoch, 1, 0)])), ["Committed"]);
    assert_ne!(fixture.store.write_blocking("test", backend).unwrap(), writer);

    // In the middle of a change as well; it is made again.
    let mut n_calls = 0;
    let change = move |connection: &mut Connection| -> QueryResult<i32> {
        n_calls += 1;
        if n_calls == 1 {
            connection.batch_execute("SELECT pg_terminate_backend(pg_backend_pid())")?;
        }
        Ok(n_calls)
    };
    assert_eq!(fixture.store.write_blocking("test", change).unwrap(), 2);
    assert_eq!(fixture.history(run).len(), 2);
}

#[test]
fn a_reader_that_lost_its_connection_gets_another() {
    let fixture = fixture();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let read = || runtime.block_on(fixture.store.read("test", backend)).unwrap();
    // Both readers, whichever of them answers.
    let lost = read();
    fixture.database.execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity \
         WHERE application_name = 'cloacina' AND query LIKE '%pg_backend_pid%' AND pid <> pg_backend_pid()",
    );
    assert_ne!(read(), lost);
    assert_ne!(read(), lost);
    let written = |connection: &mut Connection| connection.batch_execute("DELETE FROM run");
    assert!(runtime.block_on(fixture.store.read("test", written)).is_err(), "a reader cannot write");
}

#[test]
fn what_became_of_a_transaction_can_be_asked_elsewhere() {
    let database = TestDatabase::postgres();
    Store::open(Options::new(database.database.clone(), Box::new(|_| {}))).unwrap().close();
    let open = || connection::open(&database.place(), Access::Write { lease: LEASE_DEFAULT, synced: true }).unwrap();
    let (mut one, mut other) = (open(), open());
    let mut mark = Mark::new();
    mark.prepare(&mut one).unwrap();
    other.batch_execute("SET lock_timeout = 1").unwrap();
    for (end, expected) in [("ROLLBACK", Fate::RolledBack), ("COMMIT", Fate::Committed), ("ROLLBACK", Fate::RolledBack)]
    {
        one.batch_execute(&mark.begin(true)).unwrap();
        let error = Error::from_diesel("test", mark.fate(&mut other).unwrap_err());
        assert!(matches!(error, Error::Busy { .. }), "it has not ended: {error:?}");
        one.batch_execute(end).unwrap();
        assert_eq!(mark.fate(&mut other).unwrap(), expected);
    }
    mark.remove(&mut one).unwrap();
    one.batch_execute(&mark.begin(false)).unwrap();
    one.batch_execute("COMMIT").unwrap();
    assert_eq!(mark.fate(&mut other).unwrap(), Fate::Committed, "a row that was removed is made again");
}

#[test]
fn rows_of_writers_that_are_gone_are_removed() {
    let database = TestDatabase::postgres();
    let open = || Store::open(Options::new(database.database.clone(), Box::new(|_| {}))).unwrap();
    let writers = |store: &Store| -> i64 {
        let count = |connection: &mut Connection| {
            let Connection::Postgres(connection) = connection else { unreachable!() };
            diesel::select(sql::<sql_types::BigInt>("(SELECT count(*) FROM commit_mark)")).get_result(connection)
        };
        store.write_blocking("test", count).unwrap()
    };
    let (first, second) = (open(), open());
    assert_eq!((writers(&first), writers(&second)), (1, 2));
    first.close();
    assert_eq!(writers(&second), 1);
    database.execute("INSERT INTO commit_mark SELECT decode(md5('gone'), 'hex'), 7, 0");
    assert_eq!(writers(&second), 2);
    let third = open();
    assert_eq!(writers(&third), 2);
    second.close();
    third.close();
}

#[test]
fn a_server_that_is_not_there_is_named_without_its_password() {
    let folder = tempfile::tempdir().unwrap();
    let host = folder.path().display();
    for url in [format!("postgres://u:s3cret@/d?host={host}"), "postgres://u:s3cret@[x/d".to_owned()] {
        let database = Database::parse(&url).unwrap();
        let error = Store::open(Options::new(database, Box::new(|_| {}))).unwrap_err();
        let told = format!("{error:?} {error} {:?}", error.hints());
        assert!(matches!(error, Error::Open { .. }), "{told}");
        assert!(told.contains("u:***@") && !told.contains("s3cret"), "{told}");
    }
}

#[test]
fn every_row_of_a_group_takes_the_same_few_statements() {
    let fixture = fixture();
    let Database::Postgres(_) = &fixture.database.database else { unreachable!() };
    let prepared = |connection: &mut Connection| -> QueryResult<i64> {
        let Connection::Postgres(connection) = connection else { unreachable!() };
        diesel::select(sql::<sql_types::BigInt>("(SELECT count(*) FROM pg_prepared_statements)")).get_result(connection)
    };
    let run = RunId::new(now());
    fixture.commit(vec![fixture.create(run), completed(run, fixture.epoch, 1, 0)]);
    fixture.commit(vec![completed(run, fixture.epoch, 2, 1)]);
    let n_before = fixture.store.write_blocking("test", prepared).unwrap();
    for n in 2..10 {
        fixture.commit((0..n).map(|_| fixture.create(RunId::new(now()))).collect());
    }
    assert_eq!(fixture.store.write_blocking("test", prepared).unwrap(), n_before);
}
