//! `package usage`: what the versions of packages used up in the runs of a time, and what their processes did in that time.
//!
//! The histories of those runs are looked at, beside a living engine or without one; what retention has removed is not
//! there, and is said not to be.

use std::time::{Duration, SystemTime};

use cloacina::{PackageUsage, Timestamp, UsageFilter};
use serde::Serialize;
use utoipa::ToSchema;

use crate::cli::PackageUsageArgs;
use crate::config::Config;
use crate::database::Database;
use crate::document::{Document, Moment};
use crate::error::Error;
use crate::exit;
use crate::output::{Output, Paint};
use crate::runs::moment;
use crate::usage::{HEADINGS, HOST_HEADINGS, HostUsageView, UsageView};

/// How far back is looked without `--since`.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// What packages used up.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Listed {
    /// Only runs that were submitted at this moment or later count.
    #[schema(value_type = Moment)]
    since: Timestamp,
    /// Only runs that were submitted before this moment count. Absent without `--until`.
    #[schema(value_type = Option<Moment>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<Timestamp>,
    /// The versions that ran.
    packages: Vec<Package>,
}

impl Document for Listed {}

/// What a version of a package used up.
#[derive(Debug, Serialize, ToSchema)]
struct Package {
    /// The tenant.
    tenant: String,
    /// The name of the package.
    name: String,
    /// The version. Absent once it is not registered any longer.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    /// The content digest of the version.
    content_digest: String,
    /// How many runs it had.
    runs: u64,
    /// How many of them have no history any longer; what they used up is not counted.
    runs_without_history: u64,
    #[serde(flatten)]
    usage: UsageView,
    /// Processes of its own that lived in that time, with all that ran in them.
    processes: HostUsageView,
    /// What each task used up.
    tasks: Vec<Task>,
    #[serde(skip)]
    short_digest: String,
}

/// What a task used up in all runs.
#[derive(Debug, Serialize, ToSchema)]
struct Task {
    /// The name of the workflow in the package.
    workflow: String,
    /// The id of the task.
    task: String,
    #[serde(flatten)]
    usage: UsageView,
}

/// Shows what packages used up.
pub(crate) fn usage(arguments: &PackageUsageArgs, output: &Output, config: &Config) -> Result<u8, Error> {
    let now = Timestamp::now();
    let since = match &arguments.since {
        Some(text) => moment::parse("--since", text, now)?,
        None => SystemTime::from(now).checked_sub(DAY).unwrap_or(SystemTime::UNIX_EPOCH).into(),
    };
    let until = arguments.until.as_deref().map(|text| moment::parse("--until", text, now)).transpose()?;
    let filter = UsageFilter {
        package: arguments.package.clone(),
        tenant: arguments.tenant.clone(),
        created_from: Some(since),
        created_before: until,
    };
    let database = Database::choose(arguments.database.database.as_deref(), config)?;
    let used = match database.records(output)? {
        Some(mut records) => records.package_usage(&filter)?,
        None => Vec::new(),
    };
    let listed = Listed { since, until, packages: used.into_iter().map(Package::new).collect() };
    output.answer(&listed, |paint| listed.text(arguments.package.is_some(), paint))?;
    let n_pruned: u64 = listed.packages.iter().map(|package| package.runs_without_history).sum();
    if n_pruned > 0 {
        output.note(&format!("of {n_pruned} runs retention has removed the history; what they used up is not counted"));
    }
    Ok(exit::SUCCESS)
}

impl Listed {
    fn text(&self, has_tasks: bool, paint: Paint) -> String {
        if self.packages.is_empty() {
            return format!("no runs of packages since {}\n", self.since);
        }
        let header = ["package", "version", "runs"].into_iter().chain(HEADINGS).map(str::to_owned).collect::<Vec<_>>();
        let mut text =
            paint.columns([header].into_iter().chain(self.packages.iter().map(|package| package.row(paint))), "");
        let header = ["package", "version"].into_iter().chain(HOST_HEADINGS).map(str::to_owned).collect::<Vec<_>>();
        let rows: Vec<_> = self.packages.iter().filter_map(|package| package.process_row(paint)).collect();
        if !rows.is_empty() {
            text.push('\n');
            text.push_str(&paint.columns([header].into_iter().chain(rows), ""));
        }
        for package in self.packages.iter().filter(|_| has_tasks) {
            let header = ["workflow", "task"].into_iter().chain(HEADINGS).map(str::to_owned).collect();
            let rows = package.tasks.iter().map(Task::row);
            text.push_str(&format!("\n{}\n", package.label()));
            text.push_str(&paint.columns([header].into_iter().chain(rows), "  "));
        }
        text
    }
}

impl Package {
    fn new(usage: PackageUsage) -> Self {
        let tasks = usage.tasks.iter();
        let tasks = tasks.map(|(workflow, task, used)| Task {
            workflow: workflow.clone(),
            task: task.clone(),
            usage: UsageView::new(used),
        });
        Self {
            version: usage.version,
            content_digest: usage.digest.to_string(),
            runs: usage.n_runs,
            runs_without_history: usage.n_pruned,
            usage: UsageView::new(&usage.total),
            processes: HostUsageView::new(&usage.hosts),
            tasks: tasks.collect(),
            short_digest: usage.digest.short(),
            tenant: usage.tenant,
            name: usage.name,
        }
    }

    fn label(&self) -> String {
        let Self { tenant, name, .. } = self;
        match &self.version {
            Some(version) => format!("{tenant}::{name}@{version}"),
            None => format!("{tenant}::{name}, {}", self.short_digest),
        }
    }

    fn row(&self, paint: Paint) -> Vec<String> {
        let [name, version] = self.name_cells(paint);
        [name, version, self.runs.to_string()].into_iter().chain(self.usage.cells()).collect()
    }

    fn process_row(&self, paint: Paint) -> Option<Vec<String>> {
        Some(self.name_cells(paint).into_iter().chain(self.processes.cells()?).collect())
    }

    fn name_cells(&self, paint: Paint) -> [String; 2] {
        let name = paint.bold(&format!("{}::{}", self.tenant, self.name));
        [name, self.version.clone().unwrap_or_else(|| format!("{} (removed)", self.short_digest))]
    }
}

impl Task {
    fn row(&self) -> Vec<String> {
        [self.workflow.clone(), self.task.clone()].into_iter().chain(self.usage.cells()).collect()
    }
}
