//! From what is said of a run to be to the version of a workflow that it gets.
//!
//! A name means what new runs get, and with a version that version. Where nothing is found the reason is told: the name, a
//! package that cannot be used, or versions of which none is active.

use super::handle::Shared;
use crate::{
    Error, Registry,
    api::Caller,
    id::Scope,
    runtime::{Unresolved, Workflow},
    store::WorkflowKey,
};

impl Shared {
    /// The workflow that a new run with that key gets under that name.
    pub(super) async fn resolve(&self, caller: &Caller, name: &str, key: &str) -> Result<Workflow, Error> {
        if let Some(workflow) = self.active(caller.scope(), name, key) {
            return Ok(workflow);
        }
        // The quarantine of its package may be over since, or another engine has registered it.
        self.registry().refresh().await?;
        if let Some(workflow) = self.active(caller.scope(), name, key) {
            return Ok(workflow);
        }
        let registry = self.registry().on_behalf_of(caller.clone());
        let chosen = self.catalog.active(caller.scope(), name).map(|active| active.choose(key));
        let refusal = chosen.as_ref().ok().and_then(|chosen| registry.refusal_of(&chosen.version.key));
        match (refusal, chosen) {
            (Some(refusal), _) => Err(refusal.into()),
            (None, Ok(workflow)) => Ok(workflow),
            // A workflow may be unknown only because its package cannot be used, or because no version is active.
            (None, Err(unresolved)) => Err(match registry.problem(name) {
                Some(problem) => problem.into(),
                None => match unresolved {
                    Unresolved::Unknown { .. } => not_active(&registry, name),
                    Unresolved::Ambiguous { .. } => None,
                }
                .unwrap_or_else(|| Error::unresolved(name, unresolved)),
            }),
        }
    }

    /// The workflow that the name fits, in that version of its package.
    pub(super) async fn resolve_version(&self, caller: &Caller, name: &str, version: &str) -> Result<Workflow, Error> {
        let registry = self.registry().on_behalf_of(caller.clone());
        let find = || {
            let mut keys: Vec<WorkflowKey> = registry.versions_of(name).into_iter().map(|known| known.0).collect();
            keys.dedup_by_key(|key| key.full_name());
            match keys.as_slice() {
                [] => Err(Error::UnknownWorkflow { name: name.to_owned(), suggestions: Vec::new() }),
                [key] => Ok(self.catalog.version(registry.workflow_of(key, version)?)),
                several => Err(Error::AmbiguousWorkflow {
                    name: name.to_owned(),
                    candidates: several.iter().map(WorkflowKey::full_name).collect(),
                }),
            }
        };
        let found = match find() {
            Ok(Some(workflow)) => Some(workflow),
            // Another engine may have registered it since.
            Ok(None) | Err(_) => {
                self.registry().refresh().await?;
                find()?
            }
        };
        let unknown = || Error::UnknownWorkflow { name: name.to_owned(), suggestions: Vec::new() };
        let workflow = found.ok_or_else(unknown)?;
        registry.refusal_of(&workflow.version.key).map_or(Ok(workflow), |refusal| Err(refusal.into()))
    }

    /// The workflow that a new run with that key gets, if the name finds one that is not quarantined.
    fn active(&self, scope: &Scope, name: &str, key: &str) -> Option<Workflow> {
        let chosen = self.catalog.active(scope, name).ok()?.choose(key);
        (!self.catalog.is_quarantined(chosen.version.id)).then_some(chosen)
    }
}

/// That the workflow is registered, though in no version that new runs get; none if it is not registered.
fn not_active(registry: &Registry, name: &str) -> Option<Error> {
    let versions = registry.versions_of(name);
    let versions: Vec<_> = versions.into_iter().map(|(_, label, state)| (label, state)).collect();
    (!versions.is_empty()).then(|| Error::NotActive { name: name.to_owned(), versions })
}
