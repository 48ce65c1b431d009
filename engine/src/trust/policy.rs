//! The trust of a tenant, as plain data for callers.
//!
//! Keys and scopes are kept as what they were checked to be; the public types show them as text, so that a caller
//! needs no other crate.

use cloacina_packager::sign::{Policy, PublicKey, Scope, TrustedKey};
use cloacina_workflow::Timestamp;

use super::Error;
use crate::view::{KeyRecord, Revoked, TrustRecord};

/// How many signatures are required where neither the tenant nor the program has said anything: a program that embeds
/// the engine registers its own packages.
pub(crate) const REQUIRED_DEFAULT: usize = 0;

/// What an operator does first where signatures are required and no key is trusted yet.
pub(crate) const FIRST_STEPS: [&str; 3] = [
    "make a key where packages are built: cloacina-ctl key generate NAME",
    "trust it where they run: cloacina-ctl trust add NAME.pub --name NAME",
    "sign the archives to register: cloacina-ctl package sign FILE --key NAME",
];

/// How many signatures a server requires of tenants that have not said how many.
pub const REQUIRED_BY_SERVERS: usize = Policy::REQUIRED_BY_SERVERS;

/// The trust of a tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Trust {
    /// The tenant.
    pub tenant: String,
    /// How many different keys must have signed a package; 0 accepts packages without a signature.
    pub required: usize,
    /// Whether the tenant has never said how many, so that the engine's default holds.
    pub is_default: bool,
    /// The keys by name, those that were revoked too.
    pub keys: Vec<TrustKey>,
}

/// A key that a tenant trusts, or trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TrustKey {
    /// The name that people know it by.
    pub name: String,
    pub(super) key: PublicKey,
    pub(super) scopes: Vec<Scope>,
    /// When the key expires.
    pub expires_at: Option<Timestamp>,
    /// Since when it is trusted.
    pub added_at: Timestamp,
    /// The actor.
    pub added_by: String,
    /// The revocation of the key.
    pub revoked: Option<Revoked>,
}

impl Trust {
    /// The policy for checks of packages.
    pub(crate) fn policy(&self) -> Policy {
        let keys = self.keys.iter().map(|key| TrustedKey {
            name: key.name.clone(),
            key: key.key.clone(),
            scopes: key.scopes.clone(),
            expires_at: key.expires_at,
            revoked_at: key.revoked.as_ref().map(|revoked| revoked.at),
        });
        Policy { required: self.required, keys: keys.collect() }
    }

    /// How many keys count at that moment, for some package at least.
    #[must_use]
    pub fn n_usable(&self, now: Timestamp) -> usize {
        self.keys.iter().filter(|key| key.is_usable(now)).count()
    }

    /// The same as it is shown at that moment.
    #[must_use]
    pub fn record(&self, now: Timestamp) -> TrustRecord {
        TrustRecord {
            tenant: self.tenant.clone(),
            required: self.required,
            is_default: self.is_default,
            keys: self.keys.iter().map(|key| key.record(now)).collect(),
        }
    }

    /// When the next of the keys expires that count now.
    pub(crate) fn next_expiry(&self, now: Timestamp) -> Option<Timestamp> {
        let usable = self.keys.iter().filter(|key| key.is_usable(now));
        usable.filter_map(|key| key.expires_at).min()
    }

    /// As [`Self::find`], with an error that names those that there are.
    pub(crate) fn key(&self, name: &str) -> Result<&TrustKey, Error> {
        self.find(name).ok_or_else(|| Error::UnknownKey {
            name: name.to_owned(),
            tenant: self.tenant.clone(),
            known: self.keys.iter().map(|key| key.name.clone()).collect(),
        })
    }

    /// The key of that name or id.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&TrustKey> {
        self.keys.iter().find(|key| key.name == name || key.id().eq_ignore_ascii_case(name))
    }
}

impl TrustKey {
    pub(crate) fn public(&self) -> &PublicKey {
        &self.key
    }

    /// Which key it is: 16 hexadecimal digits.
    #[must_use]
    pub fn id(&self) -> String {
        self.key.id().to_string()
    }

    /// The line by which it can be given to others.
    #[must_use]
    pub fn public_key(&self) -> String {
        self.key.line()
    }

    /// The packages that it may sign: `*`, `name`, or `name*`.
    #[must_use]
    pub fn scopes(&self) -> Vec<String> {
        self.scopes.iter().map(ToString::to_string).collect()
    }

    fn record(&self, now: Timestamp) -> KeyRecord {
        KeyRecord {
            name: self.name.clone(),
            id: self.id(),
            public_key: self.public_key(),
            state: match (&self.revoked, self.is_usable(now)) {
                (Some(_), _) => "revoked",
                (None, true) => "trusted",
                (None, false) => "expired",
            },
            scopes: self.scopes(),
            expires_at: self.expires_at,
            added_at: self.added_at,
            added_by: self.added_by.clone(),
            revoked: self.revoked.clone(),
        }
    }

    /// Whether its signatures count at that moment.
    #[must_use]
    pub fn is_usable(&self, now: Timestamp) -> bool {
        self.revoked.is_none() && self.expires_at.is_none_or(|at| at > now)
    }
}
