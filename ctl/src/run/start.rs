//! From the arguments of `run` to its exit code.

use cloacina::RunId;

use super::drive::{self, Begin, Job};
use super::input;
use super::report::Finished;
use crate::cli::RunArgs;
use crate::config::Config;
use crate::error::Error;
use crate::output::{Output, Warning};
use crate::package::Source;
use crate::retention::retention;

/// Runs a workflow.
pub(crate) fn run(arguments: &RunArgs, output: &Output, config: &Config) -> Result<u8, Error> {
    // What costs nothing to check comes before the build.
    let context = input::read(arguments.input.as_deref(), &arguments.secret)?;
    let retention = retention(config)?;
    let resume = arguments.resume.as_deref().map(str::parse::<RunId>).transpose();
    let resume = resume.map_err(|error| Error::BadRunId { text: error.text })?;
    let source = Source::open(&arguments.path, &arguments.cargo, output, config)?;
    let begin = match resume {
        Some(run) => Begin::Resume(run),
        None => Begin::Start { workflow: source.full_name(source.workflow(arguments.workflow.as_deref())?), context },
    };
    for warning in cloacina_packager::warnings(source.package.descriptor()) {
        output.warning(&Warning::of_package(&warning));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime =
        runtime.map_err(|source| Error::Io { action: "start threads for", path: "the run".into(), source })?;
    let job = Job { source: &source, begin, arguments, retention, output };
    let report = runtime.block_on(drive::drive(job));
    // Tasks of a package that do not heed their cancellation keep threads; the process does not wait for them.
    runtime.shutdown_background();
    let report = report?;
    let finished = Finished::new(&report, &source, arguments.database.as_deref());
    output.answer(&finished, |paint| finished.text(paint))?;
    Ok(finished.exit_code())
}
