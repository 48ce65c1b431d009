//! How commits are written to PostgreSQL: whole groups as arrays, a handful of statements for any number of rows.
//!
//! - The owners' rows are locked first, for sharing: an engine that takes over waits until this transaction has ended, and
//!   the engine that was taken over from finds that its epoch has ended and is fenced. One lock serves all runs of an engine.
//! - All statements are fragments with a static id, so that each is prepared once for each connection.
//! - Rows that exist already are counted, not raised. A group of several commits is then refused as a whole, so that
//!   the writer halves it; only a commit by itself can be told that it is a duplicate.

use std::collections::{HashMap, HashSet};

use diesel::{
    QueryResult, RunQueryDsl,
    pg::Pg,
    query_builder::{AstPass, Query, QueryFragment, QueryId},
    result::Error as DieselError,
    sql_types::{Array, BigInt, Binary, Integer, Nullable, Text},
};

use super::{
    EventRow,
    commit::{Commit, NewRun, Outcome, RunUpdate},
    postgres::{Flight, Landing, PgConnection},
    row::micros,
};
use crate::id::RunId;

pub(super) fn write_in_txn(connection: &mut PgConnection, commits: &[&Commit]) -> QueryResult<Vec<Outcome>> {
    let owned = check_epochs(connection, commits)?;
    let outcome = |owned: &bool| if *owned { Outcome::Committed } else { Outcome::Fenced };
    let mut outcomes: Vec<Outcome> = owned.iter().map(outcome).collect();
    let accepted: Vec<&Commit> =
        commits.iter().zip(&owned).filter(|(_, owned)| **owned).map(|(commit, _)| *commit).collect();
    let (n_new, n_inserted) = insert_runs(connection, &accepted)?;
    if let ([outcome], [commit]) = (&mut outcomes[..], &accepted[..]) {
        if n_inserted < n_new {
            *outcome = Outcome::Duplicate;
            return Ok(outcomes);
        }
        // The first event tells a duplicate from a hole, so it goes first.
        let first = commit.events.get(..1).unwrap_or_default();
        if commit.create.is_none() && insert_events(connection, commit.run, first)? < first.len() {
            *outcome = Outcome::Duplicate;
            return Ok(outcomes);
        }
        let rest = if commit.create.is_none() { first.len() } else { 0 };
        expect_all(commit.events.len() - rest, insert_events(connection, commit.run, &commit.events[rest..])?)?;
    } else {
        expect_all(n_new, n_inserted)?;
        let rows: Vec<(RunId, &EventRow)> =
            accepted.iter().flat_map(|commit| commit.events.iter().map(|event| (commit.run, event))).collect();
        expect_all(rows.len(), insert_event_rows(connection, &rows)?)?;
    }
    update_runs(connection, &accepted)?;
    Ok(outcomes)
}

/// Writes commits in a transaction that travels as a whole, so that the server is waited for once. If anything about them is not
/// as it is nearly always, nothing is written: [`write_in_txn`] then finds out what.
///
/// `mark` is the number of the transaction, of which `begin` has told the server.
pub(super) fn fly(
    connection: &mut PgConnection,
    (begin, mark): (&str, &str),
    commits: &[&Commit],
) -> QueryResult<Landing> {
    let mut flight = Flight::default();
    let epochs: HashSet<i64> = commits.iter().map(|commit| commit.epoch).collect();
    connection.pack(&mut flight, &ExpectOwners { epochs: epochs.into_iter().collect() })?;
    let owned = |commit: &&Commit| (commit.run, commit.epoch);
    let new: HashSet<(RunId, i64)> = commits.iter().filter(|commit| commit.create.is_some()).map(owned).collect();
    let older: HashSet<(RunId, i64)> = commits.iter().map(owned).filter(|owned| !new.contains(owned)).collect();
    if !older.is_empty() {
        let (runs, epochs) = older.iter().map(|(run, epoch)| (run.as_bytes().to_vec(), *epoch)).unzip();
        connection.pack(&mut flight, &ExpectEpochs { runs, epochs })?;
    }
    if let Some(runs) = new_runs(commits) {
        connection.pack(&mut flight, &Alone { rows: runs, mark })?;
    }
    let events: Vec<(RunId, &EventRow)> =
        commits.iter().flat_map(|commit| commit.events.iter().map(|event| (commit.run, event))).collect();
    if !events.is_empty() {
        connection.pack(&mut flight, &Alone { rows: event_rows(&events), mark })?;
    }
    if let Some(updates) = updates(commits) {
        connection.pack(&mut flight, &Alone { rows: updates, mark })?;
    }
    connection.fly(begin, flight)
}

