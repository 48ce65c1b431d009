//! Who is trusted: the keys of a tenant, what each may sign, for how long, and how many must agree.
//!
//! The decision is a pure function of the policy, the bytes, the signatures and the time. It has two steps, as what the
//! bytes hold is only to be read if the signatures are in order. A wrong signature by a
//! trusted key is refused whatever the policy requires: somebody changed something. Signatures by keys that nobody
//! knows are not looked at; they neither help nor hurt.

use std::collections::BTreeSet;

use cloacina_workflow::Timestamp;

use super::{
    error::Untrusted,
    key::{KeyId, PublicKey},
    signature::Signature,
};
use crate::digest::Digest;
use crate::package::Package;
use crate::verified::Verified;

/// The packages that a key may sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Each.
    All,
    /// That one.
    Package(String),
    /// Those whose names begin like this; written `name*`.
    Prefix(String),
}

/// A key that may sign packages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedKey {
    /// The name that people know it by.
    pub name: String,
    /// The key.
    pub key: PublicKey,
    /// What it may sign; anything that one of them says.
    pub scopes: Vec<Scope>,
    /// From when on it is not trusted any more.
    pub expires_at: Option<Timestamp>,
    /// Since when it is not trusted any more, because somebody said so.
    pub revoked_at: Option<Timestamp>,
}

/// Whom a tenant trusts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// How many different keys must have signed a package; 0 takes packages from anybody.
    pub required: usize,
    /// The keys.
    pub keys: Vec<TrustedKey>,
}

/// A key that has signed a package and counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Voucher {
    /// The key's name.
    pub name: String,
    /// The key.
    pub key: KeyId,
}

impl Scope {
    /// Reads `*`, `name` or `name*`.
    #[must_use]
    pub fn from_text(text: &str) -> Self {
        match text.strip_suffix('*') {
            Some("") => Self::All,
            Some(prefix) => Self::Prefix(prefix.to_owned()),
            None => Self::Package(text.to_owned()),
        }
    }

    /// Whether the package of that name is one of them.
    #[must_use]
    pub fn holds(&self, package: &str) -> bool {
        match self {
            Self::All => true,
            Self::Package(name) => name == package,
            Self::Prefix(prefix) => package.starts_with(prefix.as_str()),
        }
    }
}

impl std::fmt::Display for Scope {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::All => formatter.write_str("*"),
            Self::Package(name) => formatter.write_str(name),
            Self::Prefix(prefix) => write!(formatter, "{prefix}*"),
        }
    }
}

impl Policy {
    /// How many signatures a server requires in a tenant that has said nothing about it.
    pub const REQUIRED_BY_SERVERS: usize = 1;

    /// What a server goes by until somebody says otherwise: one signature, and nobody whose it could be.
    #[must_use]
    pub fn server_default() -> Self {
        Self { required: Self::REQUIRED_BY_SERVERS, keys: Vec::new() }
    }

    /// Looks at the signatures of some bytes, without looking into the bytes: what is refused here was never
    /// decompressed. What the signatures may not speak for shows once the package was read: [`Examined::judge`].
    ///
    /// # Errors
    /// [`Untrusted`], which speaks of the archive, as its name is not known.
    pub fn examine<'a>(
        &'a self,
        archive: &[u8],
        signatures: &'a [Signature],
        now: Timestamp,
    ) -> Result<Examined<'a>, Untrusted> {
        self.examine_as("the archive", archive, signatures, now)
    }

    /// As [`Self::examine`], of bytes that are known to be a package of that name.
    ///
    /// # Errors
    /// [`Untrusted`], which speaks of the package.
    pub fn examine_package<'a>(
        &'a self,
        archive: &[u8],
        package: &str,
        signatures: &'a [Signature],
        now: Timestamp,
    ) -> Result<Examined<'a>, Untrusted> {
        self.examine_as(&format!("the package {package}"), archive, signatures, now)
    }

    /// Whether the package that was read from these bytes is trusted now, and by whose word.
    ///
    /// # Errors
    /// [`Untrusted`] says why not.
    pub fn judge(
        &self,
        archive: &[u8],
        package: &Package,
        signatures: &[Signature],
        now: Timestamp,
    ) -> Result<Vec<Voucher>, Untrusted> {
        self.examine_as(&named(package), archive, signatures, now)?.vouchers(package)
    }

    /// As [`Self::judge`], for a package that was read from these bytes before: they are not read again.
    ///
    /// # Errors
    /// As [`Self::judge`], but for what only the package itself shows.
    pub fn review(
        &self,
        archive: &[u8],
        package: &str,
        signatures: &[Signature],
        now: Timestamp,
    ) -> Result<Vec<Voucher>, Untrusted> {
        self.examine_package(archive, package, signatures, now)?.in_scope(package)
    }

    /// The package, if it is trusted: the way to a package that may be unpacked.
    ///
    /// # Errors
    /// As [`Self::judge`].
    pub fn verify(
        &self,
        archive: &[u8],
        package: Package,
        signatures: &[Signature],
        now: Timestamp,
    ) -> Result<(Verified<Package>, Vec<Voucher>), Untrusted> {
        let vouchers = self.judge(archive, &package, signatures, now)?;
        Ok((Verified::judged(package), vouchers))
    }

    fn examine_as<'a>(
        &'a self,
        subject: &str,
        archive: &[u8],
        signatures: &'a [Signature],
        now: Timestamp,
    ) -> Result<Examined<'a>, Untrusted> {
        let (mut genuine, mut seen, mut refusals): (Vec<Genuine<'a>>, _, _) = (Vec::new(), BTreeSet::new(), Vec::new());
        for signature in signatures {
            let id = signature.key_id();
            let Some(trusted) = self.keys.iter().find(|trusted| trusted.key.id() == id) else {
                refusals.push(Refusal::Unknown(id));
                continue;
            };
            let wrong = |source| Untrusted::Wrong { package: subject.to_owned(), source };
            signature.verify(archive, &trusted.key).map_err(wrong)?;
            match trusted.refusal(now) {
                Some(refusal) => refusals.push(refusal),
                None if seen.insert(id) => genuine.push(Genuine { trusted, signature }),
                None => {}
            }
        }
        match genuine.len() >= self.required {
            true => Ok(Examined { policy: self, archive: Digest::of(archive), genuine, refusals }),
            false => Err(self.untrusted(subject, genuine.len(), refusals)),
        }
    }

    fn untrusted(&self, subject: &str, n_trusted: usize, mut refusals: Vec<Refusal>) -> Untrusted {
        let (package, required) = (subject.to_owned(), self.required);
        if refusals.is_empty() && n_trusted == 0 {
            return Untrusted::Unsigned { package, required };
        }
        if let (1, [Refusal::Revoked { .. } | Refusal::Expired { .. }]) = (required, refusals.as_slice()) {
            return match refusals.remove(0) {
                Refusal::Revoked { name, key, at } => Untrusted::Revoked { package, name, key, at },
                Refusal::Expired { name, key, at } => Untrusted::Expired { package, name, key, at },
                Refusal::Unknown(_) | Refusal::Scope { .. } => Untrusted::Unsigned { package, required },
            };
        }
        let reasons = refusals.iter().map(ToString::to_string).collect();
        Untrusted::TooFew { package, n_trusted, required, reasons }
    }
}

