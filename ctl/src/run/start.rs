//! From the arguments of `run` to its exit code.

use std::path::Path;

use tempfile::TempDir;

use super::drive::{self, Begin, Job};
use super::input;
use super::report::Finished;
use crate::actor;
use crate::cli::RunArgs;
use crate::config::Config;
use crate::database::Database;
use crate::error::Error;
use crate::output::{Output, Warning};
use crate::package::{Source, place};
use crate::place::Place;
use crate::runs::{find, note_skipped_leaves, summary};

/// The file of a database that is removed at the end.
const EPHEMERAL: &str = "run.db";

/// Runs a workflow.
pub(crate) fn run(arguments: &RunArgs, output: &Output, config: &Config) -> Result<u8, Error> {
    // What costs nothing to check comes before the build.
    let input = input::read(arguments.input.as_deref(), &arguments.secret)?;
    let (database, temporary) = chosen(arguments, config)?;
    let kept = Place::from(database.clone());
    let resume = arguments.resume.as_deref();
    let resume = resume.map(|run| find(&mut kept.source_needed()?, run)).transpose()?;
    let open = |path: &Path| Source::open(path, &arguments.cargo, output, config);
    let (source, begin) = match resume {
        // The database has what the run is pinned to.
        Some(run) => (arguments.path.as_deref().map(open).transpose()?, Begin::Resume(run)),
        None => {
            let source = open(arguments.path.as_deref().unwrap_or(Path::new(".")))?;
            let workflow = source.full_name(source.workflow(arguments.workflow.as_deref())?);
            (Some(source), Begin::Start { workflow, input })
        }
    };
    for warning in source.iter().flat_map(|source| cloacina_packager::warnings(source.package.descriptor())) {
        output.warning(&Warning::of_package(&warning));
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime =
        runtime.map_err(|source| Error::Io { action: "start threads for", path: "the run".into(), source })?;
    let by = actor::name(&arguments.actor, config);
    let job = Job { source: source.as_ref(), begin, arguments, database: &database, by: &by, output };
    let report = runtime.block_on(drive::drive(job));
    // Tasks of a package that ignore their cancellation keep threads; the process does not wait for them.
    runtime.shutdown_background();
    let report = report?;
    let finished = Finished::new(&report, summary(&report, &kept)?, temporary.is_none().then(|| database.shown()));
    output.answer(&finished, |paint| finished.text(paint))?;
    note_skipped_leaves(&report, temporary.is_none().then_some(&kept), output);
    output.note(&match temporary {
        None => format!("the run is kept: cloacina-ctl runs show {}{}", report.id, database.option()),
        Some(_) => "the run was kept nowhere, as --ephemeral says".to_owned(),
    });
    Ok(finished.exit_code())
}

/// The database of the run; with its folder if it is a temporary one.
fn chosen(arguments: &RunArgs, config: &Config) -> Result<(Database, Option<TempDir>), Error> {
    if !arguments.ephemeral {
        return Ok((Place::database(&arguments.database, config)?, None));
    }
    let folder = place::temporary_folder()?;
    let file = folder.path().join(EPHEMERAL);
    Ok((Database::choose(Some(&file.to_string_lossy()), config)?, Some(folder)))
}
