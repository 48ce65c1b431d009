//! Lists of runs beside the barest query that finds the same runs by the same index.
//!
//! The database gets so many runs of three workflows of two tenants. One run of twenty failed, one of a thousand is under
//! way, and the rest completed. A list gives what `runs list` shows; the bare query gives the rows alone.

use std::time::{Duration, Instant};

use cloacina_workflow::Timestamp;
use diesel::{
    QueryResult, RunQueryDsl,
    connection::SimpleConnection,
    sql_types::{BigInt, Binary, Nullable, Text},
};

use super::{MeasureError, store};
use crate::{
    api::{Caller, RunFilter},
    core::run::State,
    engine::Records,
    id::{RunId, TENANT_DEFAULT, WorkflowId},
    store::{Connection, JobResult, Statement, Store, WorkflowKey, workflow_ensure_in_txn},
};

/// Runs on a page.
const PAGE: usize = 50;
const PAGE_ROWS: i64 = 50;

/// The moment at which the first run was created, in milliseconds since the epoch; one run a millisecond follows.
const BEGIN_MS: u64 = 1_700_000_000_000;

/// What a list took, and the bare query.
#[derive(Clone, Copy, Debug)]
pub struct Listed {
    /// What the runs were chosen by.
    pub by: &'static str,
    /// How long the list took, of each repetition.
    pub list: Duration,
    /// How long the bare query took.
    pub bare: Duration,
}

/// Fills a database with so many runs, and lists some of them so many times in each way.
///
/// # Errors
/// What the store says.
pub fn measure_lists(address: &str, n_runs: u64, n_times: usize) -> Result<Vec<Listed>, MeasureError> {
    let (store, first, epoch) = store::open(address, Box::new(|_| {}))?;
    let filled = fill(&store, first, epoch, n_runs);
    store.close();
    let [_, acme] = filled?;
    let mut records = Records::open(address).map_err(store_error)?.on_behalf_of(Caller::owner());
    let middle = Timestamp::from_unix_micros((BEGIN_MS + n_runs / 2) * 1_000);
    let any = RunFilter::default;
    let of = |workflow: WorkflowId, state: &str| {
        let condition = format!("finished_at IS NOT NULL AND state = '{state}' AND workflow =");
        move |is_file| format!("{condition} {}", bytes(workflow.as_bytes(), is_file))
    };
    let (failed, of_acme) = (of(first, "failed"), of(acme, "completed"));
    let before = move |is_file| format!("id < {}", bytes(RunId::floor(middle).as_bytes(), is_file));
    let questions: [(&'static str, RunFilter, Condition<'_>); 4] = [
        ("state", RunFilter { states: vec![State::Failed], ..any() }, &failed),
        ("workflow", RunFilter { workflow: Some("load".to_owned()), ..any() }, &failed),
        ("tenant", RunFilter { tenant: Some("acme".to_owned()), ..any() }, &of_acme),
        ("time", RunFilter { created_before: Some(middle), ..any() }, &before),
    ];
    let mut listed = Vec::new();
    for _time in 0..n_times {
        for (by, filter, bare) in &questions {
            let list = timed(|| records.runs(filter, PAGE).map_err(store_error).map(|runs| runs.len()))?;
            let bare = timed(|| bare_query(&mut records, *bare))?;
            listed.push(Listed { by, list, bare });
        }
    }
    Ok(listed)
}

#[expect(clippy::disallowed_methods, reason = "a measurement reads the clock")]
fn timed(ask: impl FnOnce() -> Result<usize, MeasureError>) -> Result<Duration, MeasureError> {
    let begin = Instant::now();
    let n_found = ask()?;
    let elapsed = begin.elapsed();
    if n_found == 0 {
        let message = "a list that is measured is empty".to_owned();
        return Err(MeasureError::Database { doing: "listing runs", message });
    }
    Ok(elapsed)
}

fn store_error(error: crate::Error) -> MeasureError {
    match error {
        crate::Error::Store(error) => error.into(),
        error => MeasureError::Database { doing: "listing runs", message: error.to_string() },
    }
}

