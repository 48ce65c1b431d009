//! `key list`: the keys of the user's folder.
//!
//! A file that is not a key is listed with its error, so that it does not hide the other keys.

use serde::Serialize;
use utoipa::ToSchema;

use super::Ring;
use crate::cli::KeyListArgs;
use crate::config::Config;
use crate::document::Document;
use crate::error::Error;
use crate::exit;
use crate::output::Output;

/// A key of the folder.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Listed {
    /// The name of the key.
    name: String,
    /// The id of the key, 16 hexadecimal digits. Absent if its file cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    /// Whether this user can sign with the key.
    can_sign: bool,
    /// Why its file cannot be read. Absent if it can.
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

impl Document for Vec<Listed> {}

/// Lists the keys.
pub(crate) fn list(arguments: &KeyListArgs, output: &Output, config: &Config) -> Result<u8, Error> {
    let ring = Ring::choose(arguments.ring.keys.as_deref(), config)?;
    let mut keys = Vec::new();
    for (name, can_sign) in ring.names()? {
        let (id, problem) = match ring.public(&name) {
            Ok(key) => (Some(key.id().to_string()), None),
            Err(error) => (None, Some(error.to_string())),
        };
        keys.push(Listed { name, id, can_sign, problem });
    }
    output.answer(&keys, |paint| {
        if keys.is_empty() {
            return format!("no keys in {}; make one: cloacina-ctl key generate NAME\n", ring.folder().display());
        }
        let rows = keys.iter().map(|key| {
            let id = key.id.as_deref().or(key.problem.as_deref()).unwrap_or_default();
            let can_sign = if key.can_sign { "can sign" } else { "verifies only" };
            format!("{:20}  {id:16}  {}\n", key.name, paint.dim(can_sign))
        });
        rows.collect()
    })?;
    Ok(exit::SUCCESS)
}
