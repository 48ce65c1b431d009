//! Who somebody is: by an API key, by a password, or by a refresh token.
//!
//! ```text
//! log_in ──> token 1 ── refresh ──> token 2 ── refresh ──> token 3 …        one family
//!               │ again within 10 s ──> token 2, the same one
//!               └ again later ──> the family is deleted, as one of two holders is a thief
//! ```
//! A refusal is not an error, and it does not say why: the caller has not shown its identity.

use std::{fmt, time::Duration};

use cloacina_packager::Digest;
use cloacina_workflow::Timestamp;

use super::{
    Access, Error,
    account::entry,
    audit::{Action, Entry},
    handle::{Decision, shown_tenant, stored_role},
    secret,
};
use crate::{
    api::{Caller, Role},
    core::effect::{after, before},
    limit::{self, TextRefused},
    store::{self, AccountRow, ApiKeyRow, Connection, EVERY_TENANT, JobResult, RefreshRow},
};

/// How long a login lasts at most, however often it is refreshed.
const FAMILY: Duration = Duration::from_secs(30 * 24 * 3_600);

/// How long a refresh token that was used gives the same successor again.
const GRACE: Duration = Duration::from_secs(10);

/// How often the use of a key is written down at most.
const USE_EVERY: Duration = Duration::from_secs(60);

/// Who somebody is, and what for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Identity {
    /// The actor that histories keep: the name of an account, or `key:` and the name of an API key.
    pub actor: String,
    /// The tenant that is seen; none for every tenant.
    pub tenant: Option<String>,
    /// What may be done.
    pub role: Role,
}

/// A login, or a login that was refreshed.
#[derive(Clone)]
#[non_exhaustive]
pub struct LoggedIn {
    /// Whose it is.
    pub identity: Identity,
    /// What it is refreshed with, once.
    pub refresh_token: String,
    /// When it ends, however often it is refreshed.
    pub until: Timestamp,
}

impl fmt::Debug for LoggedIn {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct("LoggedIn");
        shown.field("identity", &self.identity).field("until", &self.until).finish_non_exhaustive()
    }
}

impl Identity {
    /// Somebody that sees every tenant, as an admin, without a credential: the owner of the machine.
    #[must_use]
    pub fn of_every_tenant(actor: &str) -> Self {
        Self { actor: actor.to_owned(), tenant: None, role: Role::Admin }
    }

    /// The caller that it asks as.
    ///
    /// # Errors
    /// [`TextRefused`] if the database has names that no caller can have.
    pub fn caller(&self) -> Result<Caller, TextRefused> {
        match &self.tenant {
            None => Caller::of_every_tenant(&self.actor),
            Some(tenant) => Caller::of_tenant(tenant, &self.actor, self.role),
        }
    }

    fn of_account(row: &AccountRow) -> JobResult<Self> {
        let (tenant, role) = (shown_tenant(row.tenant.clone()), stored_role(&row.role)?);
        Ok(Self { actor: row.name.clone(), tenant, role })
    }

    fn of_key(row: &ApiKeyRow) -> JobResult<Self> {
        let (tenant, role) = (shown_tenant(row.tenant.clone()), stored_role(&row.role)?);
        Ok(Self { actor: format!("key:{}", row.name), tenant, role })
    }
}

/// What became of a refresh token that was presented.
enum Presented {
    Refreshed(LoggedIn),
    Unknown,
    /// It was used too long ago, by somebody else as it seems.
    Reused {
        account: String,
    },
}

