//! `cloacina-ctl dev`: a server for development, with packages that are built when it starts, and again when they are saved.
//!
//! The address is taken before the packages are built, and printed once the first request can be answered. A thread builds the
//! packages again; it ends before the command does.

use std::path::{Path, PathBuf};
use std::thread;

use cloacina::{Activation, Engine, Upload};
use cloacina_server::{Access, Listener, Options, RequestRates};
use tempfile::TempDir;

use super::connections::connections_max;
use super::life::{Living, Start, Started};
use super::watch::Watch;
use crate::actor;
use crate::cli::{ActorArgs, CONNECTIONS, DevArgs};
use crate::config::Config;
use crate::database::Database;
use crate::error::Error;
use crate::exit;
use crate::explain::PAGES;
use crate::output::{Output, Warning};
use crate::package::{Source, place};

/// The file of the database in the data folder.
const DATABASE: &str = "cloacina.db";

/// Serves until somebody asks the program to stop.
pub(crate) fn dev(arguments: &DevArgs, output: &Output, config: &Config) -> Result<u8, Error> {
    let (database, temporary) = chosen(arguments.data.as_deref(), config)?;
    let open = |path: &Path| Source::open(path, &arguments.cargo, output, config);
    let places = arguments.paths.iter().map(|path| found(path)).collect::<Result<Vec<_>, _>>()?;
    let by = actor::name(&ActorArgs::default(), config);
    // The address is taken before anything that takes long.
    let listener = Listener::bind(Options {
        listen: arguments.listen,
        access: Access::Loopback { actor: by.clone() },
        tls: None,
        cors_origins: Vec::new(),
        rates: RequestRates::UNLIMITED,
        connections_max: connections_max(CONNECTIONS),
        drain: arguments.engine.drain,
        pages: PAGES,
    })?;
    let sources = places.iter().map(|path| open(path)).collect::<Result<Vec<_>, _>>()?;
    let start = Start { listener, database: &database, isolation: &arguments.isolation, engine: &arguments.engine };
    let runtime = super::life::runtime()?;
    let living = runtime.block_on(Living::start(start, output))?;
    let register = |source| runtime.block_on(register(&living.engine, source, &by, output));
    let mut workflows = Vec::new();
    for source in sources {
        workflows.extend(register(source)?);
    }
    let started = living.started();
    output.part(&started, |paint| started.text(paint))?;
    output.note(&first_commands(&started, workflows.first()));
    if temporary.is_some() {
        output.note("the data is removed at the end; --data FOLDER keeps it");
    }
    let (engine, handle) = (living.engine.clone(), runtime.handle().clone());
    thread::scope(|scope| {
        let watch = match places.is_empty() {
            true => None,
            false => Some(Watch::begin(scope, &places, output, |path| {
                let built = open(path).and_then(|source| handle.block_on(self::register(&engine, source, &by, output)));
                if let Err(error) = built {
                    output.error(&error);
                    output.note("new runs get what they got before; the next save builds again");
                }
            })?),
        };
        let served = runtime.block_on(living.serve(output));
        drop(watch);
        served
    })?;
    Ok(exit::SUCCESS)
}

/// The place of a package as the file system names it.
fn found(path: &Path) -> Result<PathBuf, Error> {
    path.canonicalize().map_err(|source| Error::Io { action: "find", path: path.into(), source })
}

/// The database in the folder of the data; with that folder if it is a temporary one.
fn chosen(folder: Option<&Path>, config: &Config) -> Result<(Database, Option<TempDir>), Error> {
    let temporary = if folder.is_none() { Some(place::temporary_folder()?) } else { None };
    let folder = folder.or(temporary.as_ref().map(TempDir::path)).unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).map_err(|source| Error::Io { action: "make", path: folder.into(), source })?;
    let database = Database::choose(Some(&folder.join(DATABASE).to_string_lossy()), config)?;
    Ok((database, temporary))
}

/// Registers a package so that new runs get it. Returns its workflows.
async fn register(engine: &Engine, source: Source, by: &str, output: &Output) -> Result<Vec<String>, Error> {
    let Source { archive, signatures, .. } = source;
    let actor = by.to_owned();
    let upload = Upload { activation: Activation::Now, signatures, actor, is_build: true, ..Upload::new(archive) };
    let registered = engine.registry().register(upload).await?;
    for warning in &registered.warnings {
        output.warning(&Warning::of_package(warning));
    }
    let label = format!("{}::{}@{}", registered.tenant, registered.package, registered.version);
    if registered.is_new {
        output.note(&format!("new runs get {label} ({})", registered.digest));
    } else {
        output.note(&format!("nothing has changed: new runs get {label}"));
    }
    Ok(registered.workflows)
}

fn first_commands(started: &Started, workflow: Option<&String>) -> String {
    let url = started.url();
    match workflow {
        Some(workflow) => format!(
            "run it: curl -H 'content-type: application/json' {url}/api/v1/runs -d '{{\"workflow\": \"{workflow}\"}}'"
        ),
        None => format!("register a package: curl -F archive=@FILE.cloacina {url}/api/v1/packages"),
    }
}
