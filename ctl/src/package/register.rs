//! `package register`: archives become registered versions, in the running engine or in the database.
//! What is shown of a version that was registered is the same for a workflow as data.
//!
//! Each archive is its own registration: one that is refused does not undo those before it, which have been shown.

use std::path::Path;

use cloacina::{PackageAnswer, PackageCommand, PackageRecord, PackageState, PackageWarning, Registration, SocketError};
use serde::Serialize;
use utoipa::ToSchema;

use super::signature::read_beside;
use crate::cli::RegisterArgs;
use crate::config::Config;
use crate::document::Document;
use crate::error::Error;
use crate::exit;
use crate::output::Output;
use crate::place::Place;
use crate::runs::with_engine;

/// A version that was registered, or was registered before.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Registered {
    /// The file of the archive, or of the definition.
    file: String,
    #[serde(flatten)]
    package: PackageRecord,
    #[serde(flatten)]
    registration: Registration,
    /// Whether a running engine has it now.
    is_living: bool,
}

impl Document for Registered {}

/// Registers archives.
pub(crate) fn register(arguments: &RegisterArgs, output: &Output, config: &Config) -> Result<u8, Error> {
    let place = Place::choose(&arguments.database, config)?;
    let by = place.actor(&arguments.actor, config)?;
    let activate = match (arguments.activate, arguments.no_activate) {
        (true, _) => Some(true),
        (_, true) => Some(false),
        (false, false) => None,
    };
    with_engine(&place, output, async |engine| {
        for file in &arguments.files {
            let tenant = arguments.tenant.clone();
            let signatures = read_beside(file)?;
            let signatures = signatures.iter().map(|bytes| String::from_utf8_lossy(bytes).into_owned()).collect();
            let command = PackageCommand::Register { tenant, activate, signatures, is_build: false };
            let answer = engine.register(command, file, &by).await.map_err(Error::of_file(file))?;
            let registered = Registered::new(file, answer, engine.is_living())?;
            match arguments.files.len() {
                1 => output.answer(&registered, |_| registered.text())?,
                _ => output.part(&registered, |_| registered.text())?,
            }
            registered.note("package", &place, output);
        }
        Ok(exit::SUCCESS)
    })
}

impl Registered {
    /// What an engine answered about a file.
    pub(crate) fn new(file: &Path, answer: PackageAnswer, is_living: bool) -> Result<Self, Error> {
        let PackageAnswer { package, registration, .. } = answer;
        let untold = || SocketError::Message { reason: "the engine does not say what it registered".to_owned() };
        let registration = registration.ok_or_else(untold)?;
        Ok(Self { file: file.display().to_string(), package, registration, is_living })
    }

    /// Tells what is to be done if new runs do not get the version, by that noun of the command line.
    pub(crate) fn note(&self, noun: &str, place: &Place, output: &Output) {
        let PackageRecord { tenant, name, version, state, .. } = &self.package;
        if *state != PackageState::Active {
            let label = format!("{tenant}::{name}@{version}");
            let activate = format!("cloacina-ctl {noun} activate {label}{}", place.option());
            output.note(&format!("new runs do not get it yet: {activate}"));
        }
    }

    pub(crate) fn text(&self) -> String {
        let PackageRecord { tenant, name, version, digest, state, workflows, needs, .. } = &self.package;
        let done = if self.registration.is_new { "registered" } else { "was registered before:" };
        let mut text = format!("{done} {tenant}::{name}@{version}, {state}\n  digest    {digest}\n");
        for workflow in workflows {
            text.push_str(&format!("  workflow  {workflow}\n"));
        }
        if !needs.is_empty() {
            text.push_str(&format!("  needs     {}\n", needs.join(", ")));
        }
        for PackageWarning { code, message, .. } in &self.registration.warnings {
            text.push_str(&format!("  warning   {code}: {message}\n"));
        }
        text
    }
}
