//! `package list`: the versions of packages that a database holds, with what new runs get of each.
//!
//! The database is only looked at, beside a running engine or without one.

use cloacina::PackageFilter;
use serde::Serialize;
use utoipa::ToSchema;

use super::living::{EngineView, Living};
use super::version::VersionView;
use crate::cli::PackageListArgs;
use crate::config::Config;
use crate::document::Document;
use crate::error::Error;
use crate::exit;
use crate::output::{Output, Paint};
use crate::place::Place;

/// The versions of packages that a database holds.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Listed {
    /// The engine of the database.
    engine: EngineView,
    /// The versions.
    packages: Vec<VersionView>,
}

impl Document for Listed {}

/// Lists versions.
pub(crate) fn list(arguments: &PackageListArgs, output: &Output, config: &Config) -> Result<u8, Error> {
    let place = Place::choose(&arguments.database, config)?;
    let PackageListArgs { tenant, name, state, .. } = arguments;
    let filter = PackageFilter { tenant: tenant.clone(), name: name.clone(), state: *state, digests: None };
    let (records, mut living) = match place.source(output)? {
        Some(mut source) => (source.packages(&filter)?, Living::ask(&place, &mut source, output)?),
        None => (Vec::new(), Living::none()),
    };
    let packages = records.into_iter().map(|record| VersionView::new(record, &mut living)).collect();
    let listed = Listed { engine: living.engine, packages };
    output.answer(&listed, |paint| listed.text(paint))?;
    Ok(exit::SUCCESS)
}

impl Listed {
    fn text(&self, paint: Paint) -> String {
        if self.packages.is_empty() {
            return "no packages\n".to_owned();
        }
        let header = ["package", "version", "state", "new runs", "registered", "by", "digest"].map(str::to_owned);
        // Only a running engine knows where anything runs.
        let more = self.engine.is_asked().then(|| "runs".to_owned());
        let rows = self.packages.iter().map(|version| version.row(paint));
        paint.columns([header.into_iter().chain(more).collect()].into_iter().chain(rows), "")
    }
}
