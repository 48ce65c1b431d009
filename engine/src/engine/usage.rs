//! What runs and packages used up, as far as it is known: of a run attempt by attempt, of packages summed over the runs
//! of a time.
//!
//! Both are read from the histories, beside a living engine and without one. What nobody measured is absent, never nothing:
//! processor time is known of an attempt that was alone in its process, all of which it is then, and of one whose package
//! measures its own polls, as each in Rust does; the most memory of one that was alone and not short, or whose process ended
//! with it. What retention has removed is not counted; how many runs that are is told.
//!
//! What the processes of a package used up is known as a whole, whatever ran in them side by side.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use cloacina_packager::Digest;
use cloacina_workflow::Timestamp;

use super::{
    handle::{Engine, alive},
    hosts,
    records::Records,
    run_handle::RunHandle,
};
use crate::{
    Error,
    id::{RunId, Scope, WorkflowId},
    registry::{self, find_version},
    runtime::{Version, stored_version},
    store::{
        self, Connection, Error as StoreError, HostSum, JobResult, PackageRow, RunRow, UsageEnd, UsageSearch, UsageSum,
        WorkflowRow,
    },
    view::{HostUsage, PackageUsage, RunUsage, TaskUsage, Usage, UsedCall, UsedTask},
};

/// Whose usage is asked for; an absent part excludes nothing.
#[derive(Clone, Debug, Default)]
pub struct UsageFilter {
    /// Only packages that this means: a name, `tenant::name`, either with `@version`, or `sha256:` and the first digits of
    /// a digest. Without a version, all of them.
    pub package: Option<String>,
    /// Only packages of this tenant.
    pub tenant: Option<String>,
    /// Only runs that were submitted at this moment or later, and processes that lived then or later.
    pub created_from: Option<Timestamp>,
    /// Only runs that were submitted before this moment, and processes that were started before it.
    pub created_before: Option<Timestamp>,
}

impl Usage {
    fn of(call: &UsedCall) -> Self {
        let time = call
            .started_at
            .map(|began| Duration::from_micros(call.ended_at.unix_micros().saturating_sub(began.unix_micros())));
        Self {
            n_attempts: call.attempt.is_some().into(),
            n_callbacks: call.attempt.is_none().into(),
            time,
            n_time: time.is_some().into(),
            cpu: call.cpu,
            n_cpu: call.cpu.is_some().into(),
            peak_bytes: call.peak_bytes,
            n_peak: call.peak_bytes.is_some().into(),
        }
    }

    fn of_sum(sum: &UsageSum) -> Self {
        let whole = |number: i64| u64::try_from(number).unwrap_or(0);
        let known = |n_known: i64, micros: i64| (n_known > 0).then(|| Duration::from_micros(whole(micros)));
        Self {
            n_attempts: whole(sum.n_attempts),
            n_callbacks: whole(sum.n_callbacks),
            time: known(sum.n_timed, sum.time_us),
            n_time: whole(sum.n_timed),
            cpu: known(sum.n_cpu, sum.cpu_us),
            n_cpu: whole(sum.n_cpu),
            peak_bytes: sum.peak_bytes.map(whole),
            n_peak: whole(sum.n_peak),
        }
    }

    fn add(&mut self, other: &Self) {
        let together = |one: Option<Duration>, other: Option<Duration>| match (one, other) {
            (Some(one), Some(other)) => Some(one.saturating_add(other)),
            (one, other) => one.or(other),
        };
        self.n_attempts += other.n_attempts;
        self.n_callbacks += other.n_callbacks;
        self.time = together(self.time, other.time);
        self.n_time += other.n_time;
        self.cpu = together(self.cpu, other.cpu);
        self.n_cpu += other.n_cpu;
        self.peak_bytes = self.peak_bytes.max(other.peak_bytes);
        self.n_peak += other.n_peak;
    }
}

impl HostUsage {
    fn of_sum(sum: &HostSum) -> Self {
        let whole = |number: i64| u64::try_from(number).unwrap_or(0);
        Self {
            n_hosts: whole(sum.n_hosts),
            n_crashed: whole(sum.n_crashed),
            n_calls: whole(sum.n_calls),
            cpu: (sum.n_cpu > 0).then(|| Duration::from_micros(whole(sum.cpu_us))),
            n_cpu: whole(sum.n_cpu),
            peak_bytes: sum.peak_bytes.map(whole),
            n_peak: whole(sum.n_peak),
        }
    }
}

