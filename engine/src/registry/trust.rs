//! Whom the tenants of a registry trust: asking and changing it.
//!
//! A change is made under the registry's lock, so that nothing is registered by a policy that is being changed.

use cloacina_packager::sign::{Policy, Voucher};

use super::{Error, Package, Registry, handle::Shared};
use crate::{
    store::{self, TrustEventKind, TrustEventRow},
    trust::{self, Trust, TrustChange, TrustChanged, TrustEvent},
};

/// Events that are told at once.
const EVENTS_MAX: i64 = 1000;

impl Registry {
    /// Whom a tenant trusts to sign packages, and how many signatures it requires.
    ///
    /// # Errors
    /// What the store says.
    pub async fn trust(&self, tenant: &str) -> Result<Trust, Error> {
        let (tenant, default) = (tenant.to_owned(), self.shared.options.required_default);
        let read = self
            .shared
            .options
            .store
            .read("reading whom a tenant trusts", move |connection| trust::read(connection, &tenant, default));
        Ok(read.await??)
    }

    /// What happened to a tenant's trust, newest first, at most 1,000 events.
    ///
    /// # Errors
    /// What the store says.
    pub async fn trust_events(&self, tenant: &str) -> Result<Vec<TrustEvent>, Error> {
        let tenant = tenant.to_owned();
        let read = self
            .shared
            .options
            .store
            .read("reading events of trust", move |connection| trust::events(connection, &tenant, EVENTS_MAX));
        Ok(read.await??)
    }

    /// What is to be done before any package can be registered: empty, unless signatures are required and no tenant
    /// trusts any key yet.
    ///
    /// # Errors
    /// What the store says.
    pub async fn first_steps(&self) -> Result<Vec<&'static str>, Error> {
        if self.shared.options.required_default == 0 {
            return Ok(Vec::new());
        }
        let is_any = self.shared.options.store.read("looking for keys", store::trust_key_is_any).await?;
        Ok(if is_any { Vec::new() } else { trust::FIRST_STEPS.to_vec() })
    }

    /// Changes whom a tenant trusts, on behalf of `by`.
    ///
    /// # Errors
    /// [`Error::Trust`] if it makes no sense where things stand; nothing is changed then.
    pub async fn change_trust(&self, tenant: &str, change: TrustChange, by: &str) -> Result<TrustChanged, Error> {
        let (tenant, by) = (tenant.to_owned(), by.to_owned());
        self.blocking(move |shared| shared.change_trust(tenant, change, by)).await
    }
}

impl Shared {
    /// What packages of a tenant are judged by, now. Blocks.
    pub(super) fn policy(&self, tenant: &str) -> Result<Policy, Error> {
        let (tenant, default) = (tenant.to_owned(), self.options.required_default);
        let read = self
            .options
            .store
            .read_blocking("reading whom a tenant trusts", move |connection| trust::read(connection, &tenant, default));
        Ok(read??.policy())
    }

    /// Writes down whose signatures a package was taken for.
    pub(super) fn note_vouchers(&self, package: &Package, vouchers: &[Voucher]) -> Result<(), Error> {
        if vouchers.is_empty() {
            return Ok(());
        }
        let rows: Vec<TrustEventRow> = vouchers
            .iter()
            .map(|voucher| TrustEventRow {
                tenant: package.row.tenant.clone(),
                kind: TrustEventKind::Vouched,
                at: self.options.clock.now(),
                actor: package.row.actor.clone(),
                key_id: Some(voucher.key.to_string()),
                digest: Some(package.row.digest),
                detail: format!("{} vouches for {}@{}", voucher.name, package.row.name, package.row.version),
            })
            .collect();
        Ok(self.options.store.write_blocking("writing down who vouched", move |connection| {
            rows.iter().try_for_each(|row| store::trust_event_insert_in_txn(connection, row))
        })?)
    }

    fn change_trust(&self, tenant: String, change: TrustChange, by: String) -> Result<TrustChanged, Error> {
        let _turn = self.begin()?;
        let (default, now) = (self.options.required_default, self.options.clock.now());
        let written = self.options.store.write_blocking("changing whom a tenant trusts", {
            let (tenant, by) = (tenant.clone(), by.clone());
            move |connection| trust::change_in_txn(connection, (&tenant, default), &change, (&by, now))
        })?;
        let trust = written?;
        tracing::info!(tenant, actor = by, required = trust.required, n_keys = trust.keys.len(), "trust was changed");
        Ok(TrustChanged::default())
    }
}
