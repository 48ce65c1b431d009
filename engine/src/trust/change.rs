//! Changes of the trust of a tenant: the requests, their checks, and their storage with an event.
//!
//! A request that changes nothing is not an error and leaves no event. A key that was revoked can neither be removed nor
//! added again, so a revocation cannot be undone.

use cloacina_packager::{
    name_problem,
    sign::{PublicKey, Scope},
};
use cloacina_workflow::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Error, Trust, TrustKey, stored};
use crate::{
    limit::{self, TextRefused},
    store::{self, Connection, JobResult, RevokedRow, TrustEventKind, TrustEventRow, TrustKeyRow},
};

/// More signatures are never needed.
const REQUIRED_MAX: usize = 16;

/// Something to be changed. Its serialization is that of the socket's frames.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum TrustChange {
    /// Trust a key.
    Add {
        /// The name that people are to know it by.
        name: String,
        /// The text of its file, or the line of it that matters.
        public_key: String,
        /// The packages that it may sign: `*`, `name` or `name*`; all, if there are none.
        scopes: Vec<String>,
        /// When the key expires, in microseconds since the epoch.
        expires_at: Option<u64>,
    },
    /// Remove a key that is no longer needed. A revoked key stays.
    Remove {
        /// Its name or id.
        key: String,
    },
    /// Revoke a key permanently.
    Revoke {
        /// Its name or id.
        key: String,
        /// Why, for the record.
        reason: String,
    },
    /// Require that many signatures of each package; 0 accepts packages without a signature.
    Require {
        /// How many.
        n_signatures: usize,
    },
}

impl TrustChange {
    /// Refuses texts that do not keep to their limits.
    pub(crate) fn check(&self) -> Result<(), TextRefused> {
        match self {
            Self::Add { name, public_key: _, scopes, expires_at: _ } => {
                limit::NAME.check(name)?;
                limit::SCOPES.check(&scopes.join(" "))
            }
            Self::Remove { key } => limit::SELECTOR.check(key),
            Self::Revoke { key, reason } => {
                limit::SELECTOR.check(key)?;
                limit::REASON.check(reason)
            }
            Self::Require { .. } => Ok(()),
        }
    }
}

/// How a change ended.
pub(crate) enum TrustWritten {
    /// The trust of the tenant now.
    Trust(Trust),
    /// Nothing was written.
    Refused(Error),
}

/// Changes the trust of a tenant. Must be called in a transaction of the writer.
pub(crate) fn change_in_txn(
    connection: &mut Connection,
    (tenant, default): (&str, usize),
    change: &TrustChange,
    (by, now): (&str, Timestamp),
) -> JobResult<TrustWritten> {
    if let Some(reason) = name_problem(tenant) {
        let refused = Error::Text { what: "the name of the tenant", text: tenant.to_owned(), reason };
        return Ok(TrustWritten::Refused(refused));
    }
    store::trust_lock_in_txn(connection)?;
    let trust = stored::read(connection, tenant, default)?;
    let step = match step(&trust, change, (by, now)) {
        Ok(Some(step)) => step,
        Ok(None) => return Ok(TrustWritten::Trust(trust)),
        Err(error) => return Ok(TrustWritten::Refused(error)),
    };
    let (kind, key_id, detail) = step.event();
    match &step {
        Step::Insert(row) => store::trust_key_insert_in_txn(connection, row)?,
        Step::Delete { id, .. } => store::trust_key_delete_in_txn(connection, tenant, id)?,
        Step::Revoke { id, revoked, .. } => store::trust_key_revoke_in_txn(connection, (tenant, id), revoked)?,
        Step::Require { required, .. } => store::trust_required_set_in_txn(connection, tenant, *required)?,
    }
    let event =
        TrustEventRow { tenant: tenant.to_owned(), kind, at: now, actor: by.to_owned(), key_id, digest: None, detail };
    store::trust_event_insert_in_txn(connection, &event)?;
    Ok(TrustWritten::Trust(stored::read(connection, tenant, default)?))
}

/// What is to be written.
#[derive(Debug)]
enum Step {
    Insert(TrustKeyRow),
    Delete { id: String, name: String },
    Revoke { id: String, name: String, revoked: RevokedRow },
    Require { before: String, required: i32 },
}

