//! `runs watch`: what happens to a run, as it happens.

use cloacina::{Records, RunEvent, RunId};

use super::find::Found;
use super::view::{Shown, exit_code};
use super::wait::until_ended;
use crate::cli::RunsWatchArgs;
use crate::config::Config;
use crate::error::Error;
use crate::output::Output;

/// Shows a run's events until its end, then the run.
pub(crate) fn watch(arguments: &RunsWatchArgs, output: &Output, config: &Config) -> Result<u8, Error> {
    let Found { database, mut records, id } = Found::open(&arguments.run, config)?;
    let resume = format!("cloacina-ctl runs watch {id}{}", database.option());
    let mut shown = 0;
    let look = |records: &mut Records| show_new(records, id, &mut shown, output);
    let report = until_ended(&mut records, id, arguments.timeout, resume, output, look)?;
    let shown = Shown::new(&report);
    output.answer(&shown, |paint| shown.text(paint))?;
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

fn line(event: &RunEvent, output: &Output) -> String {
    let at = event.at.to_string();
    let time = output.paint_notes().dim(at.get(11..23).unwrap_or(&at));
    let task = event.task.as_deref().map(|task| format!(" {task}")).unwrap_or_default();
    let attempt = event.attempt.filter(|attempt| *attempt > 1).map(|attempt| format!(" (attempt {attempt})"));
    let message = event.details.get("message").and_then(|message| message.as_str());
    let message = message.map(|message| format!(": {message}")).unwrap_or_default();
    format!("{time} {}{task}{}{message}", event.kind, attempt.unwrap_or_default())
}
