//! What may be set for a server, a database or a user without harm, and what is refused by name.
//!
//! Each row of the table has a database with a user of its own, who is not a superuser, on the server of the tests. A small
//! workload goes through it: submit, run, read, steer; then again after every connection was idle and after each was ended
//! by another program.

use cloacina::{
    Context, Engine, Records, RunFilter, RunRequest, RunState, TaskError, Value,
    testing::{PrivateServer, ServerDatabase},
};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// What an encoding, a string literal or an output format could spoil.
const TEXT: &str = "Grüße, 世界 🦀 \\ \\x41 'quoted' \"too\"";

#[cloacina::workflow(name = "telling")]
pub(crate) mod telling {
    use super::*;

    #[cloacina::task(id = "first", dependencies = [])]
    pub(crate) fn first(context: &mut Context<Value>) -> Result<(), TaskError> {
        Ok(context.insert("said", Value::from(TEXT))?)
    }

    #[cloacina::task(id = "second", dependencies = ["first"])]
    pub(crate) fn second(context: &mut Context<Value>) -> Result<(), TaskError> {
        let said: String = context.get_as("said")?;
        Ok(context.insert("again", Value::from(said))?)
    }
}

#[expect(clippy::disallowed_methods, reason = "the test command tells tests by its environment where the server is")]
fn server() -> String {
    std::env::var("CLOACINA_TEST_POSTGRES")
        .expect("`./test -- settings` starts a PostgreSQL server and runs this with it")
}

/// A database for which that is set; `SET x = y` stands for a setting of the database, anything else is executed.
fn database(options: &str, settings: &[&str]) -> ServerDatabase {
    let database = ServerDatabase::create(&server(), options).unwrap();
    for setting in settings {
        let statement = match setting.strip_prefix("SET ") {
            Some(setting) => format!("ALTER DATABASE {{name}} SET {setting}"),
            None => (*setting).to_owned(),
        };
        database.execute(&statement).unwrap();
    }
    database
}

async fn start(url: &str, folder: &TempDir) -> Result<Engine, cloacina::Error> {
    Engine::builder().database(url).data_dir(folder.path()).workflow(telling::workflow()).start().await
}

/// Submits, runs, reads and steers.
async fn work(engine: &Engine, url: &str, n_before: usize) {
    let run = engine.scheduler().submit(RunRequest::new("telling", Context::new()).by(TEXT)).await.unwrap();
    assert_eq!(run.wait().await.unwrap().state, RunState::Completed);
    let held = engine.scheduler().submit(RunRequest::new("telling", Context::new()).held()).await.unwrap();
    held.cancel("ada").await.unwrap();
    assert_eq!(held.wait().await.unwrap().state, RunState::Cancelled);
    let started = engine.scheduler().submit(RunRequest::new("telling", Context::new()).held()).await.unwrap();
    started.start("ada").await.unwrap();
    assert_eq!(started.wait().await.unwrap().state, RunState::Completed);
    assert_eq!(engine.runs(None).await.unwrap().len(), n_before + 3);
    let mut records = Records::open(url).unwrap();
    let listed = records.runs(&RunFilter::default(), 100).unwrap();
    assert_eq!(listed.len(), n_before + 3);
    assert_eq!(listed.iter().find(|listed| listed.status.id == run.id()).unwrap().created_by.as_deref(), Some(TEXT));
    let report = records.report(run.id()).unwrap();
    assert_eq!(report.context.get_as::<String>("again").unwrap(), TEXT);
    assert_eq!(records.events(run.id()).unwrap().len(), 5);
}

/// Works through it, is idle for longer than is allowed, and loses every connection.
fn check_works(options: &str, settings: &[&str]) {
    let (database, folder) = (database(options, settings), tempfile::tempdir().unwrap());
    let url = database.url().to_owned();
    Runtime::new().unwrap().block_on(async {
        let engine = start(&url, &folder).await.unwrap_or_else(|error| panic!("{settings:?}: {error:?}"));
        work(&engine, &url, 0).await;
        // The server knows how to wait; its administrator has no limits.
        database.execute("SELECT pg_sleep(0.6)").unwrap();
        work(&engine, &url, 3).await;
        database.end_connections().unwrap();
        work(&engine, &url, 6).await;
        engine.shutdown().await.unwrap();
        let engine = start(&url, &folder).await.unwrap();
        work(&engine, &url, 9).await;
        engine.shutdown().await.unwrap();
    });
}

fn check_refused(options: &str, settings: &[&str], code: &str) {
    let (database, folder) = (database(options, settings), tempfile::tempdir().unwrap());
    let started = Runtime::new().unwrap().block_on(start(database.url(), &folder));
    let error = started.err().unwrap_or_else(|| panic!("{settings:?} is not refused"));
    assert_eq!(error.code(), code, "{settings:?}: {error:?}");
    assert!(!error.hints().is_empty(), "{error:?}");
}

