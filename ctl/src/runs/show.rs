//! `runs show`: one run and its tasks.

use super::engine::living_report;
use super::find::Found;
use super::view::show_run;
use super::why::note_withheld;
use crate::cli::RunsShowArgs;
use crate::config::Config;
use crate::error::Error;
use crate::exit;
use crate::output::Output;

/// Shows a run.
pub(crate) fn show(arguments: &RunsShowArgs, output: &Output, config: &Config) -> Result<u8, Error> {
    let Found { place, mut source, id } = Found::open(&arguments.run, config)?;
    let report = match living_report(&place, id)? {
        Some((report, _)) => report,
        None => source.report(id)?,
    };
    show_run(&report, &place, output)?;
    note_withheld(&report, output);
    if let Some(part) = report.pruned() {
        output.note(&format!("its {} was removed by retention at {}", part.as_str(), part.at()));
    }
    Ok(exit::SUCCESS)
}
