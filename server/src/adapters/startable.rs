//! The workflows that new runs can be made of, one entry for each name.

use std::collections::BTreeSet;

use cloacina::{Timestamp, WorkflowFilter, WorkflowRecord};

use crate::{asker::Asker, problem::Problem};

/// A workflow that new runs can be made of.
#[derive(Clone, Debug)]
pub(super) struct Startable {
    /// The version that new runs get; the newest one if several are active.
    pub(super) version: WorkflowRecord,
    /// When the database first knew a version of it.
    pub(super) known_since: Timestamp,
}

/// All of them that the caller sees, by name.
pub(super) async fn list(asker: &Asker) -> Result<Vec<Startable>, Problem> {
    let names: BTreeSet<String> = asker.engine.workflows().into_iter().collect();
    let mut versions = asker.engine.all_workflows(&WorkflowFilter::default()).await?;
    versions.retain(|version| names.contains(&version.name));
    let of_names = versions.chunk_by(|version, next| version.name == next.name);
    Ok(of_names.filter_map(Startable::of).collect())
}

/// The one of that full name.
///
/// # Errors
/// As [`check`].
pub(super) async fn get(asker: &Asker, name: &str) -> Result<Startable, Problem> {
    // A name that nobody knows costs no look at the database.
    check(asker, name)?;
    let versions = asker.engine.all_workflows(&WorkflowFilter::named(name)).await?;
    let versions: Vec<WorkflowRecord> = versions.into_iter().filter(|version| version.name == name).collect();
    Ok(Startable::of(&versions).ok_or_else(|| unknown(name))?)
}

/// Whether new runs can be made of the workflow of that full name.
///
/// # Errors
/// [`cloacina::Error::UnknownWorkflow`], as if a run was submitted.
pub(super) fn check(asker: &Asker, name: &str) -> Result<(), Problem> {
    let is_known = asker.engine.workflows().iter().any(|known| known == name);
    if is_known { Ok(()) } else { Err(unknown(name).into()) }
}

fn unknown(name: &str) -> cloacina::Error {
    cloacina::Error::UnknownWorkflow { name: name.to_owned(), suggestions: Vec::new() }
}

impl Startable {
    fn of(versions: &[WorkflowRecord]) -> Option<Self> {
        let version = WorkflowRecord::current(versions)?.clone();
        let known_since = versions.iter().filter_map(|version| version.known_since).min()?;
        Some(Self { version, known_since })
    }

    /// The name without the tenant and the package.
    pub(super) fn short_name(&self) -> &str {
        short_name(&self.version.name)
    }
}

/// The name of a workflow without the tenant and the package.
pub(super) fn short_name(full_name: &str) -> &str {
    full_name.rsplit("::").next().unwrap_or(full_name)
}
