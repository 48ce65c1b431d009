//! Which runs are there: by state, workflow, tenant and time, newest first, a page at a time, with what lists tell of each.
//!
//! A page costs by its length and not by how many runs there are. Runs that have ended are found in the index
//! `run_workflow`, which has the runs of one workflow and one state in the order of their ids. Of each such pair that fits, the
//! newest run is looked up; a page of n runs can only have runs of the n pairs whose newest runs are the newest. Runs
//! that have not ended are in `run_unfinished`. A search that asks for no workflow and no state follows the primary key.
//!
//! The two databases read the runs of several pairs in order by different means (`search_sqlite`, `search_postgres`); what fits,
//! and what is told of a run, is decided here for both.

use std::time::Duration;

use cloacina_workflow::Timestamp;
use diesel::sql_types::{BigInt, Binary, Bool, Nullable, Text};

use super::{
    Connection, JobResult, Kind,
    row::micros,
    run::{Columns, RunRow, from_columns},
    search_postgres, search_sqlite,
    statement::Statement,
};
use crate::{
    core::{effect, run::State},
    id::RunId,
};

/// Which runs are looked for; an absent part excludes none.
#[derive(Clone, Debug, Default)]
pub(crate) struct RunSearch {
    pub(crate) states: Vec<State>,
    pub(crate) tenant: Option<String>,
    /// The package of the workflow; the empty one for workflows that are compiled into a program.
    pub(crate) package: Option<String>,
    /// The name of the workflow in its package.
    pub(crate) workflow: Option<String>,
    pub(crate) created_from: Option<Timestamp>,
    pub(crate) created_before: Option<Timestamp>,
    pub(crate) not_dismissed: bool,
    /// Only runs whose id is in this range, both ends included.
    pub(crate) ids: Option<(RunId, RunId)>,
    /// Only runs whose id is smaller.
    pub(crate) after: Option<RunId>,
    pub(crate) n_max: i64,
}

/// A run as a list has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RunFound {
    pub(crate) row: RunRow,
    /// How many of its tasks completed, in it or in the run from which it was derived.
    pub(crate) n_completed: i64,
    /// Whether it belongs to an engine that lives, on a server; of a file never.
    pub(crate) is_driven: bool,
}

/// So many pairs of a workflow and a state are all read for a page. The look for the newest run of a pair costs about as much as
/// reading a pair that has none.
pub(super) const PAIRS_FEW: usize = 8;

/// The id of a run is made before the moment is taken that is stored as its creation: at most so long before, as a package
/// may be loaded in between.
const ID_BEFORE_CREATION: Duration = Duration::from_secs(60);
/// An id has milliseconds, and is never of a later one than the creation of its run.
const ID_AFTER_CREATION: Duration = Duration::from_millis(1);

const ALL_IDS: (RunId, RunId) = (RunId::from_bytes([0; 16]), RunId::from_bytes([0xff; 16]));

type Types = (
    Binary,
    Binary,
    Text,
    BigInt,
    Nullable<BigInt>,
    Nullable<BigInt>,
    Nullable<BigInt>,
    Nullable<BigInt>,
    Nullable<Text>,
    Nullable<Text>,
);
pub(super) type FoundTypes = (Types, BigInt, Bool);
pub(super) type Found = (Columns, i64, bool);

const COLUMNS: &str = "run.id, run.workflow, run.state, run.created_at, run.started_at, run.finished_at, \
                       run.context_pruned_at, run.events_pruned_at, run.created_by, run.dismissed_by";

/// The runs that fit, newest first.
pub(crate) fn run_search(connection: &mut Connection, search: &RunSearch) -> JobResult<Vec<RunFound>> {
    let Some(question) = Question::of(search) else { return Ok(Vec::new()) };
    let mut found = match connection {
        Connection::Sqlite(connection) => search_sqlite::load(connection, &question)?,
        Connection::Postgres(connection) => search_postgres::load(connection, &question)?,
    };
    newest_first(&mut found);
    let runs = found
        .into_iter()
        .map(|(columns, n_completed, is_driven)| Ok(RunFound { row: from_columns(columns)?, n_completed, is_driven }));
    runs.collect()
}

pub(super) fn newest_first(found: &mut [Found]) {
    found.sort_unstable_by(|one, other| other.0.0.cmp(&one.0.0));
}

/// A search that runs may fit, with what both databases write alike.
#[derive(Clone, Copy)]
pub(super) struct Question<'a> {
    pub(super) search: &'a RunSearch,
    /// The first id that may fit.
    pub(super) first: RunId,
    /// The last id that may fit.
    pub(super) last: RunId,
}