/// Signatures that are over some bytes, by keys that are trusted now. What is in the bytes is not known yet.
#[derive(Clone, Debug)]
pub struct Examined<'a> {
    policy: &'a Policy,
    archive: Digest,
    genuine: Vec<Genuine<'a>>,
    refusals: Vec<Refusal>,
}

#[derive(Clone, Copy, Debug)]
struct Genuine<'a> {
    trusted: &'a TrustedKey,
    signature: &'a Signature,
}

impl Examined<'_> {
    /// The digest of those bytes.
    pub fn archive_digest(&self) -> Digest {
        self.archive
    }

    /// The package that was read from those bytes, if the signatures speak for it: the way to a package that may be
    /// unpacked.
    ///
    /// # Errors
    /// [`Untrusted`] says why not; [`Untrusted::OtherBytes`] if the package was read from something else.
    pub fn judge(self, package: Package) -> Result<(Verified<Package>, Vec<Voucher>), Untrusted> {
        let vouchers = self.vouchers(&package)?;
        Ok((Verified::judged(package), vouchers))
    }

    fn vouchers(self, package: &Package) -> Result<Vec<Voucher>, Untrusted> {
        let (subject, expected, found) = (named(package), self.archive, package.archive_digest());
        if found != expected {
            return Err(Untrusted::OtherBytes { package: subject, expected, found });
        }
        for Genuine { signature, .. } in &self.genuine {
            let wrong = |source| Untrusted::Wrong { package: subject.clone(), source };
            signature.check_facts(package).map_err(wrong)?;
        }
        self.in_scope(&package.descriptor().package)
    }

    fn in_scope(self, package: &str) -> Result<Vec<Voucher>, Untrusted> {
        let Self { policy, archive: _, genuine, mut refusals } = self;
        let subject = format!("the package {package}");
        let mut vouchers = Vec::with_capacity(genuine.len());
        for Genuine { trusted, .. } in genuine {
            match trusted.out_of_scope(package) {
                Some(refusal) => refusals.push(refusal),
                None => vouchers.push(Voucher { name: trusted.name.clone(), key: trusted.key.id() }),
            }
        }
        match vouchers.len() >= policy.required {
            true => Ok(vouchers),
            false => Err(policy.untrusted(&subject, vouchers.len(), refusals)),
        }
    }
}

fn named(package: &Package) -> String {
    format!("the package {}", package.descriptor().package)
}

impl TrustedKey {
    fn refusal(&self, now: Timestamp) -> Option<Refusal> {
        let (name, key) = (self.name.clone(), self.key.id());
        match (self.revoked_at, self.expires_at) {
            (Some(at), _) if at <= now => Some(Refusal::Revoked { name, key, at }),
            (_, Some(at)) if at <= now => Some(Refusal::Expired { name, key, at }),
            _ => None,
        }
    }

    fn out_of_scope(&self, package: &str) -> Option<Refusal> {
        let refusal = || Refusal::Scope { name: self.name.clone(), key: self.key.id(), package: package.to_owned() };
        (!self.scopes.iter().any(|scope| scope.holds(package))).then(refusal)
    }
}

/// Why a genuine signature does not count.
#[derive(Clone, Debug, thiserror::Error)]
enum Refusal {
    #[error("the key {0} is not known")]
    Unknown(KeyId),
    #[error("the key {name} ({key}) was revoked at {at}")]
    Revoked { name: String, key: KeyId, at: Timestamp },
    #[error("the key {name} ({key}) has expired at {at}")]
    Expired { name: String, key: KeyId, at: Timestamp },
    #[error("the key {name} ({key}) may not sign {package}")]
    Scope { name: String, key: KeyId, package: String },
}
