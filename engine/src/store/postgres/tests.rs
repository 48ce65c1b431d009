//! What a real server says, sorted by its code, whatever its language.

use std::thread;

use diesel::{Connection as _, QueryResult, RunQueryDsl, connection::SimpleConnection, dsl::sql, sql_types::Integer};

use crate::store::{
    Connection, Error,
    connection::{self, Access},
    testing::TestDatabase,
};

fn open(database: &TestDatabase) -> Connection {
    connection::open(&database.place(), Access::Write { lease: crate::store::LEASE_DEFAULT, synced: true }).unwrap()
}

fn code(result: QueryResult<()>) -> &'static str {
    result.map_err(|source| Error::from_diesel("testing", source)).map_or_else(|error| error.code(), |()| "none")
}

/// The two wait for each other's locks, so the server ends one of them.
fn deadlock(one: &mut Connection, other: &mut Connection) -> [QueryResult<()>; 2] {
    one.batch_execute("BEGIN; SET LOCAL lock_timeout = 0; SELECT pg_advisory_xact_lock(71)").unwrap();
    other.batch_execute("BEGIN; SET LOCAL lock_timeout = 0; SELECT pg_advisory_xact_lock(72)").unwrap();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| one.batch_execute("SELECT pg_advisory_xact_lock(72); ROLLBACK"));
        let second = other.batch_execute("SELECT pg_advisory_xact_lock(71); ROLLBACK");
        [waiting.join().unwrap(), second]
    })
}

#[test]
fn errors_are_sorted_by_their_code_in_any_language() {
    let database = TestDatabase::postgres();
    for (sqlstate, expected) in [
        ("57P01", "STO0014"),
        ("57P03", "STO0014"),
        ("08006", "STO0014"),
        ("40001", "STO0007"),
        ("40P01", "STO0007"),
        ("55P03", "STO0007"),
        ("57014", "STO0007"),
        ("25006", "STO0020"),
        ("53100", "STO0008"),
        ("58030", "STO0008"),
        ("XX001", "STO0009"),
        ("XX002", "STO0009"),
        ("23505", "STO0010"),
        ("42601", "STO0010"),
    ] {
        // English words of another trouble do not count, either.
        for message in
            ["etwas ist schiefgegangen", "磁盘已满", "terminating connection, deadlock detected, disk is full"]
        {
            let raise =
                format!("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '{sqlstate}', MESSAGE = '{message}'; END $$");
            assert_eq!(code(open(&database).batch_execute(&raise)), expected, "{sqlstate} {message}");
        }
    }
}

#[test]
fn who_is_in_the_way_of_others_is_busy() {
    let database = TestDatabase::postgres();
    let (mut one, mut other) = (open(&database), open(&database));
    let codes = deadlock(&mut one, &mut other).map(code);
    assert!(codes.contains(&"STO0007") && codes.contains(&"none"), "{codes:?}");

    let (mut holder, mut waiter) = (open(&database), open(&database));
    holder.batch_execute("CREATE TABLE thing (n int); INSERT INTO thing VALUES (1)").unwrap();
    holder.batch_execute("BEGIN; UPDATE thing SET n = 2").unwrap();
    assert_eq!(code(waiter.batch_execute("SET lock_timeout = 20; UPDATE thing SET n = 3")), "STO0007");

    waiter.batch_execute("BEGIN ISOLATION LEVEL SERIALIZABLE; SELECT n FROM thing").unwrap();
    holder.batch_execute("COMMIT").unwrap();
    assert_eq!(code(waiter.batch_execute("UPDATE thing SET n = 4")), "STO0007");
}

#[test]
fn a_connection_that_the_server_ends_is_lost() {
    let database = TestDatabase::postgres();
    let (mut victim, mut other) = (open(&database), open(&database));
    let pid: i32 = diesel::select(sql::<Integer>("pg_backend_pid()")).get_result(&mut victim).unwrap();
    diesel::sql_query(format!("SELECT pg_terminate_backend({pid}, 10000)")).execute(&mut other).unwrap();
    assert_eq!(code(victim.batch_execute("SELECT 1")), "STO0014");
}

#[test]
fn a_transaction_in_which_a_statement_failed_is_not_said_to_be_committed() {
    let database = TestDatabase::postgres();
    let mut connection = open(&database);
    let written = connection.write_transaction(
        || "BEGIN".to_owned(),
        |connection| {
            connection.batch_execute("CREATE TABLE gone (n int)")?;
            assert!(connection.batch_execute("SELECT 1 / 0").is_err());
            Ok(())
        },
    );
    assert!(written.is_err());
    assert_eq!(code(connection.batch_execute("SELECT n FROM gone")), "STO0010");
    assert!(connection.begin_test_transaction().is_ok());
}

#[tokio::test]
async fn a_connection_can_be_used_where_a_runtime_runs() {
    let database = TestDatabase::postgres();
    let mut connection = open(&database);
    let number: i32 = diesel::select(sql::<Integer>("6 * 7")).get_result(&mut connection).unwrap();
    assert_eq!(number, 42);
}
