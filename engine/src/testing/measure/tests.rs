//! That loads are what engines write, on both databases and in both ways of writing them.

use cloacina_workflow::{
    __private::v1::{ABI, Function, StaticWorkflow, TaskFuture, Workflow},
    Context, Value,
};
use diesel::{
    QueryableByName, RunQueryDsl, sql_query,
    sql_types::{BigInt, Bool, Integer, Nullable, Text},
};
use serde_json::json;

use super::{Load, measure_raw, measure_store, n_transactions};
use crate::{
    Engine,
    store::{Connection, Database, Options, Store, testing::TestDatabase},
};

const LOAD: Load = Load { runs: 7, tasks: 3, at_once: 4, changes_per_transaction: 10 };

/// A row without what differs from run to run: ids, epochs and times.
#[derive(Debug, PartialEq, QueryableByName)]
struct Row {
    #[diesel(sql_type = Text)]
    state: String,
    #[diesel(sql_type = Bool)]
    is_timed: bool,
    #[diesel(sql_type = BigInt)]
    sequence: i64,
    #[diesel(sql_type = Text)]
    kind: String,
    #[diesel(sql_type = Nullable<Integer>)]
    task: Option<i32>,
    #[diesel(sql_type = Nullable<Integer>)]
    attempt: Option<i32>,
    #[diesel(sql_type = Bool)]
    has_start: bool,
    #[diesel(sql_type = Nullable<Text>)]
    payload: Option<String>,
}

fn rows(address: &str) -> Vec<Row> {
    const QUERY: &str = "SELECT run.state, run.created_at IS NOT NULL AND run.started_at IS NOT NULL \
        AND run.finished_at IS NOT NULL AND run.submission_key IS NULL AND run.dismissed_at IS NULL AS is_timed, \
        sequence, kind, task, attempt, event.started_at IS NOT NULL AS has_start, ";
    const FROM: &str = " AS payload FROM event JOIN run ON event.run = run.id ORDER BY run.id, sequence";
    let database = Database::parse(address).unwrap();
    let store = Store::open(Options::new(database, Box::new(|_| {}))).unwrap();
    let rows = store.write_blocking("reading rows", |connection| match connection {
        Connection::Sqlite(connection) => sql_query(format!("{QUERY}CAST(payload AS TEXT){FROM}")).load(connection),
        Connection::Postgres(connection) => {
            sql_query(format!("{QUERY}convert_from(payload, 'UTF8'){FROM}")).load(connection)
        }
    });
    store.close();
    rows.unwrap()
}

fn nothing(_: &mut Context<Value>) -> TaskFuture<'_> {
    Box::pin(async { Ok(()) })
}

fn chain() -> Workflow {
    let task = |index: u32| match index.checked_sub(1) {
        None => json!({ "id": format!("t{index}"), "index": index }),
        Some(before) => json!({ "id": format!("t{index}"), "index": index, "dependencies": [format!("t{before}")] }),
    };
    let described = json!({
        "format": 1, "abi": ABI, "package": "chain", "version": "1.0.0",
        "workflows": [{ "name": "chain", "tasks": (0..LOAD.tasks).map(task).collect::<Vec<_>>() }],
    });
    let text: &'static str = described.to_string().leak();
    let functions = vec![Function::AsyncTask(nothing); LOAD.tasks as usize].leak();
    let workflow = StaticWorkflow { name: "chain", json: Box::leak(Box::new([text])), functions };
    Workflow::new(Box::leak(Box::new(workflow)))
}

/// Lets an engine write such runs.
async fn run(address: &str) {
    let folder = tempfile::tempdir().unwrap();
    let builder = Engine::builder().database(address).data_dir(folder.path()).workflow(chain());
    let engine = builder.start().await.unwrap();
    for _ in 0..LOAD.runs {
        let run = engine.scheduler().schedule_workflow("chain", Context::new()).await.unwrap();
        run.wait().await.unwrap();
    }
    let n_commits = LOAD.runs as u64 * (1 + u64::from(LOAD.tasks));
    assert!(n_transactions(&engine) >= n_commits, "one run at a time needs a transaction for each of its commits");
    engine.shutdown().await.unwrap();
}

fn all_ways_leave_the_same(make: fn() -> TestDatabase) {
    let database = make();
    tokio::runtime::Runtime::new().unwrap().block_on(run(&database.address));
    let expected = rows(&database.address);
    assert_eq!(expected.len(), LOAD.runs * (LOAD.changes_per_run() - 2));

    let database = make();
    let raw = measure_raw(&database.address, &LOAD).unwrap();
    assert_eq!(rows(&database.address), expected);
    assert_eq!(raw.latencies.len() as u64, raw.n_transactions);
    assert!((2..=6).contains(&raw.n_transactions), "56 changes, at least 10 each time: {}", raw.n_transactions);

    let database = make();
    let pushed = measure_store(&database.address, &LOAD).unwrap();
    assert_eq!(rows(&database.address), expected);
    assert_eq!(pushed.latencies.len(), LOAD.runs * 4);
    assert!((5..=28).contains(&pushed.n_transactions), "{}", pushed.n_transactions);
}

#[test]
fn a_file_has_the_same_rows_from_every_writer() {
    all_ways_leave_the_same(TestDatabase::sqlite);
}

#[test]
fn a_server_has_the_same_rows_from_every_writer() {
    all_ways_leave_the_same(TestDatabase::postgres);
}

#[test]
fn scratch_databases_are_gone_when_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let scratch = super::Scratch::file(folder.path()).unwrap();
    measure_raw(scratch.address(), &LOAD).unwrap();
    drop(scratch);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);

    let server = TestDatabase::postgres();
    let name = {
        let scratch = super::Scratch::schema(&server.address).unwrap();
        measure_raw(scratch.address(), &LOAD).unwrap();
        scratch.address().rsplit_once("%3D").unwrap().1.to_owned()
    };
    server.execute(&format!("CREATE SCHEMA {name}; DROP SCHEMA {name}"));
}
