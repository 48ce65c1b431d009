//! `profile use`: which server is meant where nothing is named.

use serde::Serialize;
use utoipa::ToSchema;

use super::store::Profiles;
use crate::cli::ProfileUseArgs;
use crate::config::Config;
use crate::document::Document;
use crate::error::Error;
use crate::exit;
use crate::output::Output;

/// The profile that is used from now on.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Used {
    /// The name of the profile. Absent if commands work on the default database again.
    #[serde(skip_serializing_if = "Option::is_none")]
    profile: Option<String>,
}

impl Document for Used {}

/// Lets another profile count where none is named.
pub(crate) fn use_one(arguments: &ProfileUseArgs, output: &Output, config: &Config) -> Result<u8, Error> {
    let mut profiles = Profiles::load(config)?;
    profiles.activate(arguments.name.as_deref())?;
    let used = Used { profile: arguments.name.clone() };
    output.answer(&used, |_| match &used.profile {
        Some(name) => format!("the profile {name} is used where no database and no server is named\n"),
        None => "no profile is used where nothing is named\n".to_owned(),
    })?;
    Ok(exit::SUCCESS)
}
