//! Lists of runs: what is found is what fits, a page goes on where the one before it ended, and indexes lead there.
//!
//! Written once and run on both databases. What fits is decided again, run by run, from what was written.

use cloacina_workflow::Timestamp;
use diesel::{
    RunQueryDsl, SqliteConnection,
    connection::SimpleConnection,
    sql_types::{Integer, Text},
};

use super::{
    Connection, RunSearch, WorkflowKey,
    connection::{self, Access},
    run_search,
    search::Question,
    search_postgres,
    search_sqlite::{self, Arm},
    statement::{Part, Statement},
    testing::TestDatabase,
    tests::{Fixture, on_both},
    workflow_ensure_in_txn,
};
use crate::{
    core::run::State,
    id::{RunId, WorkflowId},
    testing::{Value, n_prepared_anew},
};

on_both! {
    what_fits_is_found_newest_first_and_page_by_page,
    every_filter_has_its_index,
}

const N_RUNS: u64 = 20_000;
/// Several runs have one moment, as their ids begin alike.
const RUNS_PER_MOMENT: u64 = 3;
const BEGIN: u64 = 1_700_000_000_000_000;

/// The tenant, the package and the name of each workflow; one has two versions.
const WORKFLOWS: [(&str, &str, &str); 5] = [
    ("public", "shop", "order"),
    ("public", "shop", "refund"),
    ("public", "shop", "order"),
    ("public", "", "order"),
    ("acme", "shop", "order"),
];

/// A run as it was written.
#[derive(Clone, Debug)]
struct Written {
    id: RunId,
    workflow: WorkflowId,
    state: State,
    created_at: Timestamp,
    is_dismissed: bool,
}

/// Two of every thousand have not ended; what is rare comes from all times.
fn state_of(number: u64) -> State {
    match number % 1_000 {
        0 => State::Running,
        1 => State::Pending,
        2..=5 => State::Cancelled,
        6..=60 => State::Failed,
        61 => State::PartiallyCompleted,
        _ => State::Completed,
    }
}

fn written(workflows: &[WorkflowId]) -> Vec<Written> {
    let runs = (0..N_RUNS).map(|number| {
        let created_at = Timestamp::from_unix_micros(BEGIN + number / RUNS_PER_MOMENT * 1_500);
        let mut bytes = *RunId::floor(created_at).as_bytes();
        bytes[8..].copy_from_slice(&number.to_be_bytes());
        Written {
            id: RunId::from_bytes(bytes),
            workflow: workflows[usize::try_from(number * 7 % workflows.len() as u64).unwrap()],
            state: state_of(number),
            created_at,
            is_dismissed: number % 2 == 0 && state_of(number) == State::Failed,
        }
    });
    runs.collect()
}

/// A database with workflows and so many runs that no plan is good that looks at all of them.
fn fill(database: &TestDatabase) -> (Connection, Vec<WorkflowId>, Vec<Written>) {
    let mut connection =
        connection::open(&database.place(), Access::Write { lease: super::LEASE_DEFAULT, synced: false }).unwrap();
    let workflows: Vec<WorkflowId> = WORKFLOWS
        .iter()
        .zip(0..)
        .map(|((tenant, package, name), version)| {
            let key = WorkflowKey {
                tenant: (*tenant).to_owned(),
                package: (*package).to_owned(),
                name: (*name).to_owned(),
                digest: vec![version; 32],
                fingerprint: String::new(),
            };
            workflow_ensure_in_txn(&mut connection, &key, "{}", Timestamp::from_unix_micros(BEGIN)).unwrap()
        })
        .collect();
    let runs = written(&workflows);
    let row = |run: &Written| {
        let at = run.created_at.unix_micros();
        let (id, workflow) = (database.bytes(run.id.as_bytes()), database.bytes(run.workflow.as_bytes()));
        let ended = if run.state.is_terminal() { at.to_string() } else { "NULL".to_owned() };
        let dismissed = if run.is_dismissed { at.to_string() } else { "NULL".to_owned() };
        format!("({id}, {workflow}, '{}', {at}, {at}, {ended}, {dismissed}, 1)", run.state.as_str())
    };
    let columns = "run (id, workflow, state, created_at, started_at, finished_at, dismissed_at, owner_epoch)";
    database.insert(columns, runs.iter().map(row));
    (connection, workflows, runs)
}