/// For each commit, whether its epoch owns the run. Nobody can take a run over from now to the transaction's end.
fn check_epochs(connection: &mut PgConnection, commits: &[&Commit]) -> QueryResult<Vec<bool>> {
    let epochs: HashSet<i64> = commits.iter().map(|commit| commit.epoch).collect();
    let epochs: Vec<i64> = epochs.into_iter().collect();
    let alive: Vec<i64> = LockOwners { epochs }.load(connection)?;
    let older: HashSet<RunId> =
        commits.iter().filter(|commit| commit.create.is_none()).map(|commit| commit.run).collect();
    let mut owned: HashSet<(Vec<u8>, i64)> = HashSet::new();
    if !older.is_empty() {
        let runs = older.iter().map(|run| run.as_bytes().to_vec()).collect();
        owned.extend(CheckEpochs { runs }.load::<(Vec<u8>, i64)>(connection)?);
    }
    let mut is_owned = |commit: &&Commit| {
        let ownership = (commit.run.as_bytes().to_vec(), commit.epoch);
        if !alive.contains(&commit.epoch) {
            false
        } else if commit.create.is_some() {
            owned.insert(ownership);
            true
        } else {
            owned.contains(&ownership)
        }
    };
    Ok(commits.iter().map(&mut is_owned).collect())
}

/// How many runs the commits create, and how many of those were not there.
fn insert_runs(connection: &mut PgConnection, commits: &[&Commit]) -> QueryResult<(usize, usize)> {
    match new_runs(commits) {
        Some(rows) => Ok((rows.ids.len(), Gently(rows).execute(connection)?)),
        None => Ok((0, 0)),
    }
}

/// The runs that the commits create, if they create any.
fn new_runs<'a>(commits: &[&'a Commit]) -> Option<InsertRuns<'a>> {
    let new: Vec<(&Commit, &NewRun)> =
        commits.iter().filter_map(|commit| commit.create.as_ref().map(|new| (*commit, new))).collect();
    (!new.is_empty()).then(|| InsertRuns {
        ids: new.iter().map(|(commit, _)| commit.run.as_bytes().to_vec()).collect(),
        workflows: new.iter().map(|(_, new)| new.workflow.as_bytes().to_vec()).collect(),
        states: new.iter().map(|(_, new)| new.state.as_str()).collect(),
        epochs: new.iter().map(|(commit, _)| commit.epoch).collect(),
        created_at: new.iter().map(|(_, new)| micros(new.created_at)).collect(),
        started_at: new.iter().map(|(_, new)| new.started_at.map(micros)).collect(),
        keys: new.iter().map(|(_, new)| new.key.as_deref()).collect(),
        by: new.iter().map(|(_, new)| new.by.as_deref()).collect(),
    })
}

fn insert_events(connection: &mut PgConnection, run: RunId, events: &[EventRow]) -> QueryResult<usize> {
    let rows: Vec<(RunId, &EventRow)> = events.iter().map(|event| (run, event)).collect();
    insert_event_rows(connection, &rows)
}

fn insert_event_rows(connection: &mut PgConnection, rows: &[(RunId, &EventRow)]) -> QueryResult<usize> {
    if rows.is_empty() { Ok(0) } else { Gently(event_rows(rows)).execute(connection) }
}

fn event_rows<'a>(rows: &[(RunId, &'a EventRow)]) -> InsertEvents<'a> {
    InsertEvents {
        runs: rows.iter().map(|(run, _)| run.as_bytes().to_vec()).collect(),
        sequences: rows.iter().map(|(_, event)| event.sequence).collect(),
        kinds: rows.iter().map(|(_, event)| event.kind.as_str()).collect(),
        tasks: rows.iter().map(|(_, event)| event.task).collect(),
        attempts: rows.iter().map(|(_, event)| event.attempt).collect(),
        at: rows.iter().map(|(_, event)| micros(event.at)).collect(),
        started_at: rows.iter().map(|(_, event)| event.started_at.map(micros)).collect(),
        payloads: rows.iter().map(|(_, event)| event.payload.as_deref()).collect(),
        cpu_us: rows.iter().map(|(_, event)| event.cpu_us).collect(),
        peak_bytes: rows.iter().map(|(_, event)| event.peak_bytes).collect(),
    }
}

