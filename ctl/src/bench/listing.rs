//! What a list of runs costs in a database of many runs, beside the barest query by the same index.
//!
//! Each way to choose runs is asked many times in turn; the median of each counts, and the worst ratio is the figure.

use std::time::Duration;

use cloacina::testing::{Listed, Scratch, measure_lists};
use serde::Serialize;
use utoipa::ToSchema;

use super::cell::Backend;
use super::measure::{Bench, of};
use super::plan::Plan;
use super::ratio::median;
use super::report::tenths;
use crate::error::Error;
use crate::output::{Output, Paint};

/// What it is called where only a part of everything is measured.
pub(super) const WHAT: &str = "listing runs";

/// What a list of 50 runs costs, by what chooses the runs.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Lists {
    /// How many runs the database had.
    n_runs: u64,
    /// The lists.
    lists: Vec<List>,
    #[serde(skip)]
    pub(super) ratio: Option<f64>,
}

/// What a list costs; medians.
#[derive(Debug, Serialize, ToSchema)]
struct List {
    /// The filter of the list: `state`, `workflow`, `tenant` or `time`.
    by: &'static str,
    /// The list, in microseconds.
    list_us: f64,
    /// The simplest query that uses the same index, in microseconds.
    bare_us: f64,
}

impl Lists {
    /// The table for people.
    pub(super) fn text(&self, database: &str, paint: Paint) -> String {
        let title = format!("{WHAT}: 50 of {} on {database}", self.n_runs);
        let header = vec![paint.bold(&title), paint.bold("list"), paint.bold("bare query")];
        let rows = self.lists.iter().map(|list| {
            vec![format!("by {}", list.by), format!("{:.0} µs", list.list_us), format!("{:.0} µs", list.bare_us)]
        });
        paint.columns([header].into_iter().chain(rows), "")
    }
}

/// Measures it on that database.
pub(super) fn measure(bench: &Bench<'_>, backend: Backend, plan: &Plan<'_>, output: &Output) -> Result<Lists, Error> {
    bench.stop_if_interrupted()?;
    let (n_runs, n_times) = plan.lists();
    output.note(&format!("{WHAT}: filling {} with {n_runs} runs", backend.as_str()));
    let scratch = match (backend, &bench.postgres) {
        (Backend::Postgres, Some(postgres)) => Scratch::schema(postgres.url),
        _ => Scratch::file(bench.folder),
    };
    let scratch = scratch.map_err(of(backend.as_str()))?;
    let listed = measure_lists(scratch.address(), n_runs, n_times).map_err(of(backend.as_str()))?;
    Ok(Lists::new(n_runs, &listed))
}

impl Lists {
    fn new(n_runs: u64, listed: &[Listed]) -> Self {
        let mut ways: Vec<&'static str> = Vec::new();
        for one in listed {
            if !ways.contains(&one.by) {
                ways.push(one.by);
            }
        }
        let us = |by: &str, of: fn(&Listed) -> Duration| {
            median(listed.iter().filter(|one| one.by == by).map(|one| of(one).as_secs_f64() * 1e6)).unwrap_or_default()
        };
        let medians: Vec<(&'static str, f64, f64)> =
            ways.into_iter().map(|by| (by, us(by, |one| one.list), us(by, |one| one.bare))).collect();
        let ratio = medians.iter().map(|(_, list, bare)| list / bare).reduce(f64::max);
        let list =
            |(by, list, bare): (&'static str, f64, f64)| List { by, list_us: tenths(list), bare_us: tenths(bare) };
        Self { n_runs, lists: medians.into_iter().map(list).collect(), ratio }
    }
}
