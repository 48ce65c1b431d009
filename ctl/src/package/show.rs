//! `package show`: one version, and everything that happened to the versions of its package.
//!
//! Of a package of which no version is left, only what happened is shown.

use cloacina::{PackageEvent, RegistryError};
use serde::Serialize;
use utoipa::ToSchema;

use super::living::{EngineView, Living};
use super::version::{VersionView, event_row};
use crate::cli::PackageShowArgs;
use crate::config::Config;
use crate::document::Document;
use crate::error::Error;
use crate::exit;
use crate::output::{Output, Paint};
use crate::place::Place;

/// A version of a package, and what happened to it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Shown {
    /// The engine of the database.
    engine: EngineView,
    /// The version, with the fields that it has in the list. Absent once it is not registered any longer.
    #[serde(skip_serializing_if = "Option::is_none")]
    package: Option<VersionView>,
    /// What happened to it, in order.
    events: Vec<PackageEvent>,
}

impl Document for Shown {}

/// Shows a version.
pub(crate) fn show(arguments: &PackageShowArgs, output: &Output, config: &Config) -> Result<u8, Error> {
    let place = Place::choose(&arguments.version.database, config)?;
    let name = &arguments.version.package;
    let unknown = || RegistryError::UnknownPackage { name: name.clone(), known: Vec::new() };
    let mut source = place.source_if_any()?.ok_or_else(unknown)?;
    let found = source.package(&arguments.version.package);
    let events = source.package_events(&arguments.version.package)?;
    let mut living = Living::ask(&place, &mut source, output)?;
    let package = match found {
        Ok(record) => Some(VersionView::new(record, &mut living)),
        Err(error) if error.code() == unknown().code() && !events.is_empty() => None,
        Err(error) => return Err(error),
    };
    let shown = Shown { engine: living.engine, package, events };
    output.answer(&shown, |paint| shown.text(paint))?;
    Ok(exit::SUCCESS)
}

impl Shown {
    fn text(&self, paint: Paint) -> String {
        let mut text = match &self.package {
            Some(package) => package.text(self.engine, paint),
            None => "no version of it is registered\n".to_owned(),
        };
        let header = ["at", "version", "what happened", "by", ""].map(str::to_owned).to_vec();
        text.push('\n');
        text.push_str(
            &paint.columns([header].into_iter().chain(self.events.iter().map(|event| event_row(event, paint))), ""),
        );
        text
    }
}
