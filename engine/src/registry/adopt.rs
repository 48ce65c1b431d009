//! From what the store has to what is in memory and what the listener is told: the one way, whichever engine made the change.
//!
//! Every change is written first; then the store's rows are compared with what is in memory, and each difference is
//! told once. So a change that another engine made arrives in the same way as one's own, only later.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use cloacina_packager::{
    Digest,
    definition::{Definition, TaskWork},
};
use cloacina_workflow::descriptor::Descriptor;

use super::{
    Change, Error, Package,
    handle::{Options, Shared},
    package::label,
    register,
    restore::Restorer,
    state::{ActiveVersions, Place, State},
};
use crate::{
    isolation::{self, Code},
    store::{self, Connection, JobResult, PackageRow, PackageState, Quarantine, WorkflowRow},
};

/// How long a package gets to shut down when it is removed; it has no runs by then.
const REMOVAL_GRACE: Duration = Duration::from_secs(2);

/// What the store has at one moment.
pub(super) struct Snapshot {
    newest: i64,
    rows: Vec<PackageRow>,
    /// Of packages that were not known.
    workflows: Vec<WorkflowRow>,
    /// The archives from which libraries can be unpacked.
    archives: HashSet<Digest>,
}

/// What a snapshot can do without, as it is in memory.
pub(super) type Known = HashSet<Place>;

/// Reads what there is.
pub(super) fn snapshot(connection: &mut Connection, known: &Known) -> JobResult<Snapshot> {
    let newest = store::package_newest_change(connection)?;
    let rows = store::package_list(connection)?;
    let archives = store::archive_list(connection)?;
    let mut workflows = Vec::new();
    for row in rows.iter().filter(|row| !known.contains(&(row.tenant.clone(), row.digest))) {
        workflows.extend(store::workflow_list_of(connection, &row.tenant, row.digest)?);
    }
    Ok(Snapshot { newest, rows, workflows, archives })
}

impl Shared {
    /// The packages that are in memory.
    pub(super) fn known(&self) -> Known {
        self.lock().packages.iter().map(|package| package.place()).collect()
    }

    /// Takes over what the store has, and tells what is different. `fresh` is the library of a package that was just
    /// registered. Must be called in turn.
    pub(super) fn adopt(&self, snapshot: Snapshot, fresh: Option<&Arc<Code>>) -> Result<(), Error> {
        let before = self.lock().packages.clone();
        let mut packages = Vec::with_capacity(snapshot.rows.len());
        for row in inherited(snapshot.rows)? {
            packages.push(match before.iter().find(|known| known.is_of(&row)) {
                Some(known) if known.row == row => Arc::clone(known),
                Some(known) => Arc::new(known.with_row(row)),
                None => Arc::new(self.new_package(row, fresh, &snapshot.workflows)?),
            });
        }
        let mut changes = Vec::new();
        for package in &packages {
            let known = before.iter().find(|known| known.is_of(&package.row));
            let is_kept = snapshot.archives.contains(&package.row.archive_digest);
            self.compare(known, package, is_kept, &mut changes);
        }
        // The gate of a package is closed before any caller can see that it is in quarantine.
        let is_gate = |change: &Change| matches!(change, Change::Quarantined(package, ..) if before.iter().any(|known| known.is_of(&package.row)));
        let (gates, mut changes): (Vec<Change>, Vec<Change>) = changes.into_iter().partition(is_gate);
        for gate in gates {
            self.tell(gate);
        }
        let is_gone = |known: &&Arc<Package>| !packages.iter().any(|package| package.is_of(&known.row));
        let gone: Vec<Arc<Package>> = before.iter().filter(is_gone).cloned().collect();
        let is_left = |gone: &Arc<Package>| packages.iter().any(|package| package.row.digest == gone.row.digest);
        let unused: Vec<_> = gone.iter().filter(|gone| !is_left(gone)).map(|gone| gone.row.digest).collect();
        {
            let mut state = self.lock();
            state.packages = packages;
            state.newest = Some(snapshot.newest);
            for package in &gone {
                state.problems.remove(&package.place());
            }
            changes.extend(changes_of_active(&mut state));
        }
        changes.extend(gone.iter().map(|gone| Change::Removed(Arc::clone(gone))));
        for change in changes {
            self.tell(change);
        }
        for package in gone {
            package.library.close(REMOVAL_GRACE);
            tracing::info!(%package, digest = %package.row.digest, "removed");
        }
        for digest in unused {
            register::remove_folder(&self.options.folder, digest);
        }
        Ok(())
    }

    fn new_package(
        &self,
        row: PackageRow,
        fresh: Option<&Arc<Code>>,
        workflows: &[WorkflowRow],
    ) -> Result<Package, Error> {
        let mine = self.options.library(&row);
        let path = self.options.folder.join(&mine.path);
        let fresh = fresh.filter(|fresh| fresh.path() == path).cloned();
        let library = match fresh {
            Some(fresh) => fresh,
            None => self.library(&row, Package::described(&row, &mine.descriptor)?),
        };
        Package::known(row, library, |key| {
            workflows.iter().find(|workflow| workflow.key == *key).map(|workflow| workflow.id)
        })
    }

