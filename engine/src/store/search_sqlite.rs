//! Runs that fit, as they are found in a SQLite file: the pairs of a workflow and a state, then the runs of these pairs.
//!
//! A UNION ALL in the order of the ids, with an arm for each pair, is merged by SQLite, which reads one run ahead of each arm
//! and no run that is older than the page. A statement has at most `ARMS_MAX` arms. What more pairs have is merged here; pairs
//! whose newest run is older than the page are not read. Both statements are of one transaction, so that a run which
//! ends between them is found. Where so few workflows and states fit that each pair can have its arm, the pairs that have
//! runs are not looked for, and the page is one statement.

use diesel::{
    Connection as _, QueryResult, RunQueryDsl, SqliteConnection,
    sql_types::{Binary, Text},
};

use super::{
    search::{Found, FoundTypes, PAIRS_FEW, Question, names, newest_first, shown},
    statement::Statement,
};
use crate::{core::run::State, id::RunId};

/// SQLite takes 500 by default, and plans each.
const ARMS_MAX: usize = 32;

/// As new as any run.
const NEWEST: [u8; 16] = [0xff; 16];

/// A file belongs to one engine, which the caller knows.
const IS_DRIVEN: &str = "FALSE";

/// Runs that a page is merged of, each in the order of the ids.
#[derive(Clone, Debug)]
pub(super) enum Arm {
    /// Those that have not ended, in these states.
    Open(Vec<State>),
    /// Those of a workflow that ended in a state.
    Pair { workflow: Vec<u8>, state: String, newest: Vec<u8> },
}

type Pair = (Vec<u8>, String, Vec<u8>);

pub(super) fn load(connection: &mut SqliteConnection, question: &Question<'_>) -> QueryResult<Vec<Found>> {
    let Some((ended, open)) = question.states() else {
        return by_id(question).rows::<FoundTypes>().load(connection);
    };
    let mut arms: Vec<Arm> = (!open.is_empty()).then_some(Arm::Open(open)).into_iter().collect();
    if let Some(few) = few(connection, question, &ended)? {
        arms.extend(few);
        return page(question, &arms, |statement| statement.rows::<FoundTypes>().load(connection));
    }
    connection.transaction(|connection| {
        let pairs: Vec<Pair> = pairs(question, &ended).rows::<(Binary, Text, Binary)>().load(connection)?;
        arms.extend(pairs.into_iter().map(|(workflow, state, newest)| Arm::Pair { workflow, state, newest }));
        page(question, &arms, |statement| statement.rows::<FoundTypes>().load(connection))
    })
}

/// An arm for each workflow and each of these states, unless they are many.
fn few(connection: &mut SqliteConnection, question: &Question<'_>, states: &[State]) -> QueryResult<Option<Vec<Arm>>> {
    if states.is_empty() {
        return Ok(Some(Vec::new()));
    }
    let workflows: Vec<(Vec<u8>,)> = few_named(question).rows::<(Binary,)>().load(connection)?;
    let arm = |workflow: &Vec<u8>, state: &State| Arm::Pair {
        workflow: workflow.clone(),
        state: state.as_str().to_owned(),
        newest: NEWEST.to_vec(),
    };
    let arms = workflows.iter().flat_map(|(workflow,)| states.iter().map(move |state| arm(workflow, state)));
    Ok((workflows.len() * states.len() <= PAIRS_FEW).then(|| arms.collect()))
}

/// The newest runs of all arms. The pairs come in the order of their newest runs.
fn page(
    question: &Question<'_>,
    arms: &[Arm],
    mut ask: impl FnMut(&Statement) -> QueryResult<Vec<Found>>,
) -> QueryResult<Vec<Found>> {
    let n_max = usize::try_from(question.search.n_max).unwrap_or_default();
    let mut found: Vec<Found> = Vec::new();
    let mut question = *question;
    for some in arms.chunks(ARMS_MAX) {
        if let Some(((oldest, ..), ..)) = found.last().filter(|_| found.len() >= n_max) {
            if matches!(&some[0], Arm::Pair { newest, .. } if newest < oldest) {
                break;
            }
            question.first = oldest.as_slice().try_into().map_or(question.first, RunId::from_bytes);
        }
        found.extend(ask(&merged(&question, some))?);
        newest_first(&mut found);
        found.truncate(n_max);
    }
    Ok(found)
}

/// The runs that the primary key leads to.
pub(super) fn by_id(question: &Question<'_>) -> Statement {
    let mut statement = Statement::default();
    question.by_id(&mut statement, IS_DRIVEN);
    statement
}

/// The workflows that fit, as far as their number matters.
pub(super) fn few_named(question: &Question<'_>) -> Statement {
    let mut statement = Statement::default();
    question.named(&mut statement);
    statement.text(" LIMIT ").n_rows(i64::try_from(PAIRS_FEW).unwrap_or(i64::MAX - 1) + 1);
    statement
}

/// The pairs that may be on the page: workflow, state, and the id of the newest run, which comes first.
pub(super) fn pairs(question: &Question<'_>, states: &[State]) -> Statement {
    let mut statement = Statement::default();
    statement.text("SELECT named.id, wanted.column1, (SELECT run.id FROM run WHERE ");
    of_pair(&mut statement, question, |statement| {
        statement.text("named.id AND run.state = wanted.column1");
    });
    statement.text(" ORDER BY run.id DESC LIMIT 1) AS newest FROM (");
    question.named(&mut statement);
    statement.text(") AS named CROSS JOIN (VALUES ");
    names(&mut statement, states, "(", ")");
    statement.text(") AS wanted WHERE newest IS NOT NULL ORDER BY newest DESC LIMIT ");
    question.limit(&mut statement);
    statement
}

/// The newest runs of these arms.
pub(super) fn merged(question: &Question<'_>, arms: &[Arm]) -> Statement {
    let mut statement = Statement::default();
    statement.each(" UNION ALL ", arms, |statement, arm| {
        shown(statement, IS_DRIVEN);
        match arm {
            Arm::Pair { workflow, state, .. } => {
                statement.text(" FROM run WHERE ");
                of_pair(statement, question, |statement| {
                    // Bare, the value would be compared with the conditions of partial indexes, and SQLite would prepare the
                    // statement anew for each value.
                    statement.bytes(workflow).text(" AND run.state = +").name(state);
                });
            }
            Arm::Open(states) => {
                question.open(statement, states);
                if !question.is_of_any_workflow() {
                    statement.text(" AND run.workflow IN (");
                    question.named(statement);
                    statement.text(")");
                }
            }
        }
    });
    statement.text(" ORDER BY 1 DESC LIMIT ");
    question.limit(&mut statement);
    statement
}

/// Only runs of one workflow that ended in one state.
fn of_pair(statement: &mut Statement, question: &Question<'_>, pair: impl FnOnce(&mut Statement)) {
    statement.text("run.finished_at IS NOT NULL AND run.workflow = ");
    pair(statement);
    question.ids(statement);
    question.conditions(statement);
}