impl Access {
    /// Whose API key that is; none if it is not a key, was revoked or has expired.
    ///
    /// # Errors
    /// What the store says.
    pub async fn identify_key(&self, text: &str) -> Result<Option<Identity>, Error> {
        let Some(id) = secret::id_of_key(text).map(str::to_owned) else { return Ok(None) };
        let (store, now) = (&self.gate.store, self.gate.clock.now());
        let find = move |connection: &mut Connection| store::api_key_get(connection, &id);
        let Some(row) = store.read("looking for an API key", find).await? else { return Ok(None) };
        let is_over = row.revoked_at.is_some() || row.expires_at.is_some_and(|at| at <= now);
        if !secret::is_secret(text, &row.secret) || is_over {
            return Ok(None);
        }
        let since = before(now, USE_EVERY);
        if row.used_at.is_none_or(|used| used < since) {
            let id = row.id.clone();
            let note = move |connection: &mut Connection| store::api_key_use_in_txn(connection, &id, now, since);
            store.write_detached("writing down the use of an API key", note, |written| {
                if let Err(error) = written {
                    tracing::warn!(%error, "the use of an API key was not written down");
                }
            })?;
        }
        Ok(Some(Identity::of_key(&row).map_err(|error| error.into_error("looking for an API key"))?))
    }

    /// Who an account is now, after its password was compared earlier; none if it is gone or disabled.
    ///
    /// # Errors
    /// What the store says.
    pub async fn identify_account(&self, name: &str) -> Result<Option<Identity>, Error> {
        let name = name.to_owned();
        let find = move |connection: &mut Connection| -> JobResult<Option<Identity>> {
            able(connection, &name)?.as_ref().map(Identity::of_account).transpose()
        };
        Ok(self.gate.store.read("looking for an account", find).await?)
    }

    /// Begins a session; none if there is no such account, the password is another, or the account is disabled. That takes
    /// the same time in each case. Both outcomes are in the audit log.
    ///
    /// # Errors
    /// What the store says.
    pub async fn log_in(&self, name: &str, password: String) -> Result<Option<LoggedIn>, Error> {
        if limit::NAME.check(name).is_err() {
            // Nothing can have this name, so there is nothing to hide.
            return Ok(None);
        }
        let find = {
            let name = name.to_owned();
            move |connection: &mut Connection| store::account_get(connection, &name)
        };
        let row = self.gate.store.read("looking for an account", find).await?;
        let hash = row.as_ref().map(|row| row.password.clone());
        let is_right = self.gate.hasher.is_right(password, hash.clone()).await?;
        let (token, family) = (secret::hex(&secret::random::<32>()?), secret::random::<16>()?);
        let (name, token_kept) = (name.to_owned(), token.clone());
        self.change("logging in", move |connection, now| {
            store::refresh_expired_delete_in_txn(connection, now)?;
            // The password that was compared must be the one that holds now.
            let holds = |row: &AccountRow| is_right && hash.as_ref() == Some(&row.password);
            let Some(row) = able(connection, &name)?.filter(holds) else {
                let tenant = row.as_ref().map_or(EVERY_TENANT, |row| row.tenant.as_str()).to_owned();
                return Ok(Decision::Done(None, Some(refused(tenant, &name, Action::LoggedIn, ""))));
            };
            let until = after(now, FAMILY);
            let hash = Digest::of(token_kept.as_bytes());
            let token_row = RefreshRow { hash, family, account: name.clone(), until, used: None };
            store::refresh_insert_in_txn(connection, &token_row)?;
            let identity = Identity::of_account(&row)?;
            let logged_in = LoggedIn { identity, refresh_token: token_kept.clone(), until };
            Ok(Decision::Done(Some(logged_in), Some(entry(&row, &name, Action::LoggedIn, String::new()))))
        })
        .await
    }

