//! `runs watch`: what happens to a run, as it happens.

use std::cell::Cell;

use cloacina::RunId;

use super::find::Found;
use super::follow::{beside, line};
use super::view::{exit_code, show_run};
use super::wait::until_ended;
use crate::cli::RunsWatchArgs;
use crate::config::Config;
use crate::error::Error;
use crate::output::Output;
use crate::place::Source;

/// Shows a run's events until its end, then the run.
pub(crate) fn watch(arguments: &RunsWatchArgs, output: &Output, config: &Config) -> Result<u8, Error> {
    let Found { place, mut source, id } = Found::open(&arguments.run, config)?;
    let resume = format!("cloacina-ctl runs watch {id}{}", place.option());
    let n_shown = Cell::new(0);
    if let Some(report) = beside(&place, id, (arguments.timeout, resume.clone()), &n_shown, output)? {
        show_run(&report, &place, output)?;
        return Ok(exit_code(report.state));
    }
    let mut shown = n_shown.get();
    let read = |source: &mut Source| show_new(source, id, &mut shown, output);
    let report = until_ended(&mut source, id, arguments.timeout, resume, output, read)?;
    show_run(&report, &place, output)?;
    Ok(exit_code(report.state))
}

/// Shows the events that were not shown before.
fn show_new(source: &mut Source, id: RunId, shown: &mut usize, output: &Output) -> Result<(), Error> {
    let events = source.events(id)?;
    for event in events.iter().skip(*shown) {
        output.note(&line(event, output));
    }
    *shown = events.len();
    Ok(())
}
