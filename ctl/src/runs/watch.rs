//! `runs watch`: what happens to a run, as it happens.

use std::cell::Cell;

use cloacina::{Records, RunId};

use super::find::Found;
use super::follow::{beside, line};
use super::view::{exit_code, show_run};
use super::wait::until_ended;
use crate::cli::RunsWatchArgs;
use crate::config::Config;
use crate::error::Error;
use crate::output::Output;

/// Shows a run's events until its end, then the run.
pub(crate) fn watch(arguments: &RunsWatchArgs, output: &Output, config: &Config) -> Result<u8, Error> {
    let Found { database, mut records, id } = Found::open(&arguments.run, config)?;
    let resume = format!("cloacina-ctl runs watch {id}{}", database.option());
    let n_shown = Cell::new(0);
    if let Some(report) = beside(&database, id, (arguments.timeout, resume.clone()), &n_shown, output)? {
        show_run(&report, &database, output)?;
        return Ok(exit_code(report.state));
    }
    let mut shown = n_shown.get();
    let read = |records: &mut Records| show_new(records, id, &mut shown, output);
    let report = until_ended(&mut records, id, arguments.timeout, resume, output, read)?;
    show_run(&report, &database, output)?;
    Ok(exit_code(report.state))
}

/// Shows the events that were not shown before.
fn show_new(records: &mut Records, id: RunId, shown: &mut usize, output: &Output) -> Result<(), Error> {
    let events = records.events(id)?;
    for event in events.iter().skip(*shown) {
        output.note(&line(event, output));
    }
    *shown = events.len();
    Ok(())
}
