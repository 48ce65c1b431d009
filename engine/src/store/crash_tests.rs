//! A server that really crashes: in a commit, under starts and takeovers, and while others use what it hands out again.
//!
//! Every test has a server of its own. Commits are held on their way by what the server itself waits for there.

use std::{sync::mpsc, thread, time::Duration};

use diesel::{Connection as _, QueryResult, RunQueryDsl, connection::SimpleConnection, dsl::sql, sql_types::Integer};

use super::{
    Connection, Database, Error, Kind, Options, Outcome, Store,
    postgres::PgConnection,
    testing::TestDatabase,
    tests::{Fixture, begin, completed, names, now, take_over},
};
use crate::{id::RunId, testing::PrivateServer};

/// Far above what anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

fn fixture(server: &PrivateServer) -> Fixture {
    Fixture::new(TestDatabase::at(&server.url()))
}

fn backend(connection: &mut Connection) -> QueryResult<i32> {
    let Connection::Postgres(connection) = connection else { unreachable!() };
    diesel::select(sql::<Integer>("pg_backend_pid()")).get_result(connection)
}

/// Waits until the backend of that process waits for what has that name.
fn wait_for_event(server: &PrivateServer, pid: i32, event: &str) {
    let mut connection = PgConnection::establish(&server.url()).unwrap();
    let find = format!("(SELECT count(*)::int FROM pg_stat_activity WHERE pid = {pid} AND wait_event = '{event}')");
    let mut left = PATIENCE.as_millis() / 10;
    while diesel::select(sql::<Integer>(&find)).get_result::<i32>(&mut connection).unwrap() == 0 {
        assert!(left > 0, "the backend does not wait for {event}");
        left -= 1;
        thread::park_timeout(Duration::from_millis(10));
    }
}

/// Lets each COMMIT wait, after it has reached the disk, for a standby that does not exist.
///
/// The server's checkpointer turns the waiting on when it has read the new settings, which another commit must not come
/// before. So a connection commits until one of its commits waits; it ends with the server.
fn hold_commits(server: &PrivateServer) {
    let mut probe = PgConnection::establish(&server.url()).unwrap();
    let pid = diesel::select(sql::<Integer>("pg_backend_pid()")).get_result(&mut probe).unwrap();
    server.execute("ALTER SYSTEM SET synchronous_standby_names = 'nobody'").unwrap();
    server.execute("SELECT pg_reload_conf()").unwrap();
    thread::spawn(move || while probe.batch_execute("SELECT pg_current_xact_id()").is_ok() {});
    wait_for_event(server, pid, "SyncRep");
}

fn release_commits(server: &PrivateServer) {
    server.execute("ALTER SYSTEM RESET synchronous_standby_names").unwrap();
    server.execute("SELECT pg_reload_conf()").unwrap();
}

/// Commits many small transactions, so that numbers of transactions come again that a crash took away.
fn use_up_numbers(server: &PrivateServer) {
    let mut connection = PgConnection::establish(&server.url()).unwrap();
    for _ in 0..300 {
        connection.batch_execute("SELECT pg_current_xact_id()").unwrap();
    }
}

#[test]
fn a_commit_that_reached_the_disk_is_not_made_again_after_a_crash() {
    let mut server = PrivateServer::start(&[]).unwrap();
    let fixture = fixture(&server);
    let run = RunId::new(now());
    fixture.commit(vec![fixture.create(run)]);
    let pid = fixture.store.write_blocking("test", backend).unwrap();
    hold_commits(&server);
    fixture.committer().commit(vec![completed(run, fixture.epoch, 1, 0)]).unwrap();
    wait_for_event(&server, pid, "SyncRep");
    server.kill_process(pid).unwrap();
    server.wait_until_ready().unwrap();
    release_commits(&server);
    assert_eq!(names(&fixture.outcomes.recv().unwrap()), ["Committed"]);
    assert_eq!(fixture.history(run), [(0, Kind::RunCreated), (1, Kind::TaskCompleted)]);
    fixture.store.close();
}

#[test]
fn a_commit_that_a_crash_took_away_is_made_again_whatever_others_commit_meanwhile() {
    let mut server = PrivateServer::start(&[]).unwrap();
    let fixture = fixture(&server);
    let run = RunId::new(now());
    fixture.commit(vec![fixture.create(run)]);
    let pid = fixture.store.write_blocking("test", backend).unwrap();
    // A COMMIT waits before it reaches the disk, for as long as somebody holds a lock; the crash ends that.
    server
        .execute(
            "CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS \
             'BEGIN PERFORM pg_advisory_xact_lock_shared(7); RETURN NULL; END'; \
             CREATE CONSTRAINT TRIGGER hold AFTER INSERT ON event DEFERRABLE INITIALLY DEFERRED \
             FOR EACH ROW EXECUTE FUNCTION hold()",
        )
        .unwrap();
    let mut holder = PgConnection::establish(&server.url()).unwrap();
    holder.batch_execute("SELECT pg_advisory_lock(7)").unwrap();
    fixture.committer().commit(vec![completed(run, fixture.epoch, 1, 0)]).unwrap();
    wait_for_event(&server, pid, "advisory");
    server.kill_process(pid).unwrap();
    server.wait_until_ready().unwrap();
    use_up_numbers(&server);
    assert_eq!(names(&fixture.outcomes.recv().unwrap()), ["Committed"]);
    assert_eq!(fixture.history(run), [(0, Kind::RunCreated), (1, Kind::TaskCompleted)]);
    fixture.store.close();
}

