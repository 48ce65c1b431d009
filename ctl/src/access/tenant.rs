//! `tenant add` and `tenant list`.
//!
//! A tenant is a name. The tenant `public` is always there, and no command removes a tenant.

use cloacina::TenantRecord;
use serde::Serialize;
use utoipa::ToSchema;

use super::ask::ask;
use crate::cli::{ActorArgs, TenantAddArgs, TenantListArgs};
use crate::config::Config;
use crate::document::Document;
use crate::error::Error;
use crate::exit;
use crate::output::Output;

/// The tenants of a database.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Listed {
    /// The tenants, by name.
    tenants: Vec<TenantRecord>,
}

impl Document for Listed {}
impl Document for TenantRecord {}

/// Makes a tenant.
pub(crate) fn add(arguments: &TenantAddArgs, output: &Output, config: &Config) -> Result<u8, Error> {
    let TenantAddArgs { name, database, actor } = arguments;
    let made = ask((database, actor), None, (output, config), async |access| access.tenant_add(name).await)?;
    output.answer(&made, |_| format!("the tenant {} is there\n", made.name))?;
    Ok(exit::SUCCESS)
}

/// Lists the tenants.
pub(crate) fn list(arguments: &TenantListArgs, output: &Output, config: &Config) -> Result<u8, Error> {
    let by = ActorArgs::default();
    let tenants = ask((&arguments.database, &by), None, (output, config), async |access| access.tenants().await)?;
    let listed = Listed { tenants };
    output.answer(&listed, |paint| {
        let row = |tenant: &TenantRecord| {
            let made = tenant.created_at.map_or_else(|| "always there".to_owned(), |at| paint.moment(at));
            vec![tenant.name.clone(), made, tenant.created_by.clone().unwrap_or_default()]
        };
        let header = ["tenant", "made", "by"].map(str::to_owned).to_vec();
        paint.columns([header].into_iter().chain(listed.tenants.iter().map(row)), "")
    })?;
    Ok(exit::SUCCESS)
}
