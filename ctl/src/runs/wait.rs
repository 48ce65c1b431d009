//! `runs wait`: until the run has ended.

use std::time::Duration;

use cloacina::{RunId, RunReport};

use super::find::Found;
use super::follow::wait_beside;
use super::view::{exit_code, show_run};
use crate::cli::RunsWaitArgs;
use crate::config::Config;
use crate::error::Error;
use crate::output::Output;
use crate::place::Source;
use crate::reader::Reader;
use crate::run::Interrupt;

/// How often the database is looked at. Another process drives the run, and a person waits.
pub(super) const PERIOD: Duration = Duration::from_millis(100);

/// Waits for a run.
pub(crate) fn wait(arguments: &RunsWaitArgs, output: &Output, config: &Config) -> Result<u8, Error> {
    let Found { place, mut source, id } = Found::open(&arguments.run, config)?;
    let resume = format!("cloacina-ctl runs wait {id}{}", place.option());
    if let Some(report) = wait_beside(&place, id, (arguments.timeout, resume.clone()))? {
        show_run(&report, &place, output)?;
        return Ok(exit_code(report.state));
    }
    let report = until_ended(&mut source, id, arguments.timeout, resume, output, |_| Ok(()))?;
    show_run(&report, &place, output)?;
    Ok(exit_code(report.state))
}

/// Reads a run repeatedly until it has ended; each state is also passed to `look`.
pub(super) fn until_ended(
    source: &mut Source,
    id: RunId,
    timeout_seconds: Option<u64>,
    resume: String,
    output: &Output,
    mut look: impl FnMut(&mut Source) -> Result<(), Error>,
) -> Result<RunReport, Error> {
    let report = source.report(id)?;
    if !report.state.is_terminal() && !source.is_driven(id)? {
        output.note("no engine drives the run: it continues when an engine is started on its database");
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let runtime =
        runtime.map_err(|source| Error::Io { action: "start a timer for", path: "the run".into(), source })?;
    runtime.block_on(async {
        let mut ticks = tokio::time::interval(PERIOD);
        let ended = async {
            loop {
                ticks.tick().await;
                look(source)?;
                let report = source.report(id)?;
                if report.state.is_terminal() {
                    // What became durable between the two looks.
                    look(source)?;
                    return Ok(report);
                }
            }
        };
        let mut reader = Reader::watch();
        let ended = async {
            tokio::select! {
                biased;
                () = reader.gone() => Err(Error::interrupted(Interrupt::Unread, id, Some(resume.clone()))),
                report = ended => report,
            }
        };
        let Some(seconds) = timeout_seconds else { return ended.await };
        let in_time = tokio::time::timeout(Duration::from_secs(seconds), ended).await;
        in_time.unwrap_or_else(|_| Err(Error::TimedOut { run: id.to_string(), seconds, resume: Some(resume.clone()) }))
    })
}