/// Every filter by itself and with others.
fn searches(runs: &[Written]) -> Vec<RunSearch> {
    let early = runs[runs.len() / 10].created_at;
    let late = runs[runs.len() / 2].created_at;
    let any = || RunSearch { n_max: 50, ..RunSearch::default() };
    let one = RunId::range_of(&runs[777].id.to_string()[..14]);
    let mut searches = vec![any(), RunSearch { ids: one, ..any() }];
    let word = |word: &str| Some(word.to_owned());
    let names = [
        (None, None, None),
        (None, None, word("missing")),
        (None, None, word("refund")),
        (None, None, word("order")),
        (None, word("shop"), word("order")),
        (word("acme"), None, None),
        (word("public"), word(""), word("order")),
    ];
    for states in [vec![], vec![State::Failed], vec![State::Running, State::Pending], State::ALL.to_vec()] {
        for (tenant, package, workflow) in &names {
            for (created_from, created_before) in [(None, None), (Some(early), None), (Some(early), Some(late))] {
                let (tenant, package, workflow) = (tenant.clone(), package.clone(), workflow.clone());
                let states = states.clone();
                searches.push(RunSearch { states, tenant, package, workflow, created_from, created_before, ..any() });
            }
        }
    }
    searches.push(RunSearch { states: vec![State::Failed], not_dismissed: true, ..any() });
    searches.push(RunSearch { created_before: Some(early), ..any() });
    searches
}

fn fits(search: &RunSearch, run: &Written, workflows: &[WorkflowId]) -> bool {
    let place = workflows.iter().position(|workflow| *workflow == run.workflow).unwrap();
    let (tenant, package, name) = WORKFLOWS[place];
    let is = |asked: &Option<String>, found: &str| asked.as_ref().is_none_or(|asked| asked == found);
    (search.states.is_empty() || search.states.contains(&run.state))
        && is(&search.tenant, tenant)
        && is(&search.package, package)
        && is(&search.workflow, name)
        && search.created_from.is_none_or(|from| run.created_at >= from)
        && search.created_before.is_none_or(|before| run.created_at < before)
        && search.ids.is_none_or(|(first, last)| (first..=last).contains(&run.id))
        && search.after.is_none_or(|after| run.id < after)
        && !(search.not_dismissed && run.is_dismissed)
}

fn what_fits_is_found_newest_first_and_page_by_page(fixture: Fixture) {
    let (mut connection, workflows, runs) = fill(&fixture.database);
    for search in searches(&runs) {
        let expected: Vec<RunId> =
            runs.iter().rev().filter(|run| fits(&search, run, &workflows)).map(|run| run.id).collect();
        let (mut found, mut after) = (Vec::new(), None);
        for _page in 0..3 {
            let page = run_search(&mut connection, &RunSearch { after, ..search.clone() }).unwrap();
            let Some(last) = page.last() else { break };
            after = Some(last.row.id);
            found.extend(page.into_iter().map(|run| run.row.id));
        }
        assert_eq!(found, expected[..expected.len().min(150)], "{search:?}");
    }
}

/// Each time it would cost more than most statements do.
fn assert_is_prepared_once(connection: &mut SqliteConnection, statement: &Statement) {
    let mut file = Statement::default();
    file.text("SELECT file FROM pragma_database_list WHERE name = 'main'");
    let file: Vec<String> = file.rows::<Text>().load(connection).unwrap();
    let (text, values) = statement.in_parts(|_| "?".to_owned());
    let values: Vec<Value<'_>> = values
        .into_iter()
        .map(|part| match part {
            Part::Bytes(bytes) => Value::Blob(bytes),
            Part::Text(text) | Part::Name(text) => Value::Text(text),
            Part::Number(number) => Value::Integer(*number),
        })
        .collect();
    assert_eq!(n_prepared_anew(file[0].as_ref(), &text, &values).unwrap(), 0, "{text}");
}

