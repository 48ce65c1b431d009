//! `profile list`: the servers that the user works on.
//!
//! A credential is named by its kind, and never shown.

use serde::Serialize;
use utoipa::ToSchema;

use super::store::Profiles;
use crate::cli::ProfileListArgs;
use crate::config::Config;
use crate::document::Document;
use crate::error::Error;
use crate::exit;
use crate::output::Output;

/// The profiles of the user.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Listed {
    /// The profiles, by name.
    profiles: Vec<Row>,
}

/// A profile.
#[derive(Debug, Serialize, ToSchema)]
struct Row {
    /// Its name.
    name: String,
    /// The address of its server.
    server: String,
    /// `api_key` or `session`. Absent if it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    credential: Option<&'static str>,
    /// Whether it is used where no database and no server is named.
    is_active: bool,
}

impl Document for Listed {}

/// Lists the profiles.
pub(crate) fn list(_: &ProfileListArgs, output: &Output, config: &Config) -> Result<u8, Error> {
    let profiles = Profiles::load(config)?;
    let rows = profiles.all().map(|(name, profile)| Row {
        name: name.to_owned(),
        server: profile.url.clone(),
        credential: profile.kept.as_ref().map(super::Kept::as_str),
        is_active: profiles.active() == Some(name),
    });
    let listed = Listed { profiles: rows.collect() };
    output.answer(&listed, |paint| {
        if listed.profiles.is_empty() {
            return "no profiles\n".to_owned();
        }
        let row = |row: &Row| {
            let mark = if row.is_active { "in use" } else { "" };
            vec![row.name.clone(), row.server.clone(), row.credential.unwrap_or_default().to_owned(), mark.to_owned()]
        };
        let header = ["profile", "server", "credential", ""].map(str::to_owned).to_vec();
        paint.columns([header].into_iter().chain(listed.profiles.iter().map(row)), "")
    })?;
    Ok(exit::SUCCESS)
}