    /// The library of a package, which is loaded when it is first needed.
    pub(super) fn library(&self, row: &PackageRow, descriptor: Descriptor) -> Arc<Code> {
        Arc::new(self.options.code(row, descriptor.into(), self.restorer().ready(row, self.options.library(row))))
    }

    /// What decides whether a library may be loaded.
    pub(super) fn restorer(&self) -> Restorer {
        let Options { store, folder, limits, clock, required_default, target, .. } = &self.options;
        Restorer {
            store: store.clone(),
            folder: folder.clone(),
            limits: limits.clone(),
            clock: Arc::clone(clock),
            required_default: *required_default,
            target: *target,
        }
    }

    /// The changes of one package. Reads the disk if it is not known to be usable and its archive is not kept:
    /// then there is nothing else to load it from.
    fn compare(&self, known: Option<&Arc<Package>>, package: &Arc<Package>, is_kept: bool, changes: &mut Vec<Change>) {
        // Told before the package is, as runs go on at once with what has arrived.
        let quarantine = |package: &Package| package.row.quarantine.clone();
        let (before, now) = (known.and_then(|known| quarantine(known)), quarantine(package));
        let is_released = before.is_some() && now.is_none();
        if let Some(now) = now.filter(|now| before.as_ref() != Some(now)) {
            changes.push(Change::Quarantined(Arc::clone(package), now.reason, now.until));
        }
        let was_withheld = !self.lock().is_usable(package);
        let problem = self.problem(known.is_some() && !was_withheld, package, is_kept);
        let is_withheld = problem.is_some();
        if known.is_none_or(|_| was_withheld) && !is_withheld {
            self.lock().problems.remove(&package.place());
            changes.push(Change::Added(Arc::clone(package)));
        }
        if is_released || (was_withheld && !is_withheld && package.row.quarantine.is_none()) {
            changes.push(Change::Released(Arc::clone(package)));
        }
        if let Some(problem) = problem.map(Arc::new) {
            self.lock().problems.insert(package.place(), Arc::clone(&problem));
            if !was_withheld || is_released {
                changes.push(Change::Withheld(Arc::clone(package), problem));
            }
        }
    }

    /// Why this engine cannot use the package, if it cannot. Of one that it could use before, only a load shows more.
    fn problem(&self, was_usable: bool, package: &Package, is_kept: bool) -> Option<isolation::Error> {
        let library = &package.library;
        let check = || if is_kept || library.is_loaded() { library.check_descriptor() } else { library.check() };
        library.refusal().or_else(|| if was_usable { None } else { check().err() })
    }

    /// Uses a package no more that this engine could not load, if that will stay so. Must be called in turn.
    pub(super) fn withhold_here(&self, package: &Arc<Package>) {
        let mut changes = Vec::new();
        // What can be refused here has a process of its own, and its file was made ready.
        self.compare(Some(package), package, true, &mut changes);
        changes.extend(changes_of_active(&mut self.lock()));
        for change in changes {
            self.tell(change);
        }
    }
}

/// The versions, of which workflows as data are in quarantine for as long as a version is whose functions they use. That is not in
/// the database, as it follows from what is there.
fn inherited(mut rows: Vec<PackageRow>) -> Result<Vec<PackageRow>, Error> {
    let quarantined: HashMap<Place, Quarantine> = rows
        .iter()
        .filter_map(|row| {
            let quarantine = row.quarantine.clone().filter(|_| row.definition().is_none())?;
            let reason = format!("it uses {}, which is quarantined: {}", label(row), quarantine.reason);
            Some(((row.tenant.clone(), row.digest), Quarantine { reason, ..quarantine }))
        })
        .collect();
    if quarantined.is_empty() {
        return Ok(rows);
    }
    for row in rows.iter_mut().filter(|row| row.quarantine.is_none()) {
        let Some(definition) = row.definition() else { continue };
        let found = Definition::work(definition.as_bytes())?.into_iter().find_map(|work| match work {
            TaskWork::Function(_, digest) => quarantined.get(&(row.tenant.clone(), digest)),
            TaskWork::BuiltIn(_) => None,
        });
        if let Some(quarantine) = found {
            row.quarantine = Some(Quarantine { before: row.state, ..quarantine.clone() });
            row.state = PackageState::Quarantined;
        }
    }
    Ok(rows)
}

/// What new runs get differently than before.
fn changes_of_active(state: &mut State) -> Vec<Change> {
    let now = state.active();
    let before = std::mem::replace(&mut state.active, now);
    let nothing = ActiveVersions::default();
    let mut changes = Vec::new();
    for ((tenant, name), active) in &state.active {
        let key = (tenant.clone(), name.clone());
        if !before.get(&key).unwrap_or(&nothing).is_like(active) {
            changes.push(Change::Activated { tenant: key.0, name: key.1, active: active.clone() });
        }
    }
    for (tenant, name) in before.into_keys().filter(|key| !state.active.contains_key(key)) {
        changes.push(Change::Activated { tenant, name, active: ActiveVersions::default() });
    }
    changes
}