impl RunUsage {
    fn new(run: &RunRow, version: &Version, ends: Vec<UsageEnd>) -> Self {
        let untouched = |task: &crate::core::plan::Task| UsedTask {
            task: task.id.as_ref().to_owned(),
            total: Usage::default(),
            calls: Vec::new(),
        };
        let mut tasks: Vec<UsedTask> = version.plan.tasks.iter().map(untouched).collect();
        let mut total = Usage::default();
        for end in ends {
            let Some(task) = usize::try_from(end.task).ok().and_then(|task| tasks.get_mut(task)) else { continue };
            let call = UsedCall::new(&end);
            let used = Usage::of(&call);
            task.total.add(&used);
            total.add(&used);
            task.calls.push(call);
        }
        Self {
            id: run.id,
            workflow: version.key.full_name(),
            digest: version.key.content_digest(),
            state: run.state,
            total,
            tasks,
            history_removed_at: run.events_pruned_at,
        }
    }
}

impl UsedCall {
    fn new(end: &UsageEnd) -> Self {
        Self {
            attempt: end.attempt.and_then(|attempt| u32::try_from(attempt).ok()),
            end: end.kind.as_str(),
            started_at: end.started_at,
            ended_at: end.at,
            cpu: end.cpu_us.and_then(|cpu| u64::try_from(cpu).ok()).map(Duration::from_micros),
            peak_bytes: end.peak_bytes.and_then(|bytes| u64::try_from(bytes).ok()),
        }
    }
}

impl Records {
    /// What a run used up so far, by task and attempt.
    ///
    /// # Errors
    /// [`Error::UnknownRun`], or what the store says.
    pub fn usage(&mut self, id: RunId) -> Result<RunUsage, Error> {
        self.seen_run(id)?;
        self.read("reading the usage of a run", |connection| of_run(connection, id))?.ok_or(Error::UnknownRun { id })
    }

    /// What the versions of packages used up in the runs of a time, by tenant, name and age, and what their processes used
    /// up that lived in that time. It costs as much as those runs have events. What processes of a living engine used
    /// up in its last seconds may not be known yet.
    ///
    /// # Errors
    /// [`RegistryError::UnknownPackage`](crate::RegistryError::UnknownPackage) with names that help, or what the store
    /// says.
    pub fn package_usage(&mut self, filter: &UsageFilter) -> Result<Vec<PackageUsage>, Error> {
        let (filter, scope) = (filter.clone(), self.caller.scope().clone());
        self.read("reading the usage of packages", |connection| of_packages(connection, &scope, &filter))?.known()
    }
}

impl RunHandle {
    /// What the run used up so far, by task and attempt, as it is stored.
    ///
    /// # Errors
    /// As [`Self::report`].
    pub async fn usage(&self) -> Result<RunUsage, Error> {
        let (id, shared) = (self.id(), alive(&self.shared)?);
        let read = shared.store().read("reading the usage of a run", move |connection| of_run(connection, id));
        read.await?.ok_or(Error::UnknownRun { id })
    }
}

impl Engine {
    /// As [`Records::package_usage`], of this engine's database, up to this moment.
    ///
    /// # Errors
    /// As [`Records::package_usage`].
    pub async fn package_usage(&self, filter: &UsageFilter) -> Result<Vec<PackageUsage>, Error> {
        hosts::write(&self.shared.tally, self.shared.store()).await?;
        let (filter, scope) = (filter.clone(), self.caller.scope().clone());
        let read = self
            .shared
            .store()
            .read("reading the usage of packages", move |connection| of_packages(connection, &scope, &filter));
        read.await?.known()
    }
}

fn of_run(connection: &mut Connection, id: RunId) -> JobResult<Option<RunUsage>> {
    let Some(run) = store::run_get(connection, id)? else { return Ok(None) };
    let workflow = store::workflow_get(connection, run.workflow)?;
    let ends = store::usage_list(connection, id)?;
    Ok(Some(RunUsage::new(&run, &stored_version(&workflow)?, ends)))
}

/// What packages used up, if there are such packages.
enum OfPackages {
    Known(Vec<PackageUsage>),
    Unknown(registry::Error),
}

impl OfPackages {
    fn known(self) -> Result<Vec<PackageUsage>, Error> {
        match self {
            Self::Known(usage) => Ok(usage),
            Self::Unknown(error) => Err(error.into()),
        }
    }
}