fn update_runs(connection: &mut PgConnection, commits: &[&Commit]) -> QueryResult<()> {
    if let Some(rows) = updates(commits) {
        rows.execute(connection)?;
    }
    Ok(())
}

/// What the commits change of runs, if they change anything. One statement cannot change a row twice, so the updates of one run
/// become one.
fn updates(commits: &[&Commit]) -> Option<UpdateRuns<'static>> {
    let mut updates: HashMap<(RunId, i64), RunUpdate> = HashMap::new();
    for commit in commits {
        let Some(update) = commit.update else { continue };
        let merged = updates.entry((commit.run, commit.epoch)).or_insert(update);
        *merged = RunUpdate {
            state: update.state,
            started_at: update.started_at.or(merged.started_at),
            finished_at: update.finished_at.or(merged.finished_at),
        };
    }
    (!updates.is_empty()).then(|| UpdateRuns {
        ids: updates.keys().map(|(run, _)| run.as_bytes().to_vec()).collect(),
        epochs: updates.keys().map(|(_, epoch)| *epoch).collect(),
        states: updates.values().map(|update| update.state.as_str()).collect(),
        started_at: updates.values().map(|update| update.started_at.map(micros)).collect(),
        finished_at: updates.values().map(|update| update.finished_at.map(micros)).collect(),
    })
}

/// Rows that were there before mean that a commit must not be written, and which one is not known here.
fn expect_all(expected: usize, written: usize) -> QueryResult<()> {
    if written == expected { Ok(()) } else { Err(DieselError::RollbackTransaction) }
}

struct LockOwners {
    epochs: Vec<i64>,
}

struct CheckEpochs {
    runs: Vec<Vec<u8>>,
}

/// Fails unless so many owners live. Locks their rows as [`LockOwners`] does.
struct ExpectOwners {
    epochs: Vec<i64>,
}

/// Fails unless the epochs own the runs.
struct ExpectEpochs {
    runs: Vec<Vec<u8>>,
    epochs: Vec<i64>,
}

/// Rows that may be there already: those are left as they are.
struct Gently<T>(T);

/// Rows that must not be there, in the transaction of that mark and in no other: one that did not begin writes nothing.
struct Alone<'a, T> {
    rows: T,
    mark: &'a str,
}

#[derive(Default)]
struct InsertRuns<'a> {
    ids: Vec<Vec<u8>>,
    workflows: Vec<Vec<u8>>,
    states: Vec<&'a str>,
    epochs: Vec<i64>,
    created_at: Vec<i64>,
    started_at: Vec<Option<i64>>,
    keys: Vec<Option<&'a str>>,
    by: Vec<Option<&'a str>>,
}

#[derive(Default)]
struct InsertEvents<'a> {
    runs: Vec<Vec<u8>>,
    sequences: Vec<i64>,
    kinds: Vec<&'a str>,
    tasks: Vec<Option<i32>>,
    attempts: Vec<Option<i32>>,
    at: Vec<i64>,
    started_at: Vec<Option<i64>>,
    payloads: Vec<Option<&'a [u8]>>,
    cpu_us: Vec<Option<i64>>,
    peak_bytes: Vec<Option<i64>>,
}

#[derive(Default)]
struct UpdateRuns<'a> {
    ids: Vec<Vec<u8>>,
    epochs: Vec<i64>,
    states: Vec<&'a str>,
    started_at: Vec<Option<i64>>,
    finished_at: Vec<Option<i64>>,
}

/// Gives a fragment a static id and what diesel needs to execute it.
macro_rules! cached_statement {
    ($name:ty, $id:ty) => {
        impl QueryId for $name {
            type QueryId = $id;
            const HAS_STATIC_QUERY_ID: bool = true;
        }
        impl RunQueryDsl<PgConnection> for $name {}
    };
}

