//! Converts between the rows of the store and the trust of a tenant.
//!
//! A row that makes no sense is damage and refuses everything: a policy of which a part cannot be read is none to go by.

use cloacina_packager::sign::{PublicKey, Scope};

use super::{Trust, TrustKey};
use crate::{
    store::{self, Connection, Error as StoreError, JobResult, RevokedRow, TrustEventRow, TrustKeyRow},
    view::{Revoked, TrustEvent},
};

/// The trust of a tenant; `default` is the number of required signatures without a setting.
pub(crate) fn read(connection: &mut Connection, tenant: &str, default: usize) -> JobResult<Trust> {
    let required = store::trust_required_get(connection, tenant)?;
    let rows = store::trust_key_list(connection, tenant)?;
    let keys: Result<Vec<TrustKey>, StoreError> = rows.into_iter().map(key).collect();
    Ok(Trust {
        tenant: tenant.to_owned(),
        required: required.map_or(default, |required| usize::try_from(required).unwrap_or(usize::MAX)),
        is_default: required.is_none(),
        keys: keys?,
    })
}

/// What happened to a tenant's trust, newest first.
pub(crate) fn events(connection: &mut Connection, tenant: &str, n_max: i64) -> JobResult<Vec<TrustEvent>> {
    let rows = store::trust_event_list(connection, tenant, n_max)?;
    let event = |row: TrustEventRow| {
        let TrustEventRow { kind, at, actor, key_id, digest, detail, .. } = row;
        TrustEvent { kind, at, actor, key: key_id, digest, detail }
    };
    Ok(rows.into_iter().map(event).collect())
}

fn key(row: TrustKeyRow) -> Result<TrustKey, StoreError> {
    let TrustKeyRow { name, public_key, scopes, expires_at, added_at, added_by, revoked, .. } = row;
    let key = PublicKey::from_text(&public_key)
        .map_err(|error| StoreError::Corrupt { reason: format!("the public key {name}: {error}") })?;
    let revoked = revoked.map(|RevokedRow { at, by, reason }| Revoked { at, by, reason });
    let scopes = scopes.split(' ').filter(|scope| !scope.is_empty()).map(Scope::from_text).collect();
    Ok(TrustKey { name, key, scopes, expires_at, added_at, added_by, revoked })
}
