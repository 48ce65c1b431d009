//! Where packages run that this program runs: from the arguments to the engine's options.
//!
//! Processes of packages are this program again, in a role of which only this file and the start of the command line
//! know the name.

use cloacina::{Builder, HostLimits, HostProgram, Isolation, Sandbox};

use crate::cli::{IsolationArgs, Tightness, Where};

/// The first argument that makes this program a package host.
pub(crate) const PACKAGE_HOST: &str = "package-host";

/// Has the engine run packages where the arguments say.
pub(crate) fn isolate(builder: Builder, arguments: &IsolationArgs) -> Builder {
    let limits = HostLimits { memory_mib: Some(arguments.package_memory), ..HostLimits::default() };
    let builder = builder.package_host(HostProgram::this(PACKAGE_HOST)).host_limits(limits);
    let sandbox = match arguments.sandbox {
        Tightness::Dev => Sandbox::Dev,
        Tightness::Server => Sandbox::Server,
    };
    let builder = builder.sandbox(sandbox, arguments.require_sandbox).allow_needs(arguments.allow_need.clone());
    builder.isolation(match arguments.isolation {
        Where::Process => Isolation::Process,
        Where::Inline => Isolation::Inline,
    })
}