    /// Goes on with a session: exchanges a refresh token for its successor. None if the token is unknown, its session has
    /// ended, or it was used before; the latter ends the session.
    ///
    /// # Errors
    /// What the store says.
    pub async fn refresh(&self, token: &str) -> Result<Option<LoggedIn>, Error> {
        if !self.has_refresh(token).await? {
            return Ok(None);
        }
        let (token, successor) = (token.to_owned(), secret::random::<32>()?);
        let presented = self.change("refreshing a session", move |connection, now| {
            let presented = present(connection, &token, &successor, now)?;
            let reuse = match &presented {
                Presented::Reused { account } => {
                    let row = store::account_get(connection, account)?;
                    let tenant = row.map_or_else(|| EVERY_TENANT.to_owned(), |row| row.tenant);
                    let detail = "a refresh token was used again, and its session was ended";
                    Some(refused(tenant, account, Action::RefreshReused, detail))
                }
                Presented::Refreshed(_) | Presented::Unknown => None,
            };
            Ok(Decision::Done(presented, reuse))
        });
        match presented.await? {
            Presented::Refreshed(logged_in) => Ok(Some(logged_in)),
            Presented::Unknown => Ok(None),
            Presented::Reused { account } => {
                tracing::warn!(
                    account,
                    address = self.asked.address,
                    "a refresh token was used again: its session was ended"
                );
                Ok(None)
            }
        }
    }

    /// Whether there is that refresh token. Callers without a credential can present any text, and should cause no writes.
    async fn has_refresh(&self, token: &str) -> Result<bool, Error> {
        let hash = Digest::of(token.as_bytes());
        let find = move |connection: &mut Connection| store::refresh_get(connection, &hash);
        Ok(self.gate.store.read("looking for a refresh token", find).await?.is_some())
    }

    /// Ends the session of a refresh token. A token that is unknown ends nothing, and that is not an error.
    ///
    /// # Errors
    /// What the store says.
    pub async fn log_out(&self, token: &str) -> Result<(), Error> {
        if !self.has_refresh(token).await? {
            return Ok(());
        }
        let hash = Digest::of(token.as_bytes());
        self.change("logging out", move |connection, _| {
            let Some(row) = store::refresh_get(connection, &hash)? else { return Ok(Decision::Done((), None)) };
            store::refresh_family_delete_in_txn(connection, &row.family)?;
            let account = store::account_get(connection, &row.account)?;
            let entry = account.map(|account| entry(&account, &row.account, Action::LoggedOut, String::new()));
            Ok(Decision::Done((), entry))
        })
        .await
    }
}

/// Uses a refresh token.
fn present(connection: &mut Connection, token: &str, successor: &[u8; 32], now: Timestamp) -> JobResult<Presented> {
    let hash = Digest::of(token.as_bytes());
    let Some(row) = store::refresh_get(connection, &hash)? else { return Ok(Presented::Unknown) };
    let account = able(connection, &row.account)?;
    let Some(account) = account.filter(|_| row.until > now) else {
        store::refresh_family_delete_in_txn(connection, &row.family)?;
        return Ok(Presented::Unknown);
    };
    let successor = match row.used {
        None => {
            // The lock of the access tables is held, and the update compares all the same.
            if !store::refresh_use_in_txn(connection, &hash, now, &secret::seal(token, successor))? {
                return Ok(Presented::Unknown);
            }
            let hash = Digest::of(secret::hex(successor).as_bytes());
            store::refresh_insert_in_txn(connection, &RefreshRow { hash, used: None, ..row.clone() })?;
            *successor
        }
        Some((used_at, sealed)) if after(used_at, GRACE) > now => secret::seal(token, &sealed),
        Some(_) => {
            store::refresh_family_delete_in_txn(connection, &row.family)?;
            return Ok(Presented::Reused { account: row.account });
        }
    };
    let identity = Identity::of_account(&account)?;
    Ok(Presented::Refreshed(LoggedIn { identity, refresh_token: secret::hex(&successor), until: row.until }))
}

/// The account of that name, if it may log in.
fn able(connection: &mut Connection, name: &str) -> JobResult<Option<AccountRow>> {
    Ok(store::account_get(connection, name)?.filter(|row| row.disabled_at.is_none()))
}

fn refused(tenant: String, account: &str, action: Action, detail: &str) -> Entry {
    let (actor, subject, detail) = (account.to_owned(), account.to_owned(), detail.to_owned());
    Entry { tenant, actor, action, subject, is_refused: true, detail }
}
