//! The trust of the tenants of a registry: reading and changing it.
//!
//! A change is made under the registry's lock, so that nothing is registered by a policy that is being changed.

use std::collections::{BTreeSet, btree_map::Entry};

use cloacina_packager::{
    Digest,
    sign::{Policy, PublicKey, SignError, Signature, Signer, Untrusted},
};
use cloacina_workflow::Timestamp;

use super::{Change, Error, Package, Registry, handle::Shared};
use crate::{
    api::{Role, TrustChanged, TrustEvent},
    limit,
    store::{self, ArchiveRow, PackageOrder, PackageRow, TrustEventKind, TrustEventRow},
    trust::{self, Trust, TrustChange, TrustWritten},
};

/// Events that are told at once.
const EVENTS_MAX: i64 = 1000;

/// Whether a version may be used.
enum Review {
    Trusted,
    Distrusted(Distrust),
}

/// Why a version is not trusted.
#[derive(Debug)]
enum Distrust {
    Untrusted(Untrusted),
    /// A signature in the database is none.
    Unreadable(SignError),
}

/// With one of these the reason of a quarantine begins that ends when the package is registered again by a key that is
/// trusted: it was not trusted, its file was changed, or its archive.
const REASONS: [&str; 3] = [REASON, "LIB0002", "REG0015"];

/// With this the reason of a quarantine begins that is for want of trust alone.
const REASON: &str = "SIG";

impl Distrust {
    /// As it stands in the version's row, with the code in front.
    fn reason(&self) -> String {
        match self {
            Self::Untrusted(untrusted) => format!("{}: {untrusted}", untrusted.code()),
            Self::Unreadable(error) => format!("{}: {error}", error.code()),
        }
    }
}

/// Whether a version is in quarantine for one of those reasons.
fn is_for(row: &PackageRow, reasons: &[&str]) -> bool {
    let begins = |reason: &str| reasons.iter().any(|beginning| reason.starts_with(beginning));
    row.quarantine.as_ref().is_some_and(|quarantine| begins(&quarantine.reason))
}

/// The signatures in these files.
pub(super) fn signatures_of(signatures: &[Vec<u8>]) -> Result<Vec<Signature>, SignError> {
    let signature = |bytes: &Vec<u8>| {
        let text =
            std::str::from_utf8(bytes).map_err(|_| SignError::Signature { reason: "it is not UTF-8 text".to_owned() });
        text.and_then(Signature::from_text)
    };
    signatures.iter().map(signature).collect()
}

/// The keys of the signers, by that policy.
pub(super) fn keys_of(policy: &Policy, signers: &[Signer]) -> Vec<PublicKey> {
    let signed = |id| signers.iter().any(|signer| signer.key == id);
    policy.keys.iter().filter(|trusted| signed(trusted.key.id())).map(|trusted| trusted.key.clone()).collect()
}

impl Registry {
    /// The keys that a tenant trusts to sign packages, and how many signatures it requires.
    ///
    /// # Errors
    /// What the store says.
    pub async fn trust(&self, tenant: &str) -> Result<Trust, Error> {
        Error::check_tenant(&self.caller, tenant)?;
        let (tenant, default) = (tenant.to_owned(), self.shared.options.required_default);
        let read =
            self.shared.options.store.read("reading the trusted keys of a tenant", move |connection| {
                trust::read(connection, &tenant, default)
            });
        Ok(read.await?)
    }

    /// What happened to a tenant's trust, newest first, at most 1,000 events.
    ///
    /// # Errors
    /// What the store says.
    pub async fn trust_events(&self, tenant: &str) -> Result<Vec<TrustEvent>, Error> {
        Error::check_tenant(&self.caller, tenant)?;
        let tenant = tenant.to_owned();
        let read = self
            .shared
            .options
            .store
            .read("reading events of trust", move |connection| trust::events(connection, &tenant, EVENTS_MAX));
        Ok(read.await?)
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

    /// Changes the trust of a tenant, on behalf of `by`.
    ///
    /// # Errors
    /// [`Error::Trust`] if it makes no sense where things stand; nothing is changed then.
    pub async fn change_trust(&self, tenant: &str, change: TrustChange, by: &str) -> Result<TrustChanged, Error> {
        limit::NAME.check(tenant)?;
        limit::ACTOR.check(by)?;
        change.check()?;
        self.caller.check(Role::Admin)?;
        Error::check_tenant(&self.caller, tenant)?;
        let (tenant, by) = (tenant.to_owned(), by.to_owned());
        self.blocking(move |shared| shared.change_trust(tenant, change, by)).await
    }
}

impl Shared {
    /// The present policy for packages of a tenant. Blocks.
    pub(super) fn policy(&self, tenant: &str) -> Result<Policy, Error> {
        Ok(self.trust(tenant)?.policy())
    }

