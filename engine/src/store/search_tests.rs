//! Lists of runs: what is found is what fits, a page goes on where the one before it ended, and indexes lead there.
//!
//! Written once and run on both databases. What fits is decided again, run by run, from what was written.

use cloacina_workflow::Timestamp;
use diesel::{QueryableByName, RunQueryDsl, dsl::sql, sql_query, sql_types::Text};

use super::{
    Connection, RunSearch, WorkflowKey,
    connection::{self, Access},
    run_search, search,
    testing::TestDatabase,
    tests::{Fixture, on_both},
    workflow_ensure_in_txn,
};
use crate::{
    core::run::State,
    id::{RunId, WorkflowId},
};

on_both! {
    what_fits_is_found_newest_first_and_page_by_page,
    every_filter_has_its_index,
}

const N_RUNS: u64 = 20_000;
/// Several runs have one moment, as their ids begin alike.
const RUNS_PER_MOMENT: u64 = 3;
const BEGIN: u64 = 1_700_000_000_000_000;

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
    let workflows: Vec<WorkflowId> = (0..5)
        .map(|number| {
            let key = WorkflowKey {
                tenant: "public".to_owned(),
                package: "package".to_owned(),
                name: format!("workflow_{number}"),
                digest: vec![7; 32],
                fingerprint: String::new(),
            };
            workflow_ensure_in_txn(&mut connection, &key, "{}", Timestamp::from_unix_micros(BEGIN)).unwrap()
        })
        .collect();
    let runs = written(&workflows);
    let is_file = matches!(connection, Connection::Sqlite(_));
    let bytes = |bytes: &[u8; 16]| {
        let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        if is_file { format!("X'{digits}'") } else { format!("'\\x{digits}'") }
    };
    for runs in runs.chunks(1_000) {
        let rows: Vec<String> = runs
            .iter()
            .map(|run| {
                let at = run.created_at.unix_micros();
                let (id, workflow) = (bytes(run.id.as_bytes()), bytes(run.workflow.as_bytes()));
                let ended = if run.state.is_terminal() { at.to_string() } else { "NULL".to_owned() };
                let dismissed = if run.is_dismissed { at.to_string() } else { "NULL".to_owned() };
                format!("({id}, {workflow}, '{}', {at}, {at}, {ended}, {dismissed}, 1)", run.state.as_str())
            })
            .collect();
        database.execute(&format!(
            "INSERT INTO run (id, workflow, state, created_at, started_at, finished_at, dismissed_at, owner_epoch) VALUES {}",
            rows.join(", ")
        ));
    }
    // An engine makes no statistics of a file, so its plans must be good without; a server makes its own.
    if !is_file {
        database.execute("ANALYZE");
    }
    (connection, workflows, runs)
}

/// Every filter by itself and with others.
fn searches(workflows: &[WorkflowId], runs: &[Written]) -> Vec<RunSearch> {
    let early = runs[runs.len() / 10].created_at;
    let late = runs[runs.len() / 2].created_at;
    let any = || RunSearch { n_max: 50, ..RunSearch::default() };
    let one = RunId::range_of(&runs[777].id.to_string()[..14]);
    let mut searches = vec![any(), RunSearch { ids: one, ..any() }];
    for states in [vec![], vec![State::Failed], vec![State::Running, State::Pending], State::ALL.to_vec()] {
        for workflows in [None, Some(vec![]), Some(vec![workflows[1]]), Some(vec![workflows[0], workflows[4]])] {
            for (created_from, created_before) in [(None, None), (Some(early), None), (Some(early), Some(late))] {
                let (states, workflows) = (states.clone(), workflows.clone());
                searches.push(RunSearch { states, workflows, created_from, created_before, ..any() });
            }
        }
    }
    searches.push(RunSearch { states: vec![State::Failed], not_dismissed: true, ..any() });
    searches.push(RunSearch { created_before: Some(early), ..any() });
    searches
}

fn fits(search: &RunSearch, run: &Written) -> bool {
    (search.states.is_empty() || search.states.contains(&run.state))
        && search.workflows.as_ref().is_none_or(|workflows| workflows.contains(&run.workflow))
        && search.created_from.is_none_or(|from| run.created_at >= from)
        && search.created_before.is_none_or(|before| run.created_at < before)
        && search.ids.is_none_or(|(first, last)| (first..=last).contains(&run.id))
        && search.after.is_none_or(|after| run.id < after)
        && !(search.not_dismissed && run.is_dismissed)
}

fn what_fits_is_found_newest_first_and_page_by_page(fixture: Fixture) {
    let (mut connection, workflows, runs) = fill(&fixture.database);
    for search in searches(&workflows, &runs) {
        let expected: Vec<RunId> = runs.iter().rev().filter(|run| fits(&search, run)).map(|run| run.id).collect();
        let (mut found, mut after) = (Vec::new(), None);
        for _page in 0..3 {
            let page = run_search(&mut connection, &RunSearch { after, ..search.clone() }).unwrap();
            let Some(last) = page.last() else { break };
            after = Some(last.id);
            found.extend(page.into_iter().map(|run| run.id));
        }
        assert_eq!(found, expected[..expected.len().min(150)], "{search:?}");
    }
}

#[derive(QueryableByName)]
struct Step {
    #[diesel(sql_type = Text)]
    detail: String,
}

fn every_filter_has_its_index(fixture: Fixture) {
    let (mut connection, workflows, runs) = fill(&fixture.database);
    let middle = Some(runs[runs.len() / 2].id);
    for search in searches(&workflows, &runs) {
        for after in [None, middle] {
            let search = RunSearch { after, ..search.clone() };
            for statement in search::statements(&mut connection, &search).unwrap() {
                let plan: Vec<String> = match &mut connection {
                    Connection::Sqlite(connection) => {
                        let steps = sql_query(format!("EXPLAIN QUERY PLAN {statement}")).load::<Step>(connection);
                        steps.unwrap().into_iter().map(|step| step.detail).collect()
                    }
                    Connection::Postgres(connection) => {
                        sql::<Text>(&format!("EXPLAIN {statement}")).load(connection).unwrap()
                    }
                };
                let whole = |step: &String| {
                    step.contains("Seq Scan on run") || step.starts_with("SCAN run") && !step.contains(" USING INDEX ")
                };
                assert!(!plan.iter().any(whole), "{search:?}\n{}", plan.join("\n"));
            }
        }
    }
}
