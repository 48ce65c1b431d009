//! `package register`: archives become registered versions, in the running engine or in the database.
//!
//! Each archive is its own registration: one that is refused does not undo those before it, which have been shown.

use cloacina::{PackageCommand, needs_of};
use cloacina_packager::ReadOptions;
use serde::Serialize;
use utoipa::ToSchema;

use super::{change::ChangedView, place, signature::read_beside};
use crate::actor;
use crate::cli::RegisterArgs;
use crate::config::Config;
use crate::database::Database;
use crate::document::Document;
use crate::error::Error;
use crate::exit;
use crate::output::{Output, Warning};
use crate::runs::with_engine;

/// A version that was registered, or was registered before.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Registered {
    /// The file of the archive.
    file: String,
    #[serde(flatten)]
    package: ChangedView,
    /// Whether the tenant did not have this content before.
    is_new: bool,
    /// What it says that it needs of the world outside, in the words in which it is allowed.
    needs: Vec<String>,
    /// What the package declares and the engine does not execute.
    warnings: Vec<Warning>,
    /// Whether a running engine has it now.
    is_living: bool,
}

impl Document for Registered {}

/// Registers archives.
pub(crate) fn register(arguments: &RegisterArgs, output: &Output, config: &Config) -> Result<u8, Error> {
    let database = Database::choose(arguments.database.database.as_deref(), config)?;
    let by = actor::name(&arguments.actor, config);
    let activate = match (arguments.activate, arguments.no_activate) {
        (true, _) => Some(true),
        (_, true) => Some(false),
        (false, false) => None,
    };
    with_engine(&database, output, async |engine| {
        for file in &arguments.files {
            let (archive, tenant) = (place::read(file)?, arguments.tenant.clone());
            let needs = needs(&archive);
            let signatures = read_beside(file)?;
            let signatures = signatures.iter().map(|bytes| String::from_utf8_lossy(bytes).into_owned()).collect();
            let command = PackageCommand::Register { tenant, activate, signatures, is_build: false };
            let package = engine.perform_package(command, archive, &by).await;
            let package = package.map_err(Error::of_file(file))?;
            let registered = Registered {
                file: file.display().to_string(),
                is_new: package.is_new == Some(true),
                warnings: package.warnings.iter().map(Warning::of_answer).collect(),
                package: ChangedView::new(&package),
                needs,
                is_living: engine.is_living(),
            };
            match arguments.files.len() {
                1 => output.answer(&registered, |_| registered.text())?,
                _ => output.part(&registered, |_| registered.text())?,
            }
            if package.state != "active" {
                let label = format!("{}::{}@{}", package.tenant, package.name, package.version);
                output.note(&format!(
                    "new runs do not get it yet: cloacina-ctl package activate {label}{}",
                    database.option()
                ));
            }
        }
        Ok(exit::SUCCESS)
    })
}

/// What the package in an archive says that it needs; one that cannot be read is refused by others.
fn needs(archive: &[u8]) -> Vec<String> {
    let package = cloacina_packager::read_with(archive, &ReadOptions::default());
    package.map(|package| needs_of(package.descriptor())).unwrap_or_default()
}

impl Registered {
    fn text(&self) -> String {
        let ChangedView { tenant, name, version, content_digest, state, workflows, .. } = &self.package;
        let done = if self.is_new { "registered" } else { "was registered before:" };
        let mut text = format!("{done} {tenant}::{name}@{version}, {state}\n  digest    {content_digest}\n");
        for workflow in workflows {
            text.push_str(&format!("  workflow  {workflow}\n"));
        }
        if !self.needs.is_empty() {
            text.push_str(&format!("  needs     {}\n", self.needs.join(", ")));
        }
        for Warning { code, message } in &self.warnings {
            text.push_str(&format!("  warning   {code}: {message}\n"));
        }
        text
    }
}