    pub(super) fn trust(&self, tenant: &str) -> Result<Trust, Error> {
        let (tenant, default) = (tenant.to_owned(), self.options.required_default);
        let read = self.options.store.read_blocking("reading the trusted keys of a tenant", move |connection| {
            trust::read(connection, &tenant, default)
        });
        Ok(read?)
    }

    /// Records the signers of an accepted package.
    pub(super) fn record_signers(&self, package: &Package, signers: &[Signer]) -> Result<(), Error> {
        if signers.is_empty() {
            return Ok(());
        }
        let rows: Vec<TrustEventRow> = signers
            .iter()
            .map(|signer| TrustEventRow {
                tenant: package.row.tenant.clone(),
                kind: TrustEventKind::PackageSigned,
                at: self.options.clock.now(),
                actor: package.row.actor.clone(),
                key_id: Some(signer.key.to_string()),
                digest: Some(package.row.digest),
                detail: format!("{} signed {}@{}", signer.name, package.row.name, package.row.version),
            })
            .collect();
        Ok(self.options.store.write_blocking("recording the approval of a package", move |connection| {
            rows.iter().try_for_each(|row| store::trust_event_insert_in_txn(connection, row))
        })?)
    }

    fn change_trust(&self, tenant: String, change: TrustChange, by: String) -> Result<TrustChanged, Error> {
        let _turn = self.begin()?;
        let (default, now) = (self.options.required_default, self.options.clock.now());
        let written = self.options.store.write_blocking("changing the trusted keys of a tenant", {
            let (tenant, by) = (tenant.clone(), by.clone());
            move |connection| trust::change_in_txn(connection, (&tenant, default), &change, (&by, now))
        })?;
        let trust = match written {
            TrustWritten::Trust(trust) => trust,
            TrustWritten::Refused(error) => return Err(error.into()),
        };
        let changed = self.recheck_all(&trust, &by, true)?;
        self.await_expiry(&trust, now);
        tracing::info!(tenant, actor = by, required = trust.required, n_keys = trust.keys.len(), "trust was changed");
        Ok(changed)
    }

    /// Checks the packages again when an engine starts, as a key may have expired since, and when another engine has changed
    /// the trust of a tenant, which is the change of that number. Must be called in turn.
    pub(super) fn recheck_known(&self, newest: i64) -> Result<(), Error> {
        let tenants: BTreeSet<String> = self.lock().packages.iter().map(|package| package.row.tenant.clone()).collect();
        self.recheck_tenants(&tenants)?;
        self.lock().newest_trust = Some(newest);
        Ok(())
    }

    /// Checks the packages of tenants with an expired key again. Must be called in turn.
    pub(super) fn recheck_expired(&self, now: Timestamp) -> Result<(), Error> {
        let is_over = |(_, at): &(&String, &Timestamp)| **at <= now;
        let tenants = self.lock().expiries.iter().filter(is_over).map(|(tenant, _)| tenant.clone()).collect();
        self.recheck_tenants(&tenants)
    }

    /// Nothing is released, as another engine on the database may require more than this one.
    fn recheck_tenants(&self, tenants: &BTreeSet<String>) -> Result<(), Error> {
        const ACTOR: &str = "engine";
        for tenant in tenants {
            let (trust, now) = (self.trust(tenant)?, self.options.clock.now());
            if trust.required > 0 || !trust.keys.is_empty() {
                self.recheck_all(&trust, ACTOR, false)?;
            }
            self.lock().expiries.remove(tenant);
            self.await_expiry(&trust, now);
        }
        Ok(())
    }

