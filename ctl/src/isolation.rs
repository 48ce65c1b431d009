//! Where packages run that this program runs: from the arguments to the engine's options.
//!
//! Processes of packages are this program again, in a role of which only this file and the start of the command line
//! know the name.

use std::collections::BTreeSet;

use cloacina::{Builder, Client, Engine, HostLimits, HostProgram, Isolation, Sandbox, TENANT_DEFAULT};

use crate::cli::{IsolationArgs, Tightness, Where};
use crate::error::Error;
use crate::output::Output;

/// The first argument that makes this program a package host.
pub(crate) const PACKAGE_HOST: &str = "package-host";

/// Has the engine run packages where the arguments say.
pub(crate) fn isolate(builder: Builder, arguments: &IsolationArgs) -> Builder {
    let limits = HostLimits {
        memory_mib: Some(arguments.package_memory),
        scratch_mib: Some(arguments.package_scratch),
        ..HostLimits::default()
    };
    let builder = builder.package_host(HostProgram::this(PACKAGE_HOST)).host_limits(limits);
    let builder = builder
        .sandbox(sandbox(arguments.sandbox), arguments.require_sandbox)
        .allow_needs(arguments.allow_need.clone());
    let builder = builder.isolation(match arguments.isolation {
        Where::Process => Isolation::Process,
        Where::Inline => Isolation::Inline,
    });
    let builder = arguments.inline.iter().fold(builder, |builder, name| builder.isolation_of(name, Isolation::Inline));
    arguments.inline_signer.iter().fold(builder, |builder, key| builder.inline_signer(key))
}

/// Refuses the name of a package to load into this program if no such package exists. The engine itself looks for
/// signers, and takes packages for what may yet come.
pub(crate) fn refuse_unknown(engine: &Engine, arguments: &IsolationArgs) -> Result<(), Error> {
    if arguments.inline.is_empty() {
        return Ok(());
    }
    let packages = engine.registry().list();
    for name in arguments.inline.iter().filter(|name| !name.ends_with('*')) {
        let (tenant, package) = name.split_once("::").unwrap_or((TENANT_DEFAULT, name));
        if !packages.iter().any(|known| known.name == package && (tenant == "*" || known.tenant == tenant)) {
            let known: BTreeSet<_> = packages.iter().map(|known| format!("{}::{}", known.tenant, known.name)).collect();
            return Err(Error::NothingInline { name: name.clone(), available: known.into_iter().collect() });
        }
    }
    Ok(())
}

/// Says that another engine decides, if something was said that it would have to know.
pub(crate) fn note_living(client: &Client, arguments: &IsolationArgs, output: &Output) {
    if is_said(arguments) {
        let pid = client.pid();
        output.note(&format!(
            "the engine in process {pid} drives the database: the options of isolation are those with which that engine was started"
        ));
    }
}

/// Says the same of a server.
pub(crate) fn note_server(arguments: &IsolationArgs, output: &Output) {
    if is_said(arguments) {
        output.note("the run is on a server: the options of isolation are those with which that server was started");
    }
}

fn is_said(arguments: &IsolationArgs) -> bool {
    arguments.isolation != Where::default()
        || !arguments.inline.is_empty()
        || !arguments.inline_signer.is_empty()
        || !arguments.allow_need.is_empty()
}

/// The sandbox that an argument names.
pub(crate) fn sandbox(tightness: Tightness) -> Sandbox {
    match tightness {
        Tightness::Dev => Sandbox::Dev,
        Tightness::Server => Sandbox::Server,
    }
}