/// What a change means where things stand; nothing if it is so already.
fn step(trust: &Trust, change: &TrustChange, (by, now): (&str, Timestamp)) -> Result<Option<Step>, Error> {
    match change {
        TrustChange::Add { name, public_key, scopes, expires_at } => {
            let key = PublicKey::from_text(public_key)?;
            let (scopes, expires_at) = (scopes_text(scopes)?, expires_at.map(Timestamp::from_unix_micros));
            insertion(trust, name, &key, (&scopes, expires_at), (by, now))
        }
        TrustChange::Remove { key } => {
            let found = trust.key(key)?;
            refuse_revoked(found)?;
            Ok(Some(Step::Delete { id: found.id(), name: found.name.clone() }))
        }
        TrustChange::Revoke { key, reason } => {
            let found = trust.key(key)?;
            if reason.trim().is_empty() {
                return Err(Error::Text { what: "the reason", text: reason.clone(), reason: "it is empty" });
            }
            if found.revoked.is_some() {
                return Ok(None);
            }
            let revoked = RevokedRow { at: now, by: by.to_owned(), reason: reason.clone() };
            Ok(Some(Step::Revoke { id: found.id(), name: found.name.clone(), revoked }))
        }
        TrustChange::Require { n_signatures } if *n_signatures > REQUIRED_MAX => {
            Err(Error::TooMany { asked: *n_signatures, max: REQUIRED_MAX })
        }
        TrustChange::Require { n_signatures } if *n_signatures == trust.required && !trust.is_default => Ok(None),
        TrustChange::Require { n_signatures } => {
            let before = if trust.is_default { "the default".to_owned() } else { trust.required.to_string() };
            Ok(Some(Step::Require { before, required: i32::try_from(*n_signatures).unwrap_or(i32::MAX) }))
        }
    }
}

fn insertion(
    trust: &Trust,
    name: &str,
    key: &PublicKey,
    (scopes, expires_at): (&str, Option<Timestamp>),
    (by, now): (&str, Timestamp),
) -> Result<Option<Step>, Error> {
    check_name(name)?;
    let id = key.id().to_string();
    let known = trust.keys.iter().find(|known| known.name == name || known.id() == id);
    if let Some(known) = known {
        refuse_revoked(known)?;
        let is_same = known.name == name && known.key == *key;
        if is_same && known.scopes().join(" ") == scopes && known.expires_at == expires_at {
            return Ok(None);
        }
        return Err(Error::KeyThere { name: known.name.clone(), id: known.id(), tenant: trust.tenant.clone() });
    }
    Ok(Some(Step::Insert(TrustKeyRow {
        tenant: trust.tenant.clone(),
        key_id: id,
        name: name.to_owned(),
        public_key: key.line(),
        scopes: scopes.to_owned(),
        expires_at,
        added_at: now,
        added_by: by.to_owned(),
        revoked: None,
    })))
}

fn refuse_revoked(key: &TrustKey) -> Result<(), Error> {
    match &key.revoked {
        Some(revoked) => Err(Error::KeyRevoked { name: key.name.clone(), id: key.id(), at: revoked.at }),
        None => Ok(()),
    }
}

fn check_name(name: &str) -> Result<(), Error> {
    let is_letter = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-' | '.' | '@');
    let reason = "a name has letters, digits and `_-.@`";
    match name.chars().all(is_letter) {
        true => Ok(()),
        false => Err(Error::Text { what: "the name of the key", text: name.to_owned(), reason }),
    }
}

/// The scopes as they are kept.
fn scopes_text(scopes: &[String]) -> Result<String, Error> {
    let is_letter = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-');
    for scope in scopes {
        let name = scope.strip_suffix('*').unwrap_or(scope);
        if scope.is_empty() || !name.chars().all(is_letter) {
            let reason = "a scope is `*`, the name of a package, or how names begin with `*` behind";
            return Err(Error::Text { what: "the scope", text: scope.clone(), reason });
        }
    }
    Ok(match scopes {
        [] => Scope::All.to_string(),
        scopes => scopes.join(" "),
    })
}

impl Step {
    /// What is kept of it for ever.
    fn event(&self) -> (TrustEventKind, Option<String>, String) {
        match self {
            Self::Insert(row) => {
                let until = row.expires_at.map(|at| format!(", until {at}")).unwrap_or_default();
                let detail = format!("{} may sign {}{until}", row.name, row.scopes);
                (TrustEventKind::KeyAdded, Some(row.key_id.clone()), detail)
            }
            Self::Delete { id, name } => (TrustEventKind::KeyRemoved, Some(id.clone()), name.clone()),
            Self::Revoke { id, name, revoked } => {
                (TrustEventKind::KeyRevoked, Some(id.clone()), format!("{name}: {}", revoked.reason))
            }
            Self::Require { before, required } => {
                (TrustEventKind::RequirementChanged, None, format!("{required} instead of {before}"))
            }
        }
    }
}
