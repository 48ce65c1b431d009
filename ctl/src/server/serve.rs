//! `cloacina-ctl serve`: the engine of a database, and its HTTP interface.

use cloacina_server::{Access, Listener, Options, RequestRates, TlsFiles};

use super::connections::connections_max;
use super::life::{Living, Start};
use crate::actor;
use crate::cli::{ActorArgs, ServeArgs};
use crate::config::Config;
use crate::error::Error;
use crate::exit;
use crate::explain::PAGES;
use crate::output::Output;
use crate::place::Place;

/// Serves until somebody asks the program to stop.
pub(crate) fn serve(arguments: &ServeArgs, output: &Output, config: &Config) -> Result<u8, Error> {
    let database = Place::database(&arguments.database, config)?;
    let access = match arguments.no_login {
        true => Access::Loopback { actor: actor::name(&ActorArgs::default(), config) },
        false => Access::Login { token_key: arguments.token_key.clone() },
    };
    let rates = match arguments.no_login {
        true => RequestRates::UNLIMITED,
        false => RequestRates { credential: arguments.credential_rate, tenant: arguments.tenant_rate },
    };
    let tls = TlsFiles::of(arguments.tls_certificate.clone(), arguments.tls_key.clone());
    let tls = tls.map_err(cloacina_server::Error::from)?;
    let cors_origins = if arguments.no_login { Vec::new() } else { arguments.cors_origin.clone() };
    let options = Options {
        listen: arguments.listen,
        access,
        tls,
        cors_origins,
        rates,
        connections_max: connections_max(arguments.connections),
        drain: arguments.engine.drain,
        pages: PAGES,
    };
    let start = Start {
        listener: Listener::bind(options)?,
        database: &database,
        isolation: &arguments.isolation,
        engine: &arguments.engine,
    };
    super::life::runtime()?.block_on(async {
        let living = Living::start(start, output).await?;
        let started = living.started();
        output.part(&started, |paint| started.text(paint))?;
        living.serve(output).await
    })?;
    Ok(exit::SUCCESS)
}