#[test]
fn what_cannot_be_found_out_is_neither_success_nor_failure() {
    let mut server = PrivateServer::start(&[]).unwrap();
    let fixture = fixture(&server);
    let pid = fixture.store.write_blocking("test", backend).unwrap();
    hold_commits(&server);
    let (run, job) = (RunId::new(now()), |_: &mut Connection| QueryResult::Ok(()));
    fixture.committer().commit(vec![fixture.create(run)]).unwrap();
    wait_for_event(&server, pid, "SyncRep");
    server.crash().unwrap();
    let outcomes = fixture.outcomes.recv().unwrap();
    let [Outcome::Failed(error, _)] = &outcomes[..] else { panic!("{outcomes:?}") };
    assert!(matches!(**error, Error::InDoubt { .. }), "{error:?}");
    // What begins after that is certain to have failed.
    let error = fixture.store.write_blocking("the test", job).unwrap_err();
    assert_eq!((error.code(), error.is_in_doubt()), ("STO0014", false), "{error:?}");
    fixture.store.close();
}

#[test]
fn a_takeover_whose_answer_a_crash_took_away_is_made_once() {
    let mut server = PrivateServer::start(&[]).unwrap();
    let fixture = fixture(&server);
    let run = RunId::new(now());
    fixture.commit(vec![fixture.create(run)]);
    let epoch = fixture.begin();
    fixture.expire(fixture.epoch);
    let pid = fixture.store.write_blocking("test", backend).unwrap();
    hold_commits(&server);
    let taken = thread::scope(|scope| {
        let store = fixture.store.clone();
        let taking = scope.spawn(move || take_over(&store, epoch));
        wait_for_event(&server, pid, "SyncRep");
        server.kill_process(pid).unwrap();
        server.wait_until_ready().unwrap();
        release_commits(&server);
        taking.join().unwrap()
    });
    assert_eq!(taken, [(run, false)], "what was taken over is known although the answer was lost");
    assert_eq!(fixture.take_over(epoch), [], "nothing is taken over twice");
    let stale = fixture.commit(vec![completed(run, fixture.epoch, 1, 0)]);
    assert_eq!(names(&stale), ["Fenced"]);
    assert_eq!(names(&fixture.commit(vec![completed(run, epoch, 1, 0)])), ["Committed"]);
    assert_eq!(fixture.history(run), [(0, Kind::RunCreated), (1, Kind::TaskCompleted)]);
    fixture.store.close();
}

#[test]
fn starts_and_takeovers_survive_a_server_that_crashes_under_them() {
    const N_STARTS: usize = 12;
    /// From one crash to the next, once the server has recovered: shorter and longer than a start.
    const PAUSES_MS: [u64; 12] = [0, 300, 20, 100, 600, 50, 10, 200, 400, 30, 150, 80];
    // The machine goes on, so nothing needs to be waited for to survive.
    let mut server = PrivateServer::start(&["fsync=off"]).unwrap();
    let fixture = fixture(&server);
    let address = server.url();
    let (failed, server) = thread::scope(|scope| {
        let crashing = scope.spawn(move || {
            for pause in PAUSES_MS {
                server.wait_until_ready().unwrap();
                thread::park_timeout(Duration::from_millis(pause));
                // All others are ended with the one that is killed, which may have been ended with another one.
                let victim = PgConnection::establish(&server.url()).map(Connection::Postgres);
                if let Some(pid) = victim.ok().and_then(|mut victim| backend(&mut victim).ok()) {
                    server.kill_process(pid).ok();
                }
            }
            server
        });
        let mut failed = Vec::new();
        for _ in 0..N_STARTS {
            let (outcome, outcomes) = mpsc::channel();
            let database = Database::parse(&address).unwrap();
            let answers = Box::new(move |outcomes| outcome.send(outcomes).unwrap());
            match Store::open(Options::new(database, answers)) {
                Ok(store) => {
                    let epoch = begin(&store);
                    take_over(&store, epoch);
                    let run = RunId::new(now());
                    let create = super::Commit { run, epoch, ..fixture.create(run) };
                    store.committer().unwrap().commit(vec![create]).unwrap();
                    assert_eq!(names(&outcomes.recv().unwrap()), ["Committed"]);
                    store.close();
                    assert_eq!(fixture.history(run).len(), 1);
                }
                Err(error) => failed.push(error),
            }
        }
        (failed, crashing.join().unwrap())
    });
    assert!(failed.is_empty(), "{failed:?}");
    fixture.store.close();
    drop(server);
}

#[test]
fn what_is_read_while_the_server_crashes_is_read_again() {
    let mut server = PrivateServer::start(&[]).unwrap();
    let fixture = fixture(&server);
    let read = || fixture.store.read_blocking("test", backend);
    let before = read().unwrap();
    server.kill_process(before).unwrap();
    assert_ne!(read().unwrap(), before);
    server.stop_at_once().unwrap();
    thread::scope(|scope| {
        let again = scope.spawn(read);
        server.wait_until_ready().unwrap();
        again.join().unwrap().unwrap();
    });
    fixture.store.close();
}
