//! `config show`: the value of each setting, and where it comes from.

use std::path::Path;

use serde::Serialize;
use utoipa::ToSchema;

use super::settings::{Origin, Settings};
use super::surroundings::Config;
use super::table::{SETTINGS, Setting};
use crate::cli::ConfigShowArgs;
use crate::database::Database;
use crate::document::Document;
use crate::error::Error;
use crate::exit;
use crate::output::{Output, Paint};

/// The settings, and where they come from.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Shown {
    /// The file of settings that was read. Absent if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    /// The settings, by sections.
    settings: Vec<Row>,
}

/// A setting.
#[derive(Debug, Serialize, ToSchema)]
struct Row {
    /// The section and the key, with a point between them.
    name: &'static str,
    /// The values: one, or all of a list. A password is hidden. Empty if nothing is set.
    values: Vec<String>,
    /// Where the value comes from: `file`, `variable` or `default`.
    origin: &'static str,
    /// The line of the file. Absent if the value comes from elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
    /// The name of the variable. Absent if the value comes from elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    variable: Option<String>,
}

impl Document for Shown {}

/// Shows the settings.
pub(crate) fn show(arguments: &ConfigShowArgs, output: &Output, config: &Config) -> Result<u8, Error> {
    let settings = config.settings()?;
    let database = Database::choose(None, config)?;
    let rows = SETTINGS.iter().map(|setting| row(setting, settings, &database));
    let shown = Shown { file: settings.file.as_deref().map(path), settings: rows.collect() };
    output.answer(&shown, |paint| shown.text(arguments.origin, paint))?;
    Ok(exit::SUCCESS)
}

fn path(path: &Path) -> String {
    path.display().to_string()
}

fn row(setting: &Setting, settings: &Settings, database: &Database) -> Row {
    let name = setting.name;
    let chosen = settings.chosen(name);
    let values = match (name, chosen) {
        ("database.url", _) => vec![database.shown()],
        (_, Some(chosen)) => chosen.texts.clone(),
        (_, None) => Some(setting.default.to_owned()).filter(|text| !text.is_empty()).into_iter().collect(),
    };
    let row = Row { name, values, origin: "default", line: None, variable: None };
    match chosen.map(|chosen| &chosen.origin) {
        Some(Origin::File { line, .. }) => Row { origin: "file", line: Some(*line), ..row },
        Some(Origin::Variable { name }) => Row { origin: "variable", variable: Some(name.clone()), ..row },
        None => row,
    }
}

impl Shown {
    fn text(&self, has_origins: bool, paint: Paint) -> String {
        let header = [Some("setting"), Some("value"), has_origins.then_some("from")];
        let header: Vec<String> = header.into_iter().flatten().map(|title| paint.bold(title)).collect();
        let rows = self.settings.iter().map(|row| {
            let mut cells = vec![row.name.to_owned(), row.values.join(", ")];
            cells.extend(has_origins.then(|| self.origin(row)));
            cells
        });
        paint.columns([header].into_iter().chain(rows), "")
    }

    fn origin(&self, row: &Row) -> String {
        match (&self.file, row.line, &row.variable) {
            (Some(file), Some(line), _) => format!("{file}, line {line}"),
            (_, _, Some(variable)) => variable.clone(),
            _ => row.origin.to_owned(),
        }
    }
}