    /// Lets the registry check again when the next key of the tenant expires. An existing timer stays: checking once too often
    /// does no harm.
    pub(super) fn await_expiry(&self, trust: &Trust, now: Timestamp) {
        let Some(at) = trust.next_expiry(now) else { return };
        let is_earliest = match self.lock().expiries.entry(trust.tenant.clone()) {
            Entry::Vacant(vacant) => *vacant.insert(at) == at,
            Entry::Occupied(mut awaited) if at < *awaited.get() => awaited.insert(at) != at,
            Entry::Occupied(_) => false,
        };
        if is_earliest {
            self.tell(Change::KeyExpires(at));
        }
    }

    /// Checks every version of a tenant again: an untrusted version is quarantined, and a version that is there for that reason
    /// alone and is trusted comes out of it. Must be called in turn.
    fn recheck_all(&self, trust: &Trust, by: &str, may_release: bool) -> Result<TrustChanged, Error> {
        let (policy, now) = (trust.policy(), self.options.clock.now());
        let packages = self.lock().packages.clone();
        let mut changed = TrustChanged::default();
        for package in packages.iter().filter(|package| package.row.tenant == trust.tenant) {
            let order = |reason: Option<String>| PackageOrder {
                tenant: trust.tenant.clone(),
                digest: package.row.digest,
                actor: by.to_owned(),
                at: now,
                reason,
            };
            match self.review(&package.row, &policy)? {
                Review::Distrusted(refusal) => {
                    let reason = refusal.reason();
                    if package.row.quarantine.as_ref().is_some_and(|quarantine| quarantine.reason == reason) {
                        continue;
                    }
                    let order = order(Some(reason));
                    self.change("quarantining a package", None, move |connection| {
                        store::package_quarantine_in_txn(connection, &order, None)
                    })?;
                    changed.quarantined.push(package.label());
                }
                Review::Trusted if may_release && is_for(&package.row, &[REASON]) => {
                    self.release_trusted(order(Some("it is trusted again".to_owned())))?;
                    changed.released.push(package.label());
                }
                Review::Trusted => {}
            }
        }
        Ok(changed)
    }

    /// Ends the quarantine of a version that is trusted again. Must be called in turn.
    fn release_trusted(&self, order: PackageOrder) -> Result<(), Error> {
        let doing = "releasing a package";
        self.change(doing, None, move |connection| store::package_release_in_txn(connection, &order)).map(drop)
    }

    /// How the quarantine of a version ends after a trusted upload, if trust was the reason.
    pub(super) fn release_if_distrusted(&self, row: &PackageRow) -> Option<PackageOrder> {
        let known = self.lock().find(row).cloned();
        known.filter(|known| is_for(&known.row, &REASONS)).map(|known| PackageOrder {
            tenant: known.row.tenant.clone(),
            digest: known.row.digest,
            actor: row.actor.clone(),
            at: self.options.clock.now(),
            reason: Some("it was registered with trusted signatures".to_owned()),
        })
    }

    /// Whether the version may be used by what the policy says now and the database keeps of it.
    fn review(&self, row: &PackageRow, policy: &Policy) -> Result<Review, Error> {
        let digest = row.archive_digest;
        let read = self
            .options
            .store
            .read_blocking("reading an archive", move |connection| store::archive_get(connection, digest));
        let Some(ArchiveRow { bytes, signatures }) = read? else {
            let package = format!("the package {}", row.name);
            let unsigned = Untrusted::Unsigned { package, required: policy.required };
            return Ok(match policy.required {
                0 => Review::Trusted,
                _ => Review::Distrusted(Distrust::Untrusted(unsigned)),
            });
        };
        let signatures = match signatures_of(&signatures) {
            Ok(signatures) => signatures,
            Err(error) => return Ok(Review::Distrusted(Distrust::Unreadable(error))),
        };
        let now = self.options.clock.now();
        Ok(match policy.review(&bytes, &row.name, &signatures, now) {
            Ok(_) => Review::Trusted,
            Err(untrusted) => Review::Distrusted(Distrust::Untrusted(untrusted)),
        })
    }

    /// The signatures of those bytes that are in the database already, behind those that came along.
    pub(super) fn with_known_signatures(&self, archive: &[u8], sent: Vec<Vec<u8>>) -> Result<Vec<Vec<u8>>, Error> {
        let digest = Digest::of(archive);
        let read = self
            .options
            .store
            .read_blocking("reading signatures", move |connection| store::signature_list(connection, digest));
        let mut all = sent;
        for known in read? {
            if !all.contains(&known) {
                all.push(known);
            }
        }
        Ok(all)
    }
}