fn of_packages(connection: &mut Connection, scope: &Scope, filter: &UsageFilter) -> JobResult<OfPackages> {
    let (workflows, packages) = (store::workflow_list(connection)?, store::package_list(connection)?);
    let workflows: Vec<_> = workflows.into_iter().filter(|row| scope.has(&row.key.tenant)).collect();
    let packages: Vec<_> = packages.into_iter().filter(|row| scope.has(&row.tenant)).collect();
    let known: Vec<Known<'_>> = workflows.iter().filter_map(|row| Known::new(row, &packages)).collect();
    let fitting: Vec<Known<'_>> = known.into_iter().filter(|known| known.fits(filter)).collect();
    if let (Some(name), true) = (&filter.package, fitting.is_empty())
        && let Err(error @ registry::Error::UnknownPackage { .. }) = find_version(&packages, name)
    {
        return Ok(OfPackages::Unknown(error));
    }
    let search = UsageSearch {
        workflows: fitting.iter().map(|known| known.row.id).collect(),
        created_from: filter.created_from,
        created_before: filter.created_before,
    };
    let (sums, counts) = (store::usage_sum(connection, &search)?, store::usage_count_runs(connection, &search)?);
    let hosts = store::host_sum(connection, filter.created_from, filter.created_before)?;
    let mut of_workflow: HashMap<WorkflowId, Vec<UsageSum>> = HashMap::new();
    for sum in sums {
        of_workflow.entry(sum.workflow).or_default().push(sum);
    }
    let counts: HashMap<_, _> = counts.into_iter().map(|runs| (runs.workflow, (runs.n_runs, runs.n_pruned))).collect();
    // By tenant and name; versions in the order in which their workflows became known.
    let mut order: BTreeMap<(String, String, WorkflowId), PackageUsage> = BTreeMap::new();
    let mut firsts: HashMap<(String, Digest), WorkflowId> = HashMap::new();
    for known in &fitting {
        let key = &known.row.key;
        let first = *firsts.entry((key.tenant.clone(), known.digest)).or_insert(known.row.id);
        let place = (key.tenant.clone(), key.package.clone(), first);
        let usage = order.entry(place).or_insert_with(|| known.unused());
        let (n_runs, n_pruned) = counts.get(&known.row.id).copied().unwrap_or_default();
        usage.n_runs += u64::try_from(n_runs).unwrap_or(0);
        usage.n_pruned += u64::try_from(n_pruned).unwrap_or(0);
        usage.add_tasks(known.row, of_workflow.remove(&known.row.id).unwrap_or_default())?;
    }
    let hosts: HashMap<_, _> = hosts.into_iter().map(|sum| ((sum.tenant.clone(), sum.digest), sum)).collect();
    for usage in order.values_mut() {
        let its = hosts.get(&(usage.tenant.clone(), usage.digest));
        usage.hosts = its.map(HostUsage::of_sum).unwrap_or_default();
    }
    // By the names of the workflows; the tasks of each stay in the order of the source.
    order.values_mut().for_each(|usage| usage.tasks.sort_by(|one, other| one.workflow.cmp(&other.workflow)));
    let used = order.into_values().filter(|usage| usage.n_runs > 0 || usage.hosts.n_hosts > 0);
    Ok(OfPackages::Known(used.collect()))
}

/// A workflow of a package with what its package is called.
struct Known<'a> {
    row: &'a WorkflowRow,
    digest: Digest,
    version: Option<&'a str>,
}

impl<'a> Known<'a> {
    /// None of a workflow that is compiled into a program.
    fn new(row: &'a WorkflowRow, packages: &'a [PackageRow]) -> Option<Self> {
        let digest = row.key.content_digest()?;
        let is_its = |package: &&PackageRow| package.tenant == row.key.tenant && package.digest == digest;
        let version = packages.iter().find(is_its).map(|package| package.version.as_str());
        Some(Self { row, digest, version })
    }

    fn fits(&self, filter: &UsageFilter) -> bool {
        let key = &self.row.key;
        let is_meant = |text: &String| {
            if let Some(digits) = text.strip_prefix("sha256:") {
                return self.digest.hex().starts_with(digits);
            }
            let (name, version) = text.split_once('@').map_or((text.as_str(), None), |(name, at)| (name, Some(at)));
            let (tenant, name) = name.split_once("::").map_or((None, name), |(tenant, name)| (Some(tenant), name));
            key.package == name
                && tenant.is_none_or(|tenant| key.tenant == tenant)
                && version.is_none_or(|version| self.version == Some(version))
        };
        filter.package.as_ref().is_none_or(is_meant)
            && filter.tenant.as_ref().is_none_or(|tenant| key.tenant == *tenant)
    }

    fn unused(&self) -> PackageUsage {
        PackageUsage {
            tenant: self.row.key.tenant.clone(),
            name: self.row.key.package.clone(),
            version: self.version.map(str::to_owned),
            digest: self.digest,
            n_runs: 0,
            n_pruned: 0,
            total: Usage::default(),
            hosts: HostUsage::default(),
            tasks: Vec::new(),
        }
    }
}

impl PackageUsage {
    fn add_tasks(&mut self, row: &WorkflowRow, mut sums: Vec<UsageSum>) -> Result<(), StoreError> {
        let version = stored_version(row)?;
        sums.sort_by_key(|sum| sum.task);
        for sum in sums {
            let task = usize::try_from(sum.task).ok().and_then(|task| version.plan.tasks.get(task));
            let Some(task) = task else { continue };
            let usage = Usage::of_sum(&sum);
            self.total.add(&usage);
            let (workflow, task) = (row.key.name.clone(), task.id.as_ref().to_owned());
            self.tasks.push(TaskUsage { workflow, task, total: usage });
        }
        Ok(())
    }
}
