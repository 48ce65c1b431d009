//! What says who may ask: the engine of a database, or a server.
//!
//! Both answer with the same types, so that a verb shows them without knowing where they come from.

use cloacina::{Access, AccountRecord, ApiKeyRecord, AuditCheck, AuditRecord, NewAccount, NewKey, TenantRecord};
use cloacina_client::{Client, NewApiKey, NewUser};
use futures_util::{StreamExt, TryStreamExt};

use crate::error::Error;

/// Items of a list that are read at once.
const PAGE: usize = 1_000;

/// What is asked.
pub(super) enum Authority {
    Engine(Access),
    Server(Box<Client>),
}

impl Authority {
    pub(super) async fn tenants(&self) -> Result<Vec<TenantRecord>, Error> {
        match self {
            Self::Engine(access) => of_engine(access.tenants().await),
            Self::Server(client) => Ok(client.tenants().await?),
        }
    }

    pub(super) async fn tenant_add(&self, name: &str) -> Result<TenantRecord, Error> {
        match self {
            Self::Engine(access) => of_engine(access.tenant_add(name).await),
            Self::Server(client) => Ok(client.tenant_add(name).await?),
        }
    }

    /// All accounts, by name.
    pub(super) async fn accounts(&self) -> Result<Vec<AccountRecord>, Error> {
        match self {
            Self::Engine(access) => {
                let next = async |last: Option<&AccountRecord>| {
                    access.accounts(last.map_or("", |last| &last.name), PAGE).await
                };
                of_engine(all(next).await)
            }
            Self::Server(client) => Ok(client.users().try_collect().await?),
        }
    }

    pub(super) async fn account_add(&self, new: NewAccount) -> Result<AccountRecord, Error> {
        match self {
            Self::Engine(access) => of_engine(access.account_add(new).await),
            Self::Server(client) => {
                let NewAccount { name, tenant, role, password } = new;
                Ok(client.user_add(&NewUser { name, password, role, tenant }).await?)
            }
        }
    }

    pub(super) async fn account_disable(&self, name: &str) -> Result<AccountRecord, Error> {
        match self {
            Self::Engine(access) => of_engine(access.account_disable(name).await),
            Self::Server(client) => Ok(client.user_disable(name).await?),
        }
    }

    pub(super) async fn account_set_password(&self, name: &str, password: String) -> Result<AccountRecord, Error> {
        match self {
            Self::Engine(access) => of_engine(access.account_set_password(name, password).await),
            Self::Server(client) => {
                client.user_set_password(name, &password).await?;
                Ok(client.user(name).await?)
            }
        }
    }

    /// All keys, by id; revoked ones too.
    pub(super) async fn keys(&self) -> Result<Vec<ApiKeyRecord>, Error> {
        match self {
            Self::Engine(access) => {
                let next =
                    async |last: Option<&ApiKeyRecord>| access.keys(last.map_or("", |last| &last.id), PAGE).await;
                of_engine(all(next).await)
            }
            Self::Server(client) => Ok(client.keys().try_collect().await?),
        }
    }

    /// Makes a key; its text comes first, which is shown this once.
    pub(super) async fn key_add(&self, new: NewKey) -> Result<(String, ApiKeyRecord), Error> {
        match self {
            Self::Engine(access) => {
                let issued = of_engine(access.key_add(new).await)?;
                Ok((issued.text, issued.record))
            }
            Self::Server(client) => {
                let NewKey { name, tenant, role, expires_at } = new;
                let issued = client.key_add(&NewApiKey { name, role, tenant, expires_at }).await?;
                Ok((issued.key, issued.record))
            }
        }
    }

    pub(super) async fn key_revoke(&self, id: &str) -> Result<ApiKeyRecord, Error> {
        match self {
            Self::Engine(access) => of_engine(access.key_revoke(id).await),
            Self::Server(client) => {
                client.key_revoke(id).await?;
                let keys = self.keys().await?;
                let revoked = keys.into_iter().find(|key| key.id == id);
                revoked.ok_or_else(|| {
                    let (url, reason) = (client.url(), format!("the key {id} was revoked, and is not listed"));
                    cloacina_client::Error::Answer { url, reason }.into()
                })
            }
        }
    }

    /// The newest entries of a log, so many at most.
    pub(super) async fn audit(&self, n_max: usize) -> Result<Vec<AuditRecord>, Error> {
        match self {
            Self::Engine(access) => of_engine(access.audit(None, n_max).await),
            Self::Server(client) => Ok(client.audit().take(n_max).try_collect().await?),
        }
    }

    pub(super) async fn audit_check(&self) -> Result<AuditCheck, Error> {
        match self {
            Self::Engine(access) => of_engine(access.audit_check().await),
            Self::Server(client) => Ok(client.audit_check().await?),
        }
    }

    /// A whole log, oldest first.
    pub(super) async fn audit_all(&self) -> Result<Vec<AuditRecord>, Error> {
        match self {
            Self::Engine(access) => {
                let next = async |last: Option<&AuditRecord>| {
                    access.audit_from(last.map_or(0, |last| last.number), PAGE).await
                };
                of_engine(all(next).await)
            }
            Self::Server(client) => {
                let mut entries: Vec<AuditRecord> = client.audit().try_collect().await?;
                entries.reverse();
                Ok(entries)
            }
        }
    }
}

fn of_engine<T>(answer: Result<T, cloacina::AccessError>) -> Result<T, Error> {
    Ok(answer.map_err(cloacina::Error::from)?)
}

/// All items of a list that an engine reads in pages. `next` reads a page after the last item that was read.
async fn all<T>(
    mut next: impl AsyncFnMut(Option<&T>) -> Result<Vec<T>, cloacina::AccessError>,
) -> Result<Vec<T>, cloacina::AccessError> {
    let mut items = Vec::new();
    loop {
        let page = next(items.last()).await?;
        let is_last = page.len() < PAGE;
        items.extend(page);
        if is_last {
            return Ok(items);
        }
    }
}
