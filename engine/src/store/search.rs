//! Which runs are there: by state, workflow, tenant and time, newest first, a page at a time.
//!
//! A page costs by its length and not by how many runs there are. Runs that have ended are found in the index
//! `run_workflow`, which has the runs of one workflow and one state in the order of their ids: each such pair that fits
//! gives its newest runs, and the newest of all of them are the page. Runs that have not ended are in `run_unfinished`. A
//! search that asks for no workflow and no state follows the primary key.

use std::time::Duration;

use cloacina_workflow::Timestamp;
use diesel::{
    QueryDsl, QueryResult, QueryableByName, RunQueryDsl, sql_query,
    sql_types::{BigInt, Binary, Nullable, Text},
};

use super::{
    Connection, Error, JobResult,
    row::{micros, workflow_id},
    run::{RunRow, from_columns},
    schema::workflow,
};
use crate::{
    core::{effect, run::State},
    id::{RunId, WorkflowId},
};

/// Which runs are looked for; an absent part excludes none.
#[derive(Clone, Debug, Default)]
pub(crate) struct RunSearch {
    pub(crate) states: Vec<State>,
    pub(crate) workflows: Option<Vec<WorkflowId>>,
    pub(crate) created_from: Option<Timestamp>,
    pub(crate) created_before: Option<Timestamp>,
    pub(crate) not_dismissed: bool,
    /// Only runs whose id is in this range, both ends included.
    pub(crate) ids: Option<(RunId, RunId)>,
    /// Only runs whose id is smaller.
    pub(crate) after: Option<RunId>,
    pub(crate) n_max: i64,
}

/// So many pairs of a workflow and a state are asked in one statement. SQLite takes 500 parts of a UNION.
const PAIRS_MAX: usize = 100;

/// The id of a run is made before the moment is taken that is stored as its creation: at most so long before, as a package
/// may be loaded in between.
const ID_BEFORE_CREATION: Duration = Duration::from_secs(60);
/// The clock may have been set back meanwhile.
const ID_AFTER_CREATION: Duration = Duration::from_secs(1);

const COLUMNS: &str = "id, workflow, state, created_at, started_at, finished_at, context_pruned_at, events_pruned_at, \
                       created_by, dismissed_by";

#[derive(QueryableByName)]
struct Found {
    #[diesel(sql_type = Binary)]
    id: Vec<u8>,
    #[diesel(sql_type = Binary)]
    workflow: Vec<u8>,
    #[diesel(sql_type = Text)]
    state: String,
    #[diesel(sql_type = BigInt)]
    created_at: i64,
    #[diesel(sql_type = Nullable<BigInt>)]
    started_at: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    finished_at: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    context_pruned_at: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    events_pruned_at: Option<i64>,
    #[diesel(sql_type = Nullable<Text>)]
    created_by: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    dismissed_by: Option<String>,
}

/// The runs that fit, newest first.
pub(crate) fn run_search(connection: &mut Connection, search: &RunSearch) -> JobResult<Vec<RunRow>> {
    let mut found = Vec::new();
    for statement in statements(connection, search)? {
        found.extend(match connection {
            Connection::Sqlite(connection) => sql_query(statement).load::<Found>(connection)?,
            Connection::Postgres(connection) => sql_query(statement).load::<Found>(connection)?,
        });
    }
    found.sort_unstable_by(|one, other| other.id.cmp(&one.id));
    found.truncate(usize::try_from(search.n_max).unwrap_or(usize::MAX));
    Ok(found.into_iter().map(Found::row).collect::<Result<_, _>>()?)
}