cached_statement!(LockOwners, LockOwners);
cached_statement!(CheckEpochs, CheckEpochs);
cached_statement!(ExpectOwners, ExpectOwners);
cached_statement!(ExpectEpochs, ExpectEpochs);
cached_statement!(Gently<InsertRuns<'_>>, Gently<InsertRuns<'static>>);
cached_statement!(Gently<InsertEvents<'_>>, Gently<InsertEvents<'static>>);
cached_statement!(UpdateRuns<'_>, UpdateRuns<'static>);
cached_statement!(Alone<'_, InsertRuns<'_>>, Alone<'static, InsertRuns<'static>>);
cached_statement!(Alone<'_, InsertEvents<'_>>, Alone<'static, InsertEvents<'static>>);
cached_statement!(Alone<'_, UpdateRuns<'_>>, Alone<'static, UpdateRuns<'static>>);

impl QueryFragment<Pg> for LockOwners {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("SELECT epoch FROM owner WHERE epoch = ANY(");
        out.push_bind_param::<Array<BigInt>, _>(&self.epochs)?;
        // Renewing a lease does not wait for this lock; ending the epoch does.
        out.push_sql(") AND ended IS NULL ORDER BY epoch FOR KEY SHARE");
        Ok(())
    }
}

impl Query for LockOwners {
    type SqlType = BigInt;
}

impl QueryFragment<Pg> for CheckEpochs {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("SELECT id, owner_epoch FROM run WHERE id = ANY(");
        out.push_bind_param::<Array<Binary>, _>(&self.runs)?;
        out.push_sql(")");
        Ok(())
    }
}

impl Query for CheckEpochs {
    type SqlType = (Binary, BigInt);
}

impl QueryFragment<Pg> for ExpectOwners {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("SELECT 1 / (count(*) = cardinality(");
        out.push_bind_param::<Array<BigInt>, _>(&self.epochs)?;
        out.push_sql("))::int FROM (SELECT epoch FROM owner WHERE epoch = ANY(");
        out.push_bind_param::<Array<BigInt>, _>(&self.epochs)?;
        out.push_sql(") AND ended IS NULL ORDER BY epoch FOR KEY SHARE) AS alive");
        Ok(())
    }
}

impl QueryFragment<Pg> for ExpectEpochs {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("SELECT 1 / (count(run.id) = count(*))::int FROM unnest(");
        out.push_bind_param::<Array<Binary>, _>(&self.runs)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<BigInt>, _>(&self.epochs)?;
        out.push_sql(") AS wanted (id, epoch) LEFT JOIN run ON run.id = wanted.id AND run.owner_epoch = wanted.epoch");
        Ok(())
    }
}

impl<T: QueryFragment<Pg>> QueryFragment<Pg> for Gently<T> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        self.0.walk_ast(out.reborrow())?;
        out.push_sql(" ON CONFLICT DO NOTHING");
        Ok(())
    }
}

impl<T: QueryFragment<Pg> + Conditional> QueryFragment<Pg> for Alone<'_, T> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        self.rows.walk_ast(out.reborrow())?;
        out.push_sql(T::AND);
        out.push_sql(" current_setting('cloacina.mark', true) = ");
        out.push_bind_param::<Text, _>(self.mark)?;
        Ok(())
    }
}

/// A statement after whose text a condition may follow.
trait Conditional {
    /// What stands before the condition.
    const AND: &'static str;
}

impl Conditional for InsertRuns<'_> {
    const AND: &'static str = " WHERE";
}

impl Conditional for InsertEvents<'_> {
    const AND: &'static str = " WHERE";
}

impl Conditional for UpdateRuns<'_> {
    const AND: &'static str = " AND";
}

impl QueryFragment<Pg> for InsertRuns<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql(
            "INSERT INTO run (id, workflow, state, owner_epoch, created_at, started_at, submission_key, created_by) ",
        );
        out.push_sql("SELECT * FROM unnest(");
        out.push_bind_param::<Array<Binary>, _>(&self.ids)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Binary>, _>(&self.workflows)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Text>, _>(&self.states)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<BigInt>, _>(&self.epochs)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<BigInt>, _>(&self.created_at)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Nullable<BigInt>>, _>(&self.started_at)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Nullable<Text>>, _>(&self.keys)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Nullable<Text>>, _>(&self.by)?;
        out.push_sql(")");
        Ok(())
    }
}

