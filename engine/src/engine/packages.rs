//! Makes what the registry tells runnable: packages become entries of the catalog, and the driver hears of each.
//!
//! Called under the registry's lock, in the order of the changes; only tables in memory and a queue are touched.

use std::{
    collections::BTreeSet,
    sync::{Arc, mpsc::Sender},
    time::Duration,
};

use cloacina_packager::definition::Definition;
use cloacina_workflow::Timestamp;
use tokio::{
    runtime::Handle,
    sync::mpsc::{UnboundedReceiver, UnboundedSender},
    time,
};

use crate::{
    clock::{Clock, until},
    core::{effect::after, stage::Quarantine},
    isolation::CrashLoop,
    registry::{ActiveVersions, Change, Listener, Package, Registry},
    runtime::{
        self, Catalog, DefinedRunner, Event, PackageVersion, PackagedRunner, TaskRunner, Version, Withheld, Workflow,
    },
};

/// The first quarantine of a package that crashes; each that follows at once is twice as long.
const QUARANTINE: Duration = Duration::from_secs(60);
/// Who still crashes then is tried once an hour.
const QUARANTINE_MAX: Duration = Duration::from_secs(3600);

/// Who listens to the registry of an engine. The moments at which quarantines end and keys expire are sent to
/// [`refresh_when_due`], attempts whose package must not be loaded to [`quarantine_withheld`].
pub(super) fn listener(
    catalog: Arc<Catalog>,
    events: Sender<Event>,
    tasks: Handle,
    ends: UnboundedSender<Timestamp>,
    withheld: UnboundedSender<Withheld>,
) -> Listener {
    Box::new(move |change| match change {
        Change::Added(package) => match runner(&package, &catalog, &tasks, &withheld) {
            Ok(runner) => add(&catalog, &events, runner, &package),
            Err(error) => tracing::error!(%package, %error, "the definition of a workflow cannot be read"),
        },
        Change::Activated { tenant, name, active } => activate(&catalog, &tenant, &name, &active),
        // Nothing of it is active any more, and nothing more of its runs starts; what is under way may end.
        Change::Quarantined(package, reason, until) => {
            catalog.quarantine(package.workflows.iter().map(|workflow| workflow.id), true);
            let shown = until.map(|until| until.to_string());
            tracing::warn!(%package, reason, until = shown, "a package is quarantined, nothing of it starts");
            set_quarantine(&events, &package, Some(Quarantine { reason: reason.into(), until, is_here: false }));
            if let Some(until) = until {
                // An engine that is being shut down ends no quarantine.
                ends.send(until).ok();
            }
        }
        Change::Released(package) => {
            catalog.quarantine(package.workflows.iter().map(|workflow| workflow.id), false);
            tracing::warn!(%package, "a package may be used again");
            set_quarantine(&events, &package, None);
        }
        // As it is with a package that is not there, except that its runs may be known already.
        Change::Withheld(package, problem) => {
            let reason = problem.advice();
            tracing::error!(%package, code = problem.code(), "whatever needs the package waits: {reason}");
            set_quarantine(&events, &package, Some(Quarantine { reason: reason.into(), until: None, is_here: true }));
        }
        Change::KeyExpires(at) => drop(ends.send(at)),
        Change::Removed(package) => {
            for workflow in &package.workflows {
                catalog.forget(workflow.id);
            }
        }
    })
}

fn set_quarantine(events: &Sender<Event>, package: &Package, quarantine: Option<Quarantine>) {
    let workflows = package.workflows.iter().map(|workflow| workflow.id).collect();
    // Without a driver the engine has shut down, and no run goes on anyway.
    events.send(Event::Quarantine { workflows, quarantine }).ok();
}