/// How the database goes about it, a step each.
pub(super) fn plan(connection: &mut Connection, statement: Statement) -> Vec<String> {
    match connection {
        Connection::Sqlite(connection) => {
            assert_is_prepared_once(connection, &statement);
            let steps = statement.explained("EXPLAIN QUERY PLAN");
            let steps = steps.rows::<(Integer, Integer, Integer, Text)>();
            steps.load::<(i32, i32, i32, String)>(connection).unwrap().into_iter().map(|step| step.3).collect()
        }
        Connection::Postgres(connection) => statement.explained("EXPLAIN").rows::<Text>().load(connection).unwrap(),
    }
}

/// The plan of a server that is made once for all values.
fn plan_made_once(connection: &mut Connection, statement: &Statement) -> Vec<String> {
    let Connection::Postgres(server) = connection else { unreachable!("only a server keeps plans for other values") };
    let [prepare, explain] = statement.explained_as_prepared("explained");
    server.batch_execute(&prepare).unwrap();
    let mut explained = Statement::default();
    explained.text(&explain);
    let steps = explained.rows::<Text>().load(server).unwrap();
    server.batch_execute("DEALLOCATE explained").unwrap();
    steps
}

/// Whether one of the steps reads all runs.
fn reads_all(plan: &[String]) -> bool {
    let whole = |step: &String| {
        step.contains("Seq Scan on run") || step.starts_with("SCAN run") && !step.contains(" USING INDEX ")
    };
    plan.iter().any(whole)
}

/// What the database does for a search, statement by statement.
fn plans(connection: &mut Connection, search: &RunSearch) -> Vec<Vec<String>> {
    let question = Question::of(search).unwrap();
    if let Connection::Sqlite(file) = connection {
        assert_is_prepared_once(file, &search_sqlite::few_named(&question));
        return asked_of_file(&question).into_iter().map(|statement| plan(connection, statement)).collect();
    }
    let statement = search_postgres::statement(&question);
    let has_one_plan = search_postgres::has_one_plan(&question);
    vec![if has_one_plan { plan_made_once(connection, &statement) } else { plan(connection, statement) }]
}

/// All that a file is asked for a search.
fn asked_of_file(question: &Question<'_>) -> Vec<Statement> {
    let Some((ended, open)) = question.states() else { return vec![search_sqlite::by_id(question)] };
    let pair =
        |newest: u8| Arm::Pair { workflow: vec![newest; 16], state: "failed".to_owned(), newest: vec![newest; 16] };
    let arms = (!open.is_empty()).then_some(Arm::Open(open)).into_iter();
    if ended.is_empty() {
        return vec![search_sqlite::merged(question, &arms.collect::<Vec<_>>())];
    }
    let arms: Vec<Arm> = arms.chain([pair(9), pair(8)]).collect();
    vec![search_sqlite::pairs(question, &ended), search_sqlite::merged(question, &arms)]
}

fn every_filter_has_its_index(fixture: Fixture) {
    let (mut connection, _, runs) = fill(&fixture.database);
    let middle = Some(runs[runs.len() / 2].id);
    for search in searches(&runs) {
        for after in [None, middle] {
            let search = RunSearch { after, ..search.clone() };
            for plan in plans(&mut connection, &search) {
                let shown = plan.join("\n");
                assert!(!reads_all(&plan), "{search:?}\n{shown}");
                // What is merged comes in order, up to the end of the page; SQLite sorts the pairs, which are few.
                assert!(!shown.contains("UNION ALL") || !shown.contains("USE TEMP B-TREE FOR ORDER BY"), "{shown}");
                let follows_ids = search.states.is_empty() && search.tenant.is_none() && search.workflow.is_none();
                let ended = search.states.is_empty() || search.states.iter().any(|state| state.is_terminal());
                assert_eq!(!follows_ids && ended, shown.contains("run_workflow"), "{search:?}\n{shown}");
                // Beside the index of the filter, the primary key finds single runs alone.
                let by_key = plan.windows(2).filter(|steps| steps[0].contains(" run_pkey "));
                let of_one = |steps: &[String]| steps[1].contains("(id = page.id)");
                assert!(follows_ids || by_key.into_iter().all(of_one), "{search:?}\n{shown}");
            }
        }
    }
}