impl QueryFragment<Pg> for InsertEvents<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql(
            "INSERT INTO event (run, sequence, kind, task, attempt, at, started_at, payload, cpu_us, peak_bytes) ",
        );
        out.push_sql("SELECT * FROM unnest(");
        out.push_bind_param::<Array<Binary>, _>(&self.runs)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<BigInt>, _>(&self.sequences)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Text>, _>(&self.kinds)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Nullable<Integer>>, _>(&self.tasks)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Nullable<Integer>>, _>(&self.attempts)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<BigInt>, _>(&self.at)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Nullable<BigInt>>, _>(&self.started_at)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Nullable<Binary>>, _>(&self.payloads)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Nullable<BigInt>>, _>(&self.cpu_us)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Nullable<BigInt>>, _>(&self.peak_bytes)?;
        out.push_sql(")");
        Ok(())
    }
}

impl QueryFragment<Pg> for UpdateRuns<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql("UPDATE run SET state = new.state, started_at = coalesce(new.started_at, run.started_at), ");
        out.push_sql("finished_at = coalesce(new.finished_at, run.finished_at) FROM unnest(");
        out.push_bind_param::<Array<Binary>, _>(&self.ids)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<BigInt>, _>(&self.epochs)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Text>, _>(&self.states)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Nullable<BigInt>>, _>(&self.started_at)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Nullable<BigInt>>, _>(&self.finished_at)?;
        out.push_sql(") AS new (id, epoch, state, started_at, finished_at) ");
        out.push_sql("WHERE run.id = new.id AND run.owner_epoch = new.epoch");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use diesel::{connection::SimpleConnection, debug_query, dsl::sql};

    use super::*;
    use crate::store::{
        Connection, LEASE_DEFAULT, Options, Store,
        connection::{self, Access},
        log, mark, owner,
        testing::TestDatabase,
    };

    /// Above this a server compiles a plan, if it may.
    const JIT_ABOVE_COST: f64 = 100_000.0;

    /// Tables that grow with every run.
    const LARGE: [&str; 5] = ["run", "event", "log", "package_event", "trust_event"];

    const FILL: &str = "INSERT INTO workflow VALUES (decode(md5('w'), 'hex'), 't', 'p', 'n', '', '', ''); \
        INSERT INTO run (id, workflow, state, owner_epoch, created_at) \
        SELECT decode(md5(i::text), 'hex'), decode(md5('w'), 'hex'), 'running', 1, 0 FROM generate_series(1, 20000) AS i; \
        INSERT INTO event (run, sequence, kind, at) SELECT id, 0, 'run_created', 0 FROM run; \
        INSERT INTO log (run, task, attempt, at, level, target, message, fields, n_dropped) \
        SELECT id, 0, 1, 0, 1, '', '', '', 0 FROM run; \
        INSERT INTO package_event (tenant, name, version, digest, kind, at, actor) \
        SELECT 't', 'n', '1', sha256('a'), 'activated', 0, 'a' FROM generate_series(1, 20000); \
        INSERT INTO trust_event (tenant, kind, at, actor, detail) \
        SELECT 't', 'key_added', 0, 'a', '' FROM generate_series(1, 20000)";

    /// A plan is kept while tables grow, so one that suits small tables only would be slower with every run.
    #[test]
    fn hot_statements_look_rows_up_by_key_and_are_not_compiled_at_a_servers_defaults() {
        let database = TestDatabase::postgres();
        Store::open(Options::new(database.database.clone(), Box::new(|_| {}))).unwrap().close();
        let mut opened =
            connection::open(&database.place(), Access::Write { lease: LEASE_DEFAULT, synced: true }).unwrap();
        let mut mark = mark::Mark::new();
        let statements = statements();
        let vacuum = "VACUUM ANALYZE run, event, log, owner, commit_mark, package_event, trust_event";
        for (tables, change) in [("new", "SELECT 1"), ("empty", vacuum), ("filled", FILL), ("known", vacuum)] {
            opened.batch_execute(change).unwrap();
            opened.batch_execute("DEALLOCATE ALL").unwrap();
            mark.prepare(&mut opened).unwrap();
            for (statement, types) in &statements {
                opened.batch_execute(&format!("PREPARE it ({types}) AS {statement}; {}", mark.begin(true))).unwrap();
                let none = types.split(',').map(|_| "'{}'").collect::<Vec<_>>().join(", ");
                let plan = explain(&mut opened, &format!("EXECUTE it ({none})"));
                opened.batch_execute("ROLLBACK; DEALLOCATE it").unwrap();
                check(tables, statement, &plan);
                let reads_runs = statement.starts_with("SELECT id") || statement.starts_with("UPDATE run");
                assert!(!reads_runs || plan.contains("run_pkey"), "{tables}: {statement}\n{plan}");
            }
            check(tables, "the mark", &explain(&mut opened, "EXECUTE put_mark(1)"));
            // It is planned anew each time, so only how it reads what is large matters.
            let renewal = owner::renewal(1, LEASE_DEFAULT);
            let plan = explain(&mut opened, &renewal);
            if tables == "known" {
                check(tables, &renewal, &plan);
            }
            assert!(cost(&plan) < JIT_ABOVE_COST && !plan.contains("JIT"), "{tables}: {renewal}\n{plan}");
        }
    }

    fn text(query: &impl QueryFragment<Pg>) -> String {
        let text = debug_query::<Pg, _>(query).to_string();
        text.split_once(" -- binds").unwrap().0.to_owned()
    }

    fn statements() -> Vec<(String, String)> {
        const RUNS: &str = "bytea[], bytea[], text[], bigint[], bigint[], bigint[], text[], text[]";
        const EVENTS: &str =
            "bytea[], bigint[], text[], integer[], integer[], bigint[], bigint[], bytea[], bigint[], bigint[]";
        const UPDATES: &str = "bytea[], bigint[], text[], bigint[], bigint[]";
        let alone = |types: &str| format!("{types}, text");
        let typed = |text: String, types: &str| (text, types.to_owned());
        vec![
            typed(text(&LockOwners { epochs: Vec::new() }), "bigint[]"),
            typed(text(&CheckEpochs { runs: Vec::new() }), "bytea[]"),
            typed(text(&ExpectOwners { epochs: Vec::new() }), "bigint[], bigint[]"),
            typed(text(&ExpectEpochs { runs: Vec::new(), epochs: Vec::new() }), "bytea[], bigint[]"),
            typed(text(&UpdateRuns::default()), UPDATES),
            typed(text(&Gently(InsertRuns::default())), RUNS),
            typed(text(&Gently(InsertEvents::default())), EVENTS),
            (text(&Alone { rows: UpdateRuns::default(), mark: "" }), alone(UPDATES)),
            (text(&Alone { rows: InsertRuns::default(), mark: "" }), alone(RUNS)),
            (text(&Alone { rows: InsertEvents::default(), mark: "" }), alone(EVENTS)),
            typed(
                text(&log::insertion_of_nothing()),
                "bytea[], integer[], integer[], bigint[], integer[], text[], text[], text[], bigint[]",
            ),
        ]
    }

    fn explain(connection: &mut Connection, statement: &str) -> String {
        let Connection::Postgres(connection) = connection else { panic!("it is a server") };
        let plan: Vec<String> = sql::<Text>(&format!("EXPLAIN {statement}")).load(connection).unwrap();
        plan.join("\n")
    }

    fn cost(plan: &str) -> f64 {
        let costs = plan.split("..").skip(1).filter_map(|rest| rest.split(' ').next()?.parse::<f64>().ok());
        costs.fold(0.0, f64::max)
    }

    fn check(tables: &str, statement: &str, plan: &str) {
        let is_whole = |table: &&str| plan.contains(&format!("Seq Scan on {table} ")) || plan.contains("Hash Join");
        assert!(!LARGE.iter().any(is_whole), "{tables}: {statement}\n{plan}");
        assert!(cost(plan) < JIT_ABOVE_COST && !plan.contains("JIT"), "{tables}: {statement}\n{plan}");
    }
}
