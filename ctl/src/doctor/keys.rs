//! The user's keys for signing packages: whether they can be read, by their owner alone.

use std::path::Path;

use super::check::Check;
use crate::config::Config;
use crate::error::Error;
use crate::key::Ring;

pub(super) fn check(config: &Config) -> Check {
    match found(config) {
        Ok(check) => check,
        Err(error) => Check::of_error("keys", &error),
    }
}

fn found(config: &Config) -> Result<Check, Error> {
    let ring = match Ring::choose(None, config) {
        Err(Error::NoKeyFolder) => return Ok(Check::ok("keys", "the user has no folder for keys")),
        ring => ring?,
    };
    let names = ring.names()?;
    for (name, has_secret) in &names {
        ring.public(name)?;
        let (secret, _) = ring.paths(name)?;
        if *has_secret && is_open_to_others(&secret) {
            let remedy = format!("`chmod 600 {}`; make a new key if somebody else may have read it", secret.display());
            return Ok(Check::fail("keys", format!("others can read {}", secret.display()), remedy));
        }
    }
    Ok(Check::ok("keys", format!("{} in {}", names.len(), ring.folder().display())))
}

#[cfg(unix)]
fn is_open_to_others(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;

    path.metadata().is_ok_and(|found| found.permissions().mode() & 0o077 != 0)
}

#[cfg(not(unix))]
fn is_open_to_others(_: &Path) -> bool {
    false
}