impl<'a> Question<'a> {
    /// Nothing if no run can fit.
    pub(super) fn of(search: &'a RunSearch) -> Option<Self> {
        let (mut first, mut last) = search.ids.unwrap_or(ALL_IDS);
        // Ids begin with their moment; the moment itself decides.
        if let Some(from) = search.created_from {
            first = first.max(RunId::floor(effect::before(from, ID_BEFORE_CREATION)));
        }
        if let Some(before) = search.created_before {
            last = last.min(below(RunId::floor(effect::after(before, ID_AFTER_CREATION)))?);
        }
        if let Some(after) = search.after {
            last = last.min(below(after)?);
        }
        (first <= last).then_some(Self { search, first, last })
    }

    /// The states that are looked for: those that runs end in, and the others. Nothing if the primary key is followed.
    pub(super) fn states(&self) -> Option<(Vec<State>, Vec<State>)> {
        let RunSearch { states, .. } = self.search;
        if states.is_empty() && self.is_of_any_workflow() {
            return None;
        }
        let states = if states.is_empty() { State::ALL.to_vec() } else { states.clone() };
        Some(states.into_iter().partition(|state| state.is_terminal()))
    }

    pub(super) fn is_of_any_workflow(&self) -> bool {
        let RunSearch { tenant, package, workflow, .. } = self.search;
        tenant.is_none() && package.is_none() && workflow.is_none()
    }

    /// The runs that the primary key leads to.
    pub(super) fn by_id(&self, statement: &mut Statement, is_driven: &str) {
        shown(statement, is_driven);
        statement.text(" FROM run WHERE TRUE");
        self.ids(statement);
        self.conditions(statement);
        statement.text(" ORDER BY run.id DESC LIMIT ");
        self.limit(statement);
    }

    /// The ids of the workflows that fit.
    pub(super) fn named(&self, statement: &mut Statement) {
        statement.text("SELECT workflow.id FROM workflow");
        let RunSearch { tenant, package, workflow, .. } = self.search;
        let parts = [("tenant", tenant), ("package", package), ("name", workflow)];
        let given = parts.into_iter().filter_map(|(column, value)| value.as_ref().map(|value| (column, value)));
        for ((column, value), word) in given.zip(std::iter::once(" WHERE").chain(std::iter::repeat(" AND"))) {
            statement.text(word).text(&format!(" workflow.{column} = ")).name(value);
        }
    }

    /// Runs that have not ended, in these states, up to which workflows they are of.
    pub(super) fn open(&self, statement: &mut Statement, states: &[State]) {
        statement.text(" FROM run WHERE run.finished_at IS NULL AND run.state IN (");
        names(statement, states, "", "");
        statement.text(")");
        self.ids(statement);
        self.conditions(statement);
    }

    pub(super) fn is_of_all_ids(&self) -> bool {
        (self.first, self.last) == ALL_IDS
    }

    pub(super) fn ids(&self, statement: &mut Statement) {
        if !self.is_of_all_ids() {
            statement.text(" AND run.id >= ").bytes(self.first.as_bytes());
            statement.text(" AND run.id <= ").bytes(self.last.as_bytes());
        }
    }

    /// What holds for every run that fits, whatever its workflow, its state and its id.
    pub(super) fn conditions(&self, statement: &mut Statement) {
        let RunSearch { created_from, created_before, not_dismissed, .. } = self.search;
        if let Some(from) = created_from {
            statement.text(" AND run.created_at >= ").number(micros(*from));
        }
        if let Some(before) = created_before {
            statement.text(" AND run.created_at < ").number(micros(*before));
        }
        if *not_dismissed {
            statement.text(" AND run.dismissed_at IS NULL");
        }
    }

    pub(super) fn limit(&self, statement: &mut Statement) {
        statement.n_rows(self.search.n_max);
    }
}

/// What is shown of each run, up to its FROM. A task completes once in a run.
pub(super) fn shown(statement: &mut Statement, is_driven: &str) {
    let [completed, reused] = [Kind::TaskCompleted, Kind::TaskReused].map(Kind::as_str);
    statement.text(&format!(
        "SELECT {COLUMNS}, (SELECT count(*) FROM event WHERE event.run = run.id \
         AND event.kind IN ('{completed}', '{reused}')), {is_driven}"
    ));
}

/// The names of states, with those texts around each.
pub(super) fn names(statement: &mut Statement, states: &[State], before: &str, after: &str) {
    statement.each(", ", states, |statement, state| {
        statement.text(before).name(state.as_str()).text(after);
    });
}

/// The id right before that one.
fn below(id: RunId) -> Option<RunId> {
    let number = u128::from_be_bytes(*id.as_bytes()).checked_sub(1)?;
    Some(RunId::from_bytes(number.to_be_bytes()))
}
