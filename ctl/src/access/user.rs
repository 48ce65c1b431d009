//! `user add`, `list`, `disable` and `passwd`: the accounts of people.
//!
//! A password comes from a file or from stdin, and never from an argument, which every program of the machine could see.

use cloacina::{AccountRecord, NewAccount};
use serde::Serialize;
use utoipa::ToSchema;

use super::ask::ask;
use crate::cli::{ActorArgs, UserAddArgs, UserDisableArgs, UserListArgs, UserPasswdArgs};
use crate::config::Config;
use crate::document::Document;
use crate::error::Error;
use crate::exit;
use crate::output::Output;
use crate::secret_file::read_password;

/// The accounts of a database.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Listed {
    /// The accounts, by name.
    users: Vec<AccountRecord>,
}

impl Document for Listed {}
impl Document for AccountRecord {}

/// Lets a person log in.
pub(crate) fn add(arguments: &UserAddArgs, output: &Output, config: &Config) -> Result<u8, Error> {
    let UserAddArgs { name, role, scope, password, database, actor } = arguments;
    let password = read_password(&password.password_file)?;
    let new = NewAccount { name: name.clone(), tenant: scope.tenant.clone(), role: role.role(), password };
    let account = ask((database, actor), None, (output, config), async |access| access.account_add(new).await)?;
    output.answer(&account, |_| {
        let of = account.tenant.as_deref().unwrap_or("every tenant");
        format!("{} may log in as {} of {of}\n", account.name, account.role)
    })?;
    Ok(exit::SUCCESS)
}

/// Lists the accounts.
pub(crate) fn list(arguments: &UserListArgs, output: &Output, config: &Config) -> Result<u8, Error> {
    let by = ActorArgs::default();
    let users = ask((&arguments.database, &by), None, (output, config), async |access| access.accounts().await)?;
    let listed = Listed { users };
    output.answer(&listed, |paint| {
        let row = |user: &AccountRecord| {
            let state = if user.disabled_at.is_some() { "disabled" } else { "" };
            let tenant = user.tenant.as_deref().unwrap_or("every tenant");
            vec![user.name.clone(), tenant.to_owned(), user.role.clone(), state.to_owned()]
        };
        let header = ["user", "tenant", "role", "state"].map(str::to_owned).to_vec();
        paint.columns([header].into_iter().chain(listed.users.iter().map(row)), "")
    })?;
    Ok(exit::SUCCESS)
}

/// Lets a person log in no longer.
pub(crate) fn disable(arguments: &UserDisableArgs, output: &Output, config: &Config) -> Result<u8, Error> {
    let UserDisableArgs { name, database, actor } = arguments;
    let account = ask((database, actor), None, (output, config), async |access| access.account_disable(name).await)?;
    output.answer(&account, |_| format!("{} cannot log in any longer\n", account.name))?;
    Ok(exit::SUCCESS)
}

/// Gives a person another password.
pub(crate) fn passwd(arguments: &UserPasswdArgs, output: &Output, config: &Config) -> Result<u8, Error> {
    let UserPasswdArgs { name, password, database, actor } = arguments;
    let password = read_password(&password.password_file)?;
    let account = ask((database, actor), None, (output, config), async |access| {
        access.account_set_password(name, password).await
    })?;
    output.answer(&account, |_| format!("{} has another password\n", account.name))?;
    Ok(exit::SUCCESS)
}
