//! Makes what the registry tells runnable: packages become entries of the catalog, and the driver hears of each.
//!
//! Called under the registry's lock, in the order of the changes; only tables in memory and a queue are touched.

use std::sync::{Arc, mpsc::Sender};

use tokio::runtime::Handle;

use crate::{
    registry::{Change, Listener, Offer, Package},
    runtime::{self, Catalog, Event, PackagedRunner, TaskRunner, Version, Workflow},
};

/// Who listens to the registry of an engine.
pub(super) fn listener(catalog: Arc<Catalog>, events: Sender<Event>, tasks: Handle) -> Listener {
    Box::new(move |change| match change {
        Change::Added(package) => add(&catalog, &events, &tasks, &package),
        Change::Offered { tenant, name, offer } => offer_new_runs(&catalog, &tenant, &name, &offer),
        // Nothing of it is offered any more; what has begun goes on.
        Change::Quarantined(package, reason, until) => {
            let until = until.map(|until| until.to_string());
            tracing::warn!(%package, reason, until, "a package is quarantined, its workflows take no new runs");
        }
        Change::Released(package) => tracing::warn!(%package, "a package is released from its quarantine"),
        Change::Removed(package) => {
            for workflow in &package.workflows {
                catalog.forget(workflow.id);
            }
        }
    })
}

fn offer_new_runs(catalog: &Catalog, tenant: &str, name: &str, offer: &Offer) {
    let main = offer.main.iter().flat_map(|package| &package.workflows);
    catalog.offer(tenant, name, main.filter_map(|workflow| catalog.version(workflow.id)).collect());
}

fn add(catalog: &Catalog, events: &Sender<Event>, tasks: &Handle, package: &Package) {
    let runner: Arc<dyn TaskRunner> = Arc::new(PackagedRunner::new(Arc::clone(&package.library), tasks.clone()));
    for packaged in &package.workflows {
        let plan = match runtime::plan(&packaged.descriptor) {
            Ok(plan) => Arc::new(plan),
            Err(error) => {
                tracing::error!(workflow = packaged.key.full_name(), %error, "a registered workflow makes no plan");
                continue;
            }
        };
        let version = Arc::new(Version { id: packaged.id, key: packaged.key.clone(), plan });
        let workflow = Workflow { version, runner: Arc::clone(&runner) };
        catalog.add(workflow.clone());
        // Without a driver the engine has shut down, and nobody waits for the workflow.
        events.send(Event::WorkflowAdded(workflow)).ok();
    }
}