#[test]
fn a_server_with_its_defaults_works() {
    check_works("", &[]);
}

#[test]
fn limits_of_time_work() {
    check_works("", &["SET idle_session_timeout = '300ms'", "SET idle_in_transaction_session_timeout = '20ms'"]);
    check_works("", &["SET statement_timeout = '20ms'", "SET lock_timeout = '1ms'"]);
    check_works("", &["SET statement_timeout = '2s'", "SET tcp_keepalives_idle = 1", "SET deadlock_timeout = '10ms'"]);
}

#[test]
fn other_ways_of_transactions_work() {
    check_works(
        "",
        &[
            "SET default_transaction_isolation = serializable",
            "SET default_transaction_deferrable = on",
            "SET synchronous_commit = off",
        ],
    );
    check_works("", &["SET default_transaction_isolation = 'repeatable read'", "SET row_security = off"]);
}

#[test]
fn other_ways_of_writing_work() {
    check_works(
        "",
        &[
            "SET DateStyle = 'SQL, DMY'",
            "SET IntervalStyle = sql_standard",
            "SET bytea_output = escape",
            "SET standard_conforming_strings = off",
            "SET backslash_quote = off",
            "SET TimeZone = 'Asia/Kathmandu'",
            "SET extra_float_digits = -15",
            "SET client_encoding = LATIN1",
            "SET array_nulls = off",
            "SET transform_null_equals = on",
            "SET quote_all_identifiers = on",
        ],
    );
    check_works("ENCODING 'SQL_ASCII' LOCALE 'C'", &[]);
}

#[test]
fn other_ways_of_planning_work() {
    check_works("", &["SET jit_above_cost = 0", "SET jit_optimize_above_cost = 0", "SET jit_inline_above_cost = 0"]);
    check_works(
        "",
        &[
            "SET plan_cache_mode = force_custom_plan",
            "SET enable_indexscan = off",
            "SET max_parallel_workers_per_gather = 0",
        ],
    );
}

#[test]
fn another_schema_and_few_connections_work() {
    check_works("CONNECTION LIMIT 5", &["ALTER ROLE {name} SET statement_timeout = '100ms'"]);
    check_works("", &["SET search_path = '$user', public"]);
}

#[test]
fn what_cannot_work_is_refused_by_name() {
    check_refused("", &["SET default_transaction_read_only = on"], "STO0020");
    check_refused("", &["ALTER ROLE {name} SET default_transaction_read_only = on"], "STO0020");
    check_refused("ENCODING 'LATIN1' LOCALE 'C'", &[], "STO0021");
    check_refused("", &["SET search_path = missing"], "STO0021");
    check_refused("CONNECTION LIMIT 0", &[], "STO0003");
}

#[test]
fn a_database_that_becomes_read_only_can_be_looked_at() {
    let (database, folder) = (database("", &[]), tempfile::tempdir().unwrap());
    let url = database.url().to_owned();
    Runtime::new().unwrap().block_on(async {
        let engine = start(&url, &folder).await.unwrap();
        work(&engine, &url, 0).await;
        engine.shutdown().await.unwrap();
        database.execute("ALTER DATABASE {name} SET default_transaction_read_only = on").unwrap();
        assert_eq!(start(&url, &folder).await.err().unwrap().code(), "STO0020");
    });
    assert_eq!(Records::open(&url).unwrap().runs(&RunFilter::default(), 10).unwrap().len(), 3);
}

/// 40 at once, each with a connection that writes and up to two that read, on a server that takes 100.
#[test]
fn many_commands_at_once_wait_for_each_other() {
    const N_COMMANDS: usize = 40;
    let server = PrivateServer::start(&[]).unwrap();
    let url = server.url();
    let folders: Vec<TempDir> = (0..N_COMMANDS).map(|_| tempfile::tempdir().unwrap()).collect();
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async { start(&url, &folders[0]).await.unwrap().shutdown().await.unwrap() });
    let results: Vec<Result<_, String>> = std::thread::scope(|scope| {
        let create = |folder| {
            let url = &url;
            move || {
                Runtime::new().unwrap().block_on(async {
                    let engine = start(url, folder).await.map_err(|error| format!("{error:?}"))?;
                    let request = RunRequest::new("telling", Context::new()).held();
                    let run = engine.scheduler().submit(request).await.map_err(|error| format!("{error:?}"));
                    engine.shutdown().await.map_err(|error| format!("{error:?}"))?;
                    run.map(|run| run.id())
                })
            }
        };
        let threads: Vec<_> = folders.iter().map(|folder| scope.spawn(create(folder))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let failed: Vec<_> = results.iter().filter_map(|result| result.as_ref().err()).collect();
    assert!(failed.is_empty(), "{} of {N_COMMANDS} failed: {failed:?}", failed.len());
    let listed = Records::open(&url).unwrap().runs(&RunFilter::default(), 100).unwrap();
    assert_eq!(listed.len(), N_COMMANDS);
}
