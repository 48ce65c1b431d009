//! `doctor`: looks at everything in turn, and shows what was found.
//!
//! One thing that is wrong does not keep the others from being looked at.

use super::check::{Check, Diagnosis};
use super::{database, keys, machine, port, sandbox};
use crate::cli::DoctorArgs;
use crate::config::Config;
use crate::error::Error;
use crate::exit;
use crate::output::Output;
use crate::place::Place;

/// Looks at everything.
pub(crate) fn doctor(arguments: &DoctorArgs, output: &Output, config: &Config) -> Result<u8, Error> {
    let diagnosis = Diagnosis::new(checks(arguments, config));
    output.answer(&diagnosis, |paint| diagnosis.text(paint))?;
    Ok(if diagnosis.is_sound() { exit::SUCCESS } else { exit::FAILED })
}

fn checks(arguments: &DoctorArgs, config: &Config) -> Vec<Check> {
    let database = Place::database(&arguments.database, config);
    let mut checks = vec![settings(config)];
    match &database {
        Ok(database) => {
            checks.extend(database::checks(database));
            checks.push(machine::disk(database));
        }
        // The settings were looked at before.
        Err(Error::BadConfig { .. } | Error::BadSetting { .. } | Error::NoSettingsKey { .. }) => {}
        Err(error) => checks.push(Check::of_error("database", error)),
    }
    checks.extend([
        machine::open_files(),
        sandbox::check(arguments),
        keys::check(config),
        port::check(arguments.listen),
    ]);
    checks
}

fn settings(config: &Config) -> Check {
    match config.settings() {
        Ok(settings) => Check::ok("settings", settings.origin()),
        Err(error) => Check::of_error("settings", &error),
    }
}
