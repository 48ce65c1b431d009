//! What of the sandbox this system can put in force. A process of its own tries it, as nobody leaves a sandbox again.

use std::process::{Command, Stdio};

use cloacina::{Confined, Confinement, HostLimits};

use super::check::Check;
use crate::cli::{DoctorArgs, Tightness};
use crate::error::Error;
use crate::exit;
use crate::isolation::sandbox;
use crate::output::Output;

/// Tries the sandbox in a process of its own.
pub(super) fn check(arguments: &DoctorArgs) -> Check {
    let level = sandbox(arguments.sandbox).as_str();
    let confinement = match tried(level) {
        Ok(confinement) => confinement,
        Err(reason) => {
            return Check::fail(
                "sandbox",
                format!("`{level}` cannot be tried: {reason}"),
                "let this program start itself",
            );
        }
    };
    let found = format!("`{level}`: {confinement}");
    match (confinement.missing.is_empty(), arguments.require_sandbox) {
        (true, _) => Check::ok("sandbox", found),
        (false, false) => Check::warn(
            "sandbox",
            found,
            "packages run with less of a sandbox here; docs/concepts/isolation.md says what each step keeps off",
        ),
        (false, true) => Check::fail(
            "sandbox",
            found,
            "the setting `engine.require_sandbox` refuses packages here; use a system with all steps, or the sandbox `dev`",
        ),
    }
}

fn tried(level: &str) -> Result<Confinement, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut command = Command::new(program);
    command.args(["doctor", "--confine", level]).stdin(Stdio::null()).stderr(Stdio::null());
    let output = command.output().map_err(|error| error.to_string())?;
    serde_json::from_slice(&output.stdout).map_err(|_| format!("it ended with {}", output.status))
}

/// The process that goes into the sandbox, and prints what of it is in force.
pub(crate) fn confine(tightness: Tightness, output: &Output) -> Result<u8, Error> {
    let entered = Confined::bare(sandbox(tightness), HostLimits::default()).enter();
    let confinement = entered.map_err(|source| Error::Io { action: "enter", path: "the sandbox".into(), source })?;
    let text = serde_json::to_vec(&confinement).expect("invariant: it is made of texts");
    output.data(&text)?;
    Ok(exit::SUCCESS)
}
