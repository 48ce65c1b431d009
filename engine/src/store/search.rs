//! Which runs are there: by state, workflow, tenant and time, newest first, a page at a time, with what lists tell of each.
//!
//! A page is one statement, and costs by its length and not by how many runs there are. Runs that have ended are found in
//! the index `run_workflow`, which has the runs of one workflow and one state in the order of their ids:
//!
//! 1. Of each such pair that fits, the newest run is looked up. A page of n runs can only have runs of the n pairs whose
//!    newest runs are the newest.
//! 2. Of each of these pairs, the newest n runs are found, and the newest n of all of them are the page. SQLite looks up the
//!    n-th newest of each pair before, as the newest of those bounds the page: nothing older is on it, or is read.
//!
//! Runs that have not ended are in `run_unfinished`. A search that asks for no workflow and no state follows the primary
//! key.
//!
//! PostgreSQL is asked in words that leave its planner no other index, however little its statistics tell: it cannot
//! know that one workflow has no failed run, and would look for 50 of them in all runs. The order names the workflow, which
//! only `run_workflow` has, and the workflow is compared as the one element of an array, as the planner would otherwise see
//! that it orders nothing. Its plan is made anew for each search, as it depends on the moments that are asked for.

use std::time::Duration;

use cloacina_workflow::Timestamp;
use diesel::{
    QueryResult, RunQueryDsl,
    sql_types::{BigInt, Binary, Bool, Nullable, Text},
};

use super::{
    Connection, JobResult, Kind,
    owner::NOW,
    row::micros,
    run::{Columns, RunRow, from_columns},
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

/// The id of a run is made before the moment is taken that is stored as its creation: at most so long before, as a package
/// may be loaded in between.
const ID_BEFORE_CREATION: Duration = Duration::from_secs(60);
/// An id has milliseconds, and is never of a later one than the creation of its run.
const ID_AFTER_CREATION: Duration = Duration::from_millis(1);

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
type FoundTypes = (Types, BigInt, Bool);
type Found = (Columns, i64, bool);

const COLUMNS: &str = "run.id, run.workflow, run.state, run.created_at, run.started_at, run.finished_at, \
                       run.context_pruned_at, run.events_pruned_at, run.created_by, run.dismissed_by";

/// The runs that fit, newest first.
pub(crate) fn run_search(connection: &mut Connection, search: &RunSearch) -> JobResult<Vec<RunFound>> {
    let is_file = matches!(connection, Connection::Sqlite(_));
    let Some(statement) = statement(is_file, search) else { return Ok(Vec::new()) };
    let mut found = load(connection, &statement)?;
    found.sort_unstable_by(|one, other| other.0.0.cmp(&one.0.0));
    let runs = found
        .into_iter()
        .map(|(columns, n_completed, is_driven)| Ok(RunFound { row: from_columns(columns)?, n_completed, is_driven }));
    runs.collect()
}

fn load(connection: &mut Connection, statement: &Statement) -> QueryResult<Vec<Found>> {
    match connection {
        Connection::Sqlite(connection) => statement.rows::<FoundTypes>().load(connection),
        Connection::Postgres(connection) => statement.rows::<FoundTypes>().load(connection),
    }
}

/// What is asked of the database; nothing if no run can fit.
pub(super) fn statement(is_file: bool, search: &RunSearch) -> Option<Statement> {
    let (first, last) = search.range()?;
    let statement = if is_file { Statement::default() } else { Statement::planned_anew() };
    let mut writer = Writer { is_file, search, first, last, statement };
    writer.write();
    Some(writer.statement)
}

impl RunSearch {
    /// The first and the last id that may fit.
    fn range(&self) -> Option<(RunId, RunId)> {
        let (mut first, mut last) = self.ids.unwrap_or((RunId::from_bytes([0; 16]), RunId::from_bytes([0xff; 16])));
        // Ids begin with their moment; the moment itself decides.
        if let Some(from) = self.created_from {
            first = first.max(RunId::floor(effect::before(from, ID_BEFORE_CREATION)));
        }
        if let Some(before) = self.created_before {
            last = last.min(below(RunId::floor(effect::after(before, ID_AFTER_CREATION)))?);
        }
        if let Some(after) = self.after {
            last = last.min(below(after)?);
        }
        (first <= last).then_some((first, last))
    }

    fn is_of_any_workflow(&self) -> bool {
        self.tenant.is_none() && self.package.is_none() && self.workflow.is_none()
    }
}

/// The id right before that one.
fn below(id: RunId) -> Option<RunId> {
    let number = u128::from_be_bytes(*id.as_bytes()).checked_sub(1)?;
    Some(RunId::from_bytes(number.to_be_bytes()))
}

/// Writes the statement.
struct Writer<'a> {
    is_file: bool,
    search: &'a RunSearch,
    first: RunId,
    last: RunId,
    statement: Statement,
}