/// What is asked of the database; each statement gives the newest runs of a part.
pub(super) fn statements(connection: &mut Connection, search: &RunSearch) -> QueryResult<Vec<String>> {
    let write = Writer { is_file: matches!(connection, Connection::Sqlite(_)), search };
    if search.states.is_empty() && search.workflows.is_none() {
        return Ok(vec![write.newest("")]);
    }
    let states = if search.states.is_empty() { &State::ALL[..] } else { &search.states };
    let workflows = match &search.workflows {
        Some(workflows) => workflows.clone(),
        None => workflow_list_ids(connection)?,
    };
    let (ended, open): (Vec<State>, Vec<State>) = states.iter().copied().partition(|state| state.is_terminal());
    let mut parts = Vec::new();
    if !open.is_empty() {
        let of_workflows = search.workflows.as_ref().map(|workflows| write.any_of(workflows));
        if !workflows.is_empty() {
            let condition = [Some("finished_at IS NULL".to_owned()), Some(write.in_states(&open)), of_workflows];
            parts.push(write.newest(&condition.into_iter().flatten().collect::<Vec<_>>().join(" AND ")));
        }
    }
    for workflow in &workflows {
        let of_workflow = format!("finished_at IS NOT NULL AND workflow = {}", write.bytes(workflow.as_bytes()));
        let of_states = ended.iter().map(|state| format!("{of_workflow} AND state = '{}'", state.as_str()));
        parts.extend(of_states.map(|condition| write.newest(&condition)));
    }
    Ok(parts.chunks(PAIRS_MAX).map(|parts| write.newest_of(parts)).collect())
}

/// Writes statements. All that goes into them is numbers, ids and names of ours.
struct Writer<'a> {
    is_file: bool,
    search: &'a RunSearch,
}

impl Writer<'_> {
    /// The newest runs that fit, and to which that condition applies.
    fn newest(&self, condition: &str) -> String {
        let conditions = Some(condition.to_owned()).filter(|condition| !condition.is_empty());
        let conditions: Vec<String> = conditions.into_iter().chain(self.conditions()).collect();
        let filter = if conditions.is_empty() { String::new() } else { format!(" WHERE {}", conditions.join(" AND ")) };
        format!("SELECT {COLUMNS} FROM run{filter} ORDER BY id DESC LIMIT {}", self.search.n_max)
    }

    fn newest_of(&self, parts: &[String]) -> String {
        let parts: Vec<String> =
            parts.iter().enumerate().map(|(place, part)| format!("SELECT * FROM ({part}) AS part_{place}")).collect();
        format!("SELECT * FROM ({}) AS found ORDER BY id DESC LIMIT {}", parts.join(" UNION ALL "), self.search.n_max)
    }

    /// What holds for every run that fits, whatever its workflow and its state.
    fn conditions(&self) -> Vec<String> {
        let RunSearch { created_from, created_before, not_dismissed, ids, after, .. } = self.search;
        let id = |comparison: &str, id: RunId| format!("id {comparison} {}", self.bytes(id.as_bytes()));
        let mut conditions = Vec::new();
        if let Some((first, last)) = ids {
            conditions.extend([id(">=", *first), id("<=", *last)]);
        }
        if let Some(after) = after {
            conditions.push(id("<", *after));
        }
        // The index has ids, which begin with their moment; the moment itself decides.
        if let Some(from) = created_from {
            let first = RunId::floor(effect::before(*from, ID_BEFORE_CREATION));
            conditions.extend([id(">=", first), format!("created_at >= {}", micros(*from))]);
        }
        if let Some(before) = created_before {
            let end = RunId::floor(effect::after(*before, ID_AFTER_CREATION));
            conditions.extend([id("<", end), format!("created_at < {}", micros(*before))]);
        }
        if *not_dismissed {
            conditions.push("dismissed_at IS NULL".to_owned());
        }
        conditions
    }

    fn in_states(&self, states: &[State]) -> String {
        let states: Vec<String> = states.iter().map(|state| format!("state = '{}'", state.as_str())).collect();
        format!("({})", states.join(" OR "))
    }

    fn any_of(&self, workflows: &[WorkflowId]) -> String {
        let ids: Vec<String> = workflows.iter().map(|id| self.bytes(id.as_bytes())).collect();
        format!("workflow IN ({})", ids.join(", "))
    }

    fn bytes(&self, bytes: &[u8]) -> String {
        let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        if self.is_file { format!("X'{digits}'") } else { format!("'\\x{digits}'::bytea") }
    }
}

fn workflow_list_ids(connection: &mut Connection) -> QueryResult<Vec<WorkflowId>> {
    let ids: Vec<Vec<u8>> = workflow::table.select(workflow::id).load(connection)?;
    Ok(ids.iter().filter_map(|id| workflow_id(id).ok()).collect())
}

impl Found {
    fn row(self) -> Result<RunRow, Error> {
        from_columns((
            self.id,
            self.workflow,
            self.state,
            self.created_at,
            self.started_at,
            self.finished_at,
            self.context_pruned_at,
            self.events_pruned_at,
            self.created_by,
            self.dismissed_by,
        ))
    }
}
