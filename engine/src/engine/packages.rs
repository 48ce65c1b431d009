//! Makes what the registry tells runnable: packages become entries of the catalog, and the driver hears of each.
//!
//! Called under the registry's lock, in the order of the changes; only tables in memory and a queue are touched.

use std::sync::{Arc, mpsc::Sender};

use tokio::runtime::Handle;

use crate::{
    registry::{Change, Listener, Package},
    runtime::{self, Catalog, Event, PackagedRunner, TaskRunner, Version, Workflow},
};

/// Who listens to the registry of an engine.
pub(super) fn listener(catalog: Arc<Catalog>, events: Sender<Event>, tasks: Handle) -> Listener {
    Box::new(move |change| match change {
        Change::Added(package) => add(&catalog, &events, &tasks, &package),
        Change::Activated(package) => {
            for workflow in package.workflows.iter().filter_map(|workflow| catalog.version(workflow.id)) {
                catalog.activate(workflow);
            }
        }
        Change::Withdrawn(keys) => {
            for key in &keys {
                catalog.deactivate(key);
            }
        }
        Change::Removed(package) => {
            for workflow in &package.workflows {
                catalog.forget(workflow.id);
            }
        }
    })
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