/// The oldest id that is read.
#[derive(Clone, Copy)]
enum Oldest {
    First,
    /// The id that bounds the page, if there are enough runs that it has a bound.
    Bound,
}

impl Writer<'_> {
    fn write(&mut self) {
        if self.search.states.is_empty() && self.search.is_of_any_workflow() {
            self.shown();
            self.text(" FROM run WHERE ").ids(Oldest::First).conditions().newest();
            return;
        }
        let states = if self.search.states.is_empty() { State::ALL.to_vec() } else { self.search.states.clone() };
        let (ended, open): (Vec<State>, Vec<State>) = states.into_iter().partition(|state| state.is_terminal());
        self.text("WITH named AS MATERIALIZED (SELECT workflow.id FROM workflow").named().text("), ");
        if !ended.is_empty() {
            self.pairs(&ended);
            if self.is_file {
                self.bound();
            }
        }
        // Found again by its row, where the database has numbers for these.
        let key = if self.is_file { "run.rowid" } else { "run.id" };
        self.text("page AS MATERIALIZED (SELECT found.place FROM (");
        if !ended.is_empty() {
            self.ended(key);
        }
        if !ended.is_empty() && !open.is_empty() {
            self.text(" UNION ALL ");
        }
        if !open.is_empty() {
            let is_bound = self.is_file && !ended.is_empty();
            self.open(key, &open, if is_bound { Oldest::Bound } else { Oldest::First });
        }
        self.text(") AS found ORDER BY found.id DESC LIMIT ").limit().text(") ");
        self.shown();
        // A join would let a planner read all runs to find 50.
        self.text(if self.is_file {
            " FROM page CROSS JOIN run ON run.rowid = page.place"
        } else {
            " FROM page CROSS JOIN LATERAL (SELECT * FROM run AS one WHERE one.id = page.place LIMIT 1) AS run"
        });
    }

    /// What is shown of each run, up to its FROM.
    fn shown(&mut self) {
        let [completed, reused] = [Kind::TaskCompleted, Kind::TaskReused].map(Kind::as_str);
        let is_driven = match self.is_file {
            true => "FALSE".to_owned(),
            false => format!(
                "EXISTS (SELECT 1 FROM owner WHERE run.finished_at IS NULL AND owner.epoch = run.owner_epoch \
                 AND owner.ended IS NULL AND owner.lease_until > {NOW})"
            ),
        };
        self.text(&format!(
            "SELECT {COLUMNS}, (SELECT count(DISTINCT event.task) FROM event WHERE event.run = run.id \
             AND event.kind IN ('{completed}', '{reused}')), {is_driven}"
        ));
    }

    /// Which workflows fit.
    fn named(&mut self) -> &mut Self {
        let RunSearch { tenant, package, workflow, .. } = self.search;
        let parts = [("tenant", tenant), ("package", package), ("name", workflow)];
        let given = parts.into_iter().filter_map(|(column, value)| value.as_ref().map(|value| (column, value)));
        for ((column, value), word) in given.zip(std::iter::once(" WHERE").chain(std::iter::repeat(" AND"))) {
            self.text(word).text(&format!(" workflow.{column} = ")).statement.name(value);
        }
        self
    }

    /// The pairs of a workflow and a state that may be on the page: `pair`.
    fn pairs(&mut self, states: &[State]) {
        self.text("seen AS MATERIALIZED (SELECT named.id AS workflow, wanted.column1 AS state, (SELECT run.id");
        self.of_pair("named.id", "wanted.column1", Oldest::First).newest_of_pair();
        self.text("1) AS newest FROM named CROSS JOIN (VALUES ");
        self.statement.each(", ", states, |statement, state| {
            statement.text("(").name(state.as_str()).text(")");
        });
        self.text(
            ") AS wanted), pair AS MATERIALIZED (SELECT seen.workflow, seen.state FROM seen \
             WHERE seen.newest IS NOT NULL ORDER BY seen.newest DESC LIMIT ",
        );
        self.limit().text("), ");
    }

    /// The id that bounds the page: `bound`.
    fn bound(&mut self) {
        self.text("last AS MATERIALIZED (SELECT (SELECT run.id");
        self.of_pair("pair.workflow", "pair.state", Oldest::First).newest_of_pair();
        let n_before = self.search.n_max.saturating_sub(1);
        self.text("1 OFFSET ").statement.n_rows(n_before);
        self.text(
            ") AS id FROM pair), bound AS MATERIALIZED (SELECT last.id FROM last WHERE last.id IS NOT NULL \
             ORDER BY last.id DESC LIMIT 1), ",
        );
    }

    /// The runs of the pairs that are not older than the bound.
    fn ended(&mut self, key: &str) {
        if self.is_file {
            self.text(&format!("SELECT {key} AS place, run.id AS id FROM pair CROSS JOIN run WHERE TRUE"));
            self.pair_is("pair.workflow", "pair.state", Oldest::Bound).conditions();
        } else {
            self.text("SELECT one.id AS place, one.id AS id FROM pair CROSS JOIN LATERAL (SELECT run.id");
            self.of_pair("pair.workflow", "pair.state", Oldest::First).newest_of_pair().limit().text(") AS one");
        }
    }

    /// The runs that have not ended.
    fn open(&mut self, key: &str, states: &[State], oldest: Oldest) {
        self.text(&format!(
            "SELECT open.place, open.id FROM (SELECT {key} AS place, run.id AS id FROM run WHERE \
             run.finished_at IS NULL AND run.state IN ("
        ));
        self.statement.each(", ", states, |statement, state| {
            statement.name(state.as_str());
        });
        self.text(") AND ").ids(oldest).conditions();
        if !self.search.is_of_any_workflow() {
            self.text(if self.is_file {
                " AND run.workflow IN (SELECT named.id FROM named)"
            } else {
                " AND run.workflow = ANY (ARRAY(SELECT named.id FROM named))"
            });
        }
        self.newest().text(") AS open");
    }

    fn of_pair(&mut self, workflow: &str, state: &str, oldest: Oldest) -> &mut Self {
        self.text(" FROM run WHERE TRUE").pair_is(workflow, state, oldest).conditions()
    }

    /// Only runs of that workflow and that state, and of the ids that are read.
    fn pair_is(&mut self, workflow: &str, state: &str, oldest: Oldest) -> &mut Self {
        self.text(" AND run.finished_at IS NOT NULL AND ");
        let workflow = if self.is_file { workflow.to_owned() } else { format!("ANY (ARRAY[{workflow}])") };
        self.text(&format!("run.workflow = {workflow} AND run.state = {state} AND ")).ids(oldest)
    }

    /// The order of the index, up to the number of rows.
    fn newest_of_pair(&mut self) -> &mut Self {
        self.text(if self.is_file {
            " ORDER BY run.id DESC LIMIT "
        } else {
            " ORDER BY run.workflow DESC, run.state DESC, run.id DESC LIMIT "
        })
    }

    fn ids(&mut self, oldest: Oldest) -> &mut Self {
        self.text("run.id >= ").oldest(oldest).text(" AND run.id <= ");
        self.statement.bytes(self.last.as_bytes());
        self
    }

    fn oldest(&mut self, oldest: Oldest) -> &mut Self {
        match oldest {
            Oldest::First => {
                self.statement.bytes(self.first.as_bytes());
            }
            Oldest::Bound => {
                self.text("coalesce((SELECT bound.id FROM bound), ");
                self.statement.bytes(self.first.as_bytes());
                self.text(")");
            }
        }
        self
    }

    /// What holds for every run that fits, whatever its workflow, its state and its id.
    fn conditions(&mut self) -> &mut Self {
        let RunSearch { created_from, created_before, not_dismissed, .. } = self.search;
        if let Some(from) = created_from {
            self.text(" AND run.created_at >= ").statement.number(micros(*from));
        }
        if let Some(before) = created_before {
            self.text(" AND run.created_at < ").statement.number(micros(*before));
        }
        if *not_dismissed {
            self.text(" AND run.dismissed_at IS NULL");
        }
        self
    }

    fn newest(&mut self) -> &mut Self {
        self.text(" ORDER BY run.id DESC LIMIT ").limit()
    }

    fn limit(&mut self) -> &mut Self {
        self.statement.n_rows(self.search.n_max);
        self
    }

    fn text(&mut self, text: &str) -> &mut Self {
        self.statement.text(text);
        self
    }
}