/// Has the registry refreshed whenever a quarantine ends or a key expires; waits for nothing else. Ends with the engine.
pub(super) async fn refresh_when_due(
    registry: Registry,
    clock: Arc<dyn Clock>,
    mut told: UnboundedReceiver<Timestamp>,
) {
    let mut ends: BTreeSet<Timestamp> = BTreeSet::new();
    loop {
        let heard = match ends.first() {
            None => Ok(told.recv().await),
            Some(at) => time::timeout(until(clock.now(), *at), told.recv()).await,
        };
        match heard {
            Ok(Some(end)) => drop(ends.insert(end)),
            Ok(None) => return,
            Err(_) => {
                let now = clock.now();
                ends.retain(|end| *end > now);
                if let Err(error) = registry.refresh().await {
                    tracing::warn!(%error, "the upkeep of packages failed");
                }
            }
        }
    }
}

/// Quarantines packages that crash on and on, for longer each time. Ends with the engine.
pub(super) async fn quarantine_harmful(
    registry: Registry,
    clock: Arc<dyn Clock>,
    mut told: UnboundedReceiver<CrashLoop>,
) {
    while let Some(CrashLoop { library, reason, n_times }) = told.recv().await {
        let wait = QUARANTINE.saturating_mul(1 << n_times.min(16).saturating_sub(1)).min(QUARANTINE_MAX);
        let until = Some(after(clock.now(), wait));
        for (tenant, digest) in registry.places_of(library) {
            if let Err(error) = registry.quarantine_for(&tenant, digest, &reason, (until, "engine")).await {
                tracing::warn!(%tenant, %digest, %error, "a package that crashes repeatedly could not be quarantined");
            }
        }
    }
}

/// Quarantines what an attempt could not load as it must not be, until somebody does something about it; only then is the
/// attempt ready again, so that it waits at the gate. Ends with the engine.
pub(super) async fn quarantine_withheld(registry: Registry, mut told: UnboundedReceiver<Withheld>) {
    while let Some(withheld) = told.recv().await {
        let (tenant, digest) = (withheld.tenant.clone(), withheld.digest);
        match registry.withhold(&tenant, digest, "engine").await {
            Ok(()) => withheld.lose(),
            Err(error) => {
                tracing::warn!(%tenant, %digest, %error, "a package that must not be loaded could not be quarantined");
                withheld.fail();
            }
        }
    }
}

fn activate(catalog: &Catalog, tenant: &str, name: &str, active: &ActiveVersions) {
    let of = |package: &Package| {
        let known = package.workflows.iter().filter_map(|workflow| catalog.version(workflow.id));
        known.collect::<Vec<_>>()
    };
    let main = active.main.as_ref().map(|main| of(main)).unwrap_or_default();
    let (sharing, share) = match &active.sharing {
        Some((sharing, share)) => (of(sharing), *share),
        None => (Vec::new(), 0),
    };
    catalog.set_active(tenant, name, main, sharing, share);
}

fn runner(
    package: &Package,
    catalog: &Arc<Catalog>,
    tasks: &Handle,
    withheld: &UnboundedSender<Withheld>,
) -> Result<Arc<dyn TaskRunner>, cloacina_packager::Error> {
    let (tenant, digest) = (package.row.tenant.clone(), package.row.digest);
    if let Some(definition) = package.row.definition() {
        let work = Definition::work(definition.as_bytes())?;
        return Ok(Arc::new(DefinedRunner::new(tenant, work, catalog, tasks.clone())));
    }
    let version = PackageVersion { tenant, digest, withheld: withheld.clone() };
    Ok(Arc::new(PackagedRunner::new(Arc::clone(&package.library), version, tasks.clone())))
}

fn add(catalog: &Catalog, events: &Sender<Event>, runner: Arc<dyn TaskRunner>, package: &Package) {
    for packaged in &package.workflows {
        let plan = match runtime::plan(&packaged.descriptor) {
            Ok(plan) => Arc::new(plan),
            Err(error) => {
                tracing::error!(workflow = packaged.key.full_name(), %error, "a registered workflow does not form a plan");
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