/// What the bare query gives.
type Row = (Vec<u8>, Vec<u8>, String, i64, Option<i64>, Option<i64>);

/// What the bare query asks for, as a file or a server reads it.
type Condition<'a> = &'a dyn Fn(bool) -> String;

fn bare_query(records: &mut Records, condition: Condition<'_>) -> Result<usize, MeasureError> {
    let rows = records.read("asking a bare query", |connection| -> QueryResult<usize> {
        let is_file = matches!(connection, Connection::Sqlite(_));
        // Prepared once and found again, as the list is.
        let mut query = Statement::default();
        query.text("SELECT id, workflow, state, created_at, started_at, finished_at FROM run WHERE ");
        query.text(&condition(is_file)).text(" ORDER BY id DESC LIMIT ").n_rows(PAGE_ROWS);
        let query = query.rows::<(Binary, Binary, Text, BigInt, Nullable<BigInt>, Nullable<BigInt>)>();
        let rows: Vec<Row> = match connection {
            Connection::Sqlite(connection) => query.load(connection)?,
            Connection::Postgres(connection) => query.load(connection)?,
        };
        Ok(rows.len())
    });
    rows.map_err(store_error)
}

/// Adds two more workflows, one of another tenant, and the runs.
fn fill(store: &Store, first: WorkflowId, epoch: i64, n_runs: u64) -> Result<[WorkflowId; 2], MeasureError> {
    let filled = store.write_blocking("filling a database", move |connection| -> JobResult<[WorkflowId; 2]> {
        let mut ensure = |tenant: &str, name: &str| {
            let key = WorkflowKey {
                tenant: tenant.to_owned(),
                package: "bench".to_owned(),
                name: name.to_owned(),
                digest: Vec::new(),
                fingerprint: String::new(),
            };
            let described = format!(r#"{{"name":"{name}","tasks":[]}}"#);
            workflow_ensure_in_txn(connection, &key, &described, Timestamp::from_unix_micros(BEGIN_MS * 1_000))
        };
        let workflows = [ensure(TENANT_DEFAULT, "other")?, ensure("acme", "load")?];
        let is_file = matches!(connection, Connection::Sqlite(_));
        connection.batch_execute(&filling([first, workflows[0], workflows[1]], epoch, n_runs, is_file))?;
        Ok(workflows)
    });
    Ok(filled?)
}

/// One statement that makes all runs.
fn filling(workflows: [WorkflowId; 3], epoch: i64, n_runs: u64, is_file: bool) -> String {
    let [first, other, acme] = workflows.map(|workflow| bytes(workflow.as_bytes(), is_file));
    let (numbers, id, analyze) = if is_file {
        let numbers = format!(
            "WITH RECURSIVE numbers (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM numbers WHERE i + 1 < {n_runs}) SELECT"
        );
        (numbers, format!("unhex(printf('%012x7000%016x', {BEGIN_MS} + i, i))"), "")
    } else {
        let id = format!("decode(lpad(to_hex({BEGIN_MS} + i), 12, '0') || '7000' || lpad(to_hex(i), 16, '0'), 'hex')");
        // A server does that by itself, some time later.
        ("SELECT".to_owned(), id, "; ANALYZE run")
    };
    let from = if is_file {
        "numbers".to_owned()
    } else {
        format!("generate_series(0::bigint, {} - 1) AS numbers (i)", n_runs)
    };
    let at = format!("({BEGIN_MS} + i) * 1000");
    format!(
        "INSERT INTO run (id, workflow, state, owner_epoch, created_at, started_at, finished_at) {numbers} {id}, \
         CASE i % 3 WHEN 0 THEN {first} WHEN 1 THEN {other} ELSE {acme} END, \
         CASE WHEN i % 1000 = 7 THEN 'running' WHEN i % 20 = 3 THEN 'failed' ELSE 'completed' END, {epoch}, {at}, {at}, \
         CASE WHEN i % 1000 = 7 THEN NULL ELSE {at} END FROM {from}{analyze}"
    )
}

fn bytes(bytes: &[u8], is_file: bool) -> String {
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    if is_file { format!("X'{digits}'") } else { format!("'\\x{digits}'::bytea") }
}
