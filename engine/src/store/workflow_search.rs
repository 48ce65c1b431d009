//! Which versions of workflows are there: by tenant, package and name, in the order of these, a page at a time.
//!
//! One statement. Each filter has an index in whose order the page is read, from where the page before ended; of the
//! versions of one workflow, which are few, the newest comes first. Each version is shown with the version of the package
//! that has it, so a list and its states are of one moment.

use diesel::{
    RunQueryDsl,
    sql_types::{Binary, Nullable, Text},
};
use serde::{Deserialize, Serialize};

use super::{
    Connection, Error, JobResult, PackageState,
    row::state,
    statement::Statement,
    workflow::{Columns, WorkflowRow, from_columns},
};
/// Which versions are looked for; an absent part excludes none.
#[derive(Clone, Debug, Default)]
pub(crate) struct WorkflowSearch {
    pub(crate) tenant: Option<String>,
    pub(crate) package: Option<String>,
    /// The name of the workflow in its package.
    pub(crate) name: Option<String>,
    /// Only the versions that new runs get: of active packages, and the newest of those that are compiled in.
    pub(crate) is_current: bool,
    pub(crate) after: Option<WorkflowPlace>,
    pub(crate) n_max: i64,
}

/// The place of a version in the list: by tenant, package and name, and of one workflow the newest in front.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkflowPlace {
    pub(crate) tenant: String,
    pub(crate) package: String,
    pub(crate) name: String,
    pub(crate) id: [u8; 16],
}

/// A version as a list has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WorkflowFound {
    pub(crate) row: WorkflowRow,
    /// The version of the package and its state, as long as it is registered.
    pub(crate) package: Option<(String, PackageState)>,
}

type Types = ((Binary, Text, Text, Text, Binary, Text, Text), Nullable<Text>, Nullable<Text>);
type Found = (Columns, Option<String>, Option<String>);

const COLUMNS: &str = "workflow.id, workflow.tenant, workflow.package, workflow.name, workflow.digest, \
                       workflow.fingerprint, workflow.descriptor, package.version, package.state";

/// The versions that fit.
pub(crate) fn workflow_search(connection: &mut Connection, search: &WorkflowSearch) -> JobResult<Vec<WorkflowFound>> {
    let statement = statement(search);
    let found: Vec<Found> = match connection {
        Connection::Sqlite(connection) => statement.rows::<Types>().load(connection)?,
        // Which index is good depends on the values.
        Connection::Postgres(connection) => {
            connection.planned_anew(|connection| statement.rows::<Types>().load(connection))?
        }
    };
    let workflows = found.into_iter().map(|(columns, version, found)| {
        let package = version.zip(found).map(|(version, found)| Ok::<_, Error>((version, state(&found)?)));
        Ok(WorkflowFound { row: from_columns(columns)?, package: package.transpose()? })
    });
    workflows.collect()
}

/// What is asked of the database.
pub(super) fn statement(search: &WorkflowSearch) -> Statement {
    let WorkflowSearch { tenant, package, name, is_current, after, n_max } = search;
    let mut statement = Statement::default();
    statement.text(&format!(
        "SELECT {COLUMNS} FROM workflow LEFT JOIN package ON package.tenant = workflow.tenant \
         AND package.digest = workflow.digest WHERE TRUE"
    ));
    let parts = [("tenant", tenant), ("package", package), ("name", name)];
    for (column, value) in parts {
        if let Some(value) = value {
            statement.text(&format!(" AND workflow.{column} = ")).name(value);
        }
    }
    if *is_current {
        statement.text(" AND (package.state = ").name(PackageState::Active.as_str());
        statement.text(
            " OR length(workflow.digest) = 0 AND NOT EXISTS (SELECT 1 FROM workflow AS later \
             WHERE later.tenant = workflow.tenant AND later.package = workflow.package AND later.name = workflow.name \
             AND length(later.digest) = 0 AND later.id > workflow.id))",
        );
    }
    // What is the same on the whole list orders nothing.
    let free: Vec<&str> = parts.into_iter().filter(|(_, value)| value.is_none()).map(|(column, _)| column).collect();
    let order: Vec<String> = free.iter().map(|column| format!("workflow.{column}")).collect();
    if let Some(after) = after {
        follow(&mut statement, (&free, &order.join(", ")), after);
    }
    let order: String = order.into_iter().map(|column| format!("{column}, ")).collect();
    statement.text(&format!(" ORDER BY {order}workflow.id DESC LIMIT ")).n_rows(*n_max);
    statement
}

/// Only what comes after that place: later workflows, and older versions of the same one.
fn follow(statement: &mut Statement, (free, columns): (&[&str], &str), after: &WorkflowPlace) {
    if free.is_empty() {
        statement.text(" AND workflow.id < ").bytes(&after.id);
        return;
    }
    let place = |statement: &mut Statement, comparison: &str| {
        statement.text(&format!("({columns}) {comparison} (")).each(", ", free, |statement, column| {
            statement.name(match *column {
                "tenant" => &after.tenant,
                "package" => &after.package,
                _ => &after.name,
            });
        });
        statement.text(")");
    };
    // The first bound is what an index finds.
    statement.text(" AND ");
    place(statement, ">=");
    statement.text(" AND (");
    place(statement, ">");
    statement.text(" OR workflow.id < ").bytes(&after.id).text(")");
}

impl WorkflowFound {
    pub(crate) fn place(&self) -> WorkflowPlace {
        let key = &self.row.key;
        WorkflowPlace {
            tenant: key.tenant.clone(),
            package: key.package.clone(),
            name: key.name.clone(),
            id: *self.row.id.as_bytes(),
        }
    }
}
