//! Runs that fit, as a PostgreSQL server finds them: one statement, so that what it reads is of one moment.
//!
//! The statement leaves the planner no other index than the one that is meant, however little its statistics tell: it
//! cannot know that one workflow has no failed run, and would look for 50 of them in all runs. The order names the workflow, which
//! only `run_workflow` has, and the workflow is compared as the one element of an array, as the planner would otherwise see
//! that it orders nothing.
//!
//! Planning takes two thirds of the time of a page, so that a plan is made once for all values. Where a range of ids is
//! asked for beside other filters, it is made for each search: it depends on the values whether many runs are in the range, and
//! the primary key may lead to few.

use diesel::{QueryResult, RunQueryDsl};

use super::{
    owner::NOW,
    postgres::PgConnection,
    search::{Found, FoundTypes, PAIRS_FEW, Question, names, shown},
    statement::Statement,
};
use crate::core::run::State;

pub(super) fn load(connection: &mut PgConnection, question: &Question<'_>) -> QueryResult<Vec<Found>> {
    let statement = statement(question);
    let ask = |connection: &mut PgConnection| statement.rows::<FoundTypes>().load(connection);
    if has_one_plan(question) { ask(connection) } else { connection.planned_anew(ask) }
}

/// Whether the same plan is good for all values.
pub(super) fn has_one_plan(question: &Question<'_>) -> bool {
    question.is_of_all_ids() || question.states().is_none()
}

/// What is asked of the server.
pub(super) fn statement(question: &Question<'_>) -> Statement {
    let mut statement = Statement::default();
    let is_driven = format!(
        "run.finished_at IS NULL AND EXISTS (SELECT 1 FROM owner WHERE owner.epoch = run.owner_epoch \
         AND owner.ended IS NULL AND owner.lease_until > {NOW})"
    );
    let Some((ended, open)) = question.states() else {
        question.by_id(&mut statement, &is_driven);
        return statement;
    };
    statement.text("WITH named AS MATERIALIZED (");
    question.named(&mut statement);
    statement.text("), ");
    if !ended.is_empty() {
        pairs(&mut statement, question, &ended);
    }
    statement.text("page AS MATERIALIZED (SELECT found.id FROM (");
    if !ended.is_empty() {
        statement.text("SELECT one.id FROM pair CROSS JOIN LATERAL (SELECT run.id");
        newest_of_pair(&mut statement, question, "pair.workflow", "pair.state");
        question.limit(&mut statement);
        statement.text(") AS one");
    }
    if !ended.is_empty() && !open.is_empty() {
        statement.text(" UNION ALL ");
    }
    if !open.is_empty() {
        unfinished(&mut statement, question, &open);
    }
    statement.text(") AS found ORDER BY found.id DESC LIMIT ");
    question.limit(&mut statement);
    statement.text(") ");
    shown(&mut statement, &is_driven);
    // A join would let the planner read all runs to find 50.
    statement.text(" FROM page CROSS JOIN LATERAL (SELECT * FROM run AS one WHERE one.id = page.id LIMIT 1) AS run");
    statement
}

/// The pairs of a workflow and a state that may be on the page: `pair`. Few are taken as they are; of many, those whose
/// newest runs are the newest.
fn pairs(statement: &mut Statement, question: &Question<'_>, states: &[State]) {
    let n_few = i64::try_from(PAIRS_FEW / states.len().max(1)).unwrap_or_default();
    statement.text("seen AS MATERIALIZED (SELECT named.id AS workflow, wanted.column1 AS state, (SELECT run.id");
    newest_of_pair(statement, question, "named.id", "wanted.column1");
    statement.text("1) AS newest");
    named_and_wanted(statement, states);
    statement.text("), pair AS MATERIALIZED (SELECT named.id AS workflow, wanted.column1 AS state");
    named_and_wanted(statement, states);
    statement.text(" WHERE (SELECT count(*) FROM named) <= ").number(n_few);
    statement.text(
        " UNION ALL (SELECT seen.workflow, seen.state FROM seen WHERE seen.newest IS NOT NULL \
         AND (SELECT count(*) FROM named) > ",
    );
    statement.number(n_few).text(" ORDER BY seen.newest DESC LIMIT ");
    question.limit(statement);
    statement.text(")), ");
}

fn named_and_wanted(statement: &mut Statement, states: &[State]) {
    statement.text(" FROM named CROSS JOIN (VALUES ");
    names(statement, states, "(", ")");
    statement.text(") AS wanted");
}

/// The runs of a pair in the order of the index, up to the number of rows.
fn newest_of_pair(statement: &mut Statement, question: &Question<'_>, workflow: &str, state: &str) {
    statement.text(&format!(
        " FROM run WHERE run.finished_at IS NOT NULL AND run.workflow = ANY (ARRAY[{workflow}]) AND run.state = {state}"
    ));
    question.ids(statement);
    question.conditions(statement);
    statement.text(" ORDER BY run.workflow DESC, run.state DESC, run.id DESC LIMIT ");
}

/// The runs that have not ended.
fn unfinished(statement: &mut Statement, question: &Question<'_>, states: &[State]) {
    statement.text("SELECT open.id FROM (SELECT run.id");
    question.open(statement, states);
    if !question.is_of_any_workflow() {
        statement.text(" AND run.workflow = ANY (ARRAY(SELECT named.id FROM named))");
    }
    statement.text(" ORDER BY run.id DESC LIMIT ");
    question.limit(statement);
    statement.text(") AS open");
}
