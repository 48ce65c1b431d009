//! `token create`, `list` and `revoke`: the keys with which programs ask a server.
//!
//! A key is printed once, when it is made. Afterwards the database has its digest alone.

use cloacina::{ApiKeyRecord, NewKey, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

use super::ask::ask;
use crate::cli::{ActorArgs, TokenCreateArgs, TokenListArgs, TokenRevokeArgs};
use crate::config::Config;
use crate::document::Document;
use crate::error::Error;
use crate::exit;
use crate::output::Output;
use crate::runs::moment;

/// A key that was made.
#[derive(Serialize, ToSchema)]
pub(crate) struct Created {
    /// The key. It is shown this once, and kept nowhere.
    key: String,
    /// What is kept of it.
    #[serde(flatten)]
    record: ApiKeyRecord,
}

/// The keys of a database.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Listed {
    /// The keys, by id; revoked ones too.
    keys: Vec<ApiKeyRecord>,
}

impl Document for Created {}
impl Document for Listed {}
impl Document for ApiKeyRecord {}

/// Makes a key.
pub(crate) fn create(arguments: &TokenCreateArgs, output: &Output, config: &Config) -> Result<u8, Error> {
    let TokenCreateArgs { name, role, expires, scope, database, actor } = arguments;
    let now = Timestamp::now();
    let expires_at = expires.as_deref().map(|text| moment::until("--expires", text, now)).transpose()?;
    let new = NewKey { name: name.clone(), tenant: scope.tenant.clone(), role: role.role(), expires_at };
    let (key, record) = ask((database, actor), None, (output, config), async |access| access.key_add(new).await)?;
    let created = Created { key, record };
    output.answer(&created, |_| format!("{}\n", created.key))?;
    output.note("the key is not shown again");
    Ok(exit::SUCCESS)
}

/// Lists the keys.
pub(crate) fn list(arguments: &TokenListArgs, output: &Output, config: &Config) -> Result<u8, Error> {
    let by = ActorArgs::default();
    let keys = ask((&arguments.database, &by), None, (output, config), async |access| access.keys().await)?;
    let listed = Listed { keys };
    let now = Timestamp::now();
    output.answer(&listed, |paint| {
        let row = |key: &ApiKeyRecord| {
            let state = match (key.revoked_at, key.expires_at) {
                (Some(_), _) => "revoked",
                (None, Some(at)) if at <= now => "expired",
                (None, _) => "",
            };
            let tenant = key.tenant.as_deref().unwrap_or("every tenant");
            let used = key.used_at.map_or_else(|| "never".to_owned(), |at| paint.moment(at));
            vec![key.id.clone(), key.name.clone(), tenant.to_owned(), key.role.clone(), used, state.to_owned()]
        };
        let header = ["id", "name", "tenant", "role", "used", "state"].map(str::to_owned).to_vec();
        paint.columns([header].into_iter().chain(listed.keys.iter().map(row)), "")
    })?;
    Ok(exit::SUCCESS)
}

/// Refuses a key from now on.
pub(crate) fn revoke(arguments: &TokenRevokeArgs, output: &Output, config: &Config) -> Result<u8, Error> {
    let TokenRevokeArgs { id, database, actor } = arguments;
    let key = ask((database, actor), None, (output, config), async |access| access.key_revoke(id).await)?;
    output.answer(&key, |_| format!("the key {} ({}) is refused from now on\n", key.name, key.id))?;
    Ok(exit::SUCCESS)
}
