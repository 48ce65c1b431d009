//! The audit log of a tenant: a chain in which each entry has the digest of the entry before it.
//!
//! The digest is of all fields, each with its length in front, so that no two entries have the same bytes. It shows that an
//! entry was changed or is missing between two others. It does not show that the newest ones were removed: for that somebody
//! must have kept the newest digest elsewhere.

use cloacina_packager::Digest;
use cloacina_workflow::Timestamp;

use super::handle::{Asked, shown_tenant};
use crate::{
    store::{self, AuditRow, Connection, JobResult},
    view::{AuditCheck, AuditRecord},
};

/// The digest before the first entry.
const NOTHING: [u8; 32] = [0; 32];

/// Entries that are read at once when a chain is checked.
const PAGE: i64 = 1_000;

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    TenantAdded,
    AccountAdded,
    AccountDisabled,
    PasswordChanged,
    KeyAdded,
    KeyRevoked,
    LoggedIn,
    LoggedOut,
    RefreshReused,
}

impl Action {
    /// The name, as stored and shown.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::TenantAdded => "tenant_added",
            Self::AccountAdded => "account_added",
            Self::AccountDisabled => "account_disabled",
            Self::PasswordChanged => "password_changed",
            Self::KeyAdded => "key_added",
            Self::KeyRevoked => "key_revoked",
            Self::LoggedIn => "logged_in",
            Self::LoggedOut => "logged_out",
            Self::RefreshReused => "refresh_reused",
        }
    }
}

/// An entry to be.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// The tenant as the tables have it.
    pub(super) tenant: String,
    pub(super) actor: String,
    pub(super) action: Action,
    pub(super) subject: String,
    pub(super) is_refused: bool,
    pub(super) detail: String,
}

impl Entry {
    /// What an actor did to a subject, and nobody refused.
    pub(super) fn done(tenant: &str, actor: &str, action: Action, subject: &str, detail: String) -> Self {
        let [tenant, actor, subject] = [tenant, actor, subject].map(str::to_owned);
        Self { tenant, actor, action, subject, is_refused: false, detail }
    }
}

/// Appends an entry to the chain of its tenant. The caller must hold the lock of the access tables.
pub(super) fn append_in_txn(connection: &mut Connection, entry: &Entry, at: Timestamp, asked: &Asked) -> JobResult<()> {
    let newest = store::audit_newest(connection, &entry.tenant)?;
    let (sequence, previous) = newest.unwrap_or((0, Digest::from_bytes(NOTHING)));
    let row = AuditRow {
        tenant: entry.tenant.clone(),
        sequence: sequence + 1,
        at,
        actor: entry.actor.clone(),
        action: entry.action.as_str().to_owned(),
        subject: entry.subject.clone(),
        result: if entry.is_refused { "refused" } else { "done" }.to_owned(),
        address: asked.address.clone(),
        request: asked.request_id.clone(),
        detail: entry.detail.clone(),
        previous,
        digest: previous,
    };
    let row = AuditRow { digest: digest(&row), ..row };
    Ok(store::audit_insert_in_txn(connection, &row)?)
}

/// Follows the chain of a tenant from its beginning.
pub(super) fn check(connection: &mut Connection, tenant: &str) -> JobResult<AuditCheck> {
    let (mut n_intact, mut newest) = (0, Digest::from_bytes(NOTHING));
    loop {
        let rows = store::audit_list_from(connection, tenant, n_intact, PAGE)?;
        if rows.is_empty() {
            return Ok(checked(n_intact, newest, None));
        }
        for row in rows {
            let follows = row.sequence == n_intact + 1 && row.previous == newest;
            if !follows || digest(&row) != row.digest {
                return Ok(checked(n_intact, newest, Some(n_intact + 1)));
            }
            (n_intact, newest) = (row.sequence, row.digest);
        }
    }
}

fn checked(entries: i64, newest: Digest, broken: Option<i64>) -> AuditCheck {
    AuditCheck { is_intact: broken.is_none(), entries, digest: (entries > 0).then(|| newest.hex()), broken }
}

/// The digest of an entry and, by that of the entry before it, of all earlier ones.
fn digest(row: &AuditRow) -> Digest {
    let AuditRow { tenant, sequence, at, actor, action, subject, result, address, request, detail, previous, .. } = row;
    let mut bytes = previous.as_bytes().to_vec();
    bytes.extend(sequence.to_be_bytes());
    bytes.extend(at.unix_micros().to_be_bytes());
    for text in [tenant, actor, action, subject, result, address, request, detail] {
        bytes.extend(u64::try_from(text.len()).unwrap_or(u64::MAX).to_be_bytes());
        bytes.extend(text.as_bytes());
    }
    Digest::of(&bytes)
}

/// The entry as it is shown.
pub(super) fn record(row: AuditRow) -> AuditRecord {
    let AuditRow { tenant, sequence, at, actor, action, subject, result, address, request, detail, previous, digest } =
        row;
    let some = |text: String| Some(text).filter(|text| !text.is_empty());
    AuditRecord {
        number: sequence,
        tenant: shown_tenant(tenant),
        at,
        actor,
        action,
        subject,
        result,
        address: some(address),
        request_id: some(request),
        detail: some(detail),
        previous: previous.hex(),
        digest: digest.hex(),
    }
}
