//! `whoami`: who the server takes the user for.

use cloacina_client::Whoami;
use serde::Serialize;
use utoipa::ToSchema;

use crate::cli::WhoamiArgs;
use crate::config::Config;
use crate::document::Document;
use crate::error::Error;
use crate::exit;
use crate::output::Output;
use crate::place::Server;
use crate::runs::runtime;

/// Who the user is on a server.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Me {
    /// The address of the server.
    server: String,
    /// The profile that names it. Absent if none does.
    #[serde(skip_serializing_if = "Option::is_none")]
    profile: Option<String>,
    /// The name that histories keep.
    actor: String,
    /// The tenant that the user sees. Absent if the user sees every tenant.
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<String>,
    /// `worker`, `viewer`, `operator` or `admin`.
    role: String,
}

impl Document for Me {}

/// Shows who the user is.
pub(crate) fn whoami(arguments: &WhoamiArgs, output: &Output, config: &Config) -> Result<u8, Error> {
    let server = Server::choose(&arguments.database, config)?.ok_or(Error::NoServer)?;
    let who = runtime()?.block_on(async { Ok::<_, Error>(server.client()?.whoami().await?) })?;
    let me = Me::new(server.url(), server.profile(), who);
    output.answer(&me, |_| me.text())?;
    Ok(exit::SUCCESS)
}

impl Me {
    pub(super) fn new(server: &str, profile: Option<&str>, who: Whoami) -> Self {
        let Whoami { actor, tenant, role, .. } = who;
        Self { server: server.to_owned(), profile: profile.map(str::to_owned), actor, tenant, role }
    }

    pub(super) fn text(&self) -> String {
        let Self { server, actor, tenant, role, .. } = self;
        let of = tenant.as_deref().unwrap_or("every tenant");
        format!("{actor}, {role} of {of}, on {server}\n")
    }
}
