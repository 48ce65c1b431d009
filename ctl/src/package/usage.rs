//! `package usage`: what the versions of packages used up in the runs of a time, and what their processes did in that time.
//!
//! The histories of those runs are looked at, beside a running engine or without one; what retention has removed is not
//! there, and is said not to be.

use std::time::{Duration, SystemTime};

use cloacina::{PackageUsage, TaskUsage, Timestamp, UsageFilter};
use serde::Serialize;
use utoipa::ToSchema;

use crate::cli::PackageUsageArgs;
use crate::config::Config;
use crate::document::{Document, Moment};
use crate::error::Error;
use crate::exit;
use crate::output::{Output, Paint};
use crate::place::Place;
use crate::runs::moment;
use crate::usage::{HEADINGS, HOST_HEADINGS, cells, host_cells};

/// How far back is looked without `--since`.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The usage of packages.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Listed {
    /// Only runs that were submitted at this time or later count.
    #[schema(value_type = Moment)]
    since: Timestamp,
    /// Only runs that were submitted before this time count. Absent without `--until`.
    #[schema(value_type = Option<Moment>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<Timestamp>,
    /// The versions that ran.
    packages: Vec<PackageUsage>,
}

impl Document for Listed {}

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
    let database = Place::database(&arguments.database, config)?;
    let used = match database.records(output)? {
        Some(mut records) => records.package_usage(&filter)?,
        None => Vec::new(),
    };
    let listed = Listed { since, until, packages: used };
    output.answer(&listed, |paint| listed.text(arguments.package.is_some(), paint))?;
    let n_pruned: u64 = listed.packages.iter().map(|package| package.n_pruned).sum();
    if n_pruned > 0 {
        output.note(&format!("retention has removed the history of {n_pruned} runs; their usage is not counted"));
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
            paint.columns([header].into_iter().chain(self.packages.iter().map(|package| row(package, paint))), "");
        let header = ["package", "version"].into_iter().chain(HOST_HEADINGS).map(str::to_owned).collect::<Vec<_>>();
        let rows: Vec<_> = self.packages.iter().filter_map(|package| process_row(package, paint)).collect();
        if !rows.is_empty() {
            text.push('\n');
            text.push_str(&paint.columns([header].into_iter().chain(rows), ""));
        }
        for package in self.packages.iter().filter(|_| has_tasks) {
            let header = ["workflow", "task"].into_iter().chain(HEADINGS).map(str::to_owned).collect();
            let rows = package.tasks.iter().map(task_row);
            text.push_str(&format!("\n{}\n", label(package)));
            text.push_str(&paint.columns([header].into_iter().chain(rows), "  "));
        }
        text
    }
}

fn label(package: &PackageUsage) -> String {
    let PackageUsage { tenant, name, digest, .. } = package;
    match &package.version {
        Some(version) => format!("{tenant}::{name}@{version}"),
        None => format!("{tenant}::{name}, {}", digest.short()),
    }
}

fn row(package: &PackageUsage, paint: Paint) -> Vec<String> {
    let [name, version] = name_cells(package, paint);
    [name, version, package.n_runs.to_string()].into_iter().chain(cells(&package.total)).collect()
}

fn process_row(package: &PackageUsage, paint: Paint) -> Option<Vec<String>> {
    Some(name_cells(package, paint).into_iter().chain(host_cells(&package.hosts)?).collect())
}

fn name_cells(package: &PackageUsage, paint: Paint) -> [String; 2] {
    let name = paint.bold(&format!("{}::{}", package.tenant, package.name));
    [name, package.version.clone().unwrap_or_else(|| format!("{} (removed)", package.digest.short()))]
}

fn task_row(task: &TaskUsage) -> Vec<String> {
    [task.workflow.clone(), task.task.clone()].into_iter().chain(cells(&task.total)).collect()
}
