//! The trust policy of a tenant: its keys, what each may sign, until when, and how many must sign a package.
//!
//! The decision is a pure function of the policy, the bytes, the signatures and the time. It has two steps, because the bytes
//! are only interpreted if the signatures are valid. A wrong signature by a trusted key is refused whatever the policy
//! requires, because the archive was changed. Signatures by unknown keys are ignored.

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
    /// Every package.
    All,
    /// The package of that name.
    Package(String),
    /// Packages with names that begin like this; written `name*`.
    Prefix(String),
}

/// A key that may sign packages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustedKey {
    /// The name, for people.
    pub name: String,
    /// The key.
    pub key: PublicKey,
    /// The packages that it may sign: those of any of the scopes.
    pub scopes: Vec<Scope>,
    /// When the key expires.
    pub expires_at: Option<Timestamp>,
    /// When the key was revoked.
    pub revoked_at: Option<Timestamp>,
}

/// The keys that a tenant trusts, and how many must sign.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// How many different keys must have signed a package; 0 accepts packages without a signature.
    pub required: usize,
    /// The keys.
    pub keys: Vec<TrustedKey>,
}

/// A trusted key that has signed a package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signer {
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

    /// Whether the scope contains the package of that name.
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
    /// How many signatures a server requires in a tenant without a setting.
    pub const REQUIRED_BY_SERVERS: usize = 1;

    /// The default of a server: one signature is required, and no key is trusted.
    #[must_use]
    pub fn server_default() -> Self {
        Self { required: Self::REQUIRED_BY_SERVERS, keys: Vec::new() }
    }

    /// Checks the signatures of some bytes without interpreting the bytes: an archive that is refused here was never
    /// decompressed. [`Examined::check`] checks the scopes when the package was read.
    ///
    /// # Errors
    /// [`Untrusted`], which names "the archive", because the name of the package is not known.
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
    /// [`Untrusted`], which names the package.
    pub fn examine_package<'a>(
        &'a self,
        archive: &[u8],
        package: &str,
        signatures: &'a [Signature],
        now: Timestamp,
    ) -> Result<Examined<'a>, Untrusted> {
        self.examine_as(&format!("the package {package}"), archive, signatures, now)
    }

    /// Checks whether the package that was read from these bytes is trusted now, and returns its signers.
    ///
    /// # Errors
    /// [`Untrusted`] tells why not.
    pub fn check(
        &self,
        archive: &[u8],
        package: &Package,
        signatures: &[Signature],
        now: Timestamp,
    ) -> Result<Vec<Signer>, Untrusted> {
        self.examine_as(&named(package), archive, signatures, now)?.signers(package)
    }

    /// As [`Self::check`], for a package that was read from these bytes before: they are not read again.
    ///
    /// # Errors
    /// As [`Self::check`], except for errors that only the package itself shows.
    pub fn review(
        &self,
        archive: &[u8],
        package: &str,
        signatures: &[Signature],
        now: Timestamp,
    ) -> Result<Vec<Signer>, Untrusted> {
        self.examine_package(archive, package, signatures, now)?.in_scope(package)
    }

    /// The package, if it is trusted: the way to a package that may be unpacked.
    ///
    /// # Errors
    /// As [`Self::check`].
    pub fn verify(
        &self,
        archive: &[u8],
        package: Package,
        signatures: &[Signature],
        now: Timestamp,
    ) -> Result<(Verified<Package>, Vec<Signer>), Untrusted> {
        let signers = self.check(archive, &package, signatures, now)?;
        Ok((Verified::trusted(package), signers))
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

/// Valid signatures of some bytes, by keys that are trusted now. The content of the bytes is not known yet.
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

    /// The package that was read from those bytes, if its signers may sign it: the way to a package that may be
    /// unpacked.
    ///
    /// # Errors
    /// [`Untrusted`] tells why not; [`Untrusted::OtherBytes`] if the package was read from something else.
    pub fn check(self, package: Package) -> Result<(Verified<Package>, Vec<Signer>), Untrusted> {
        let signers = self.signers(&package)?;
        Ok((Verified::trusted(package), signers))
    }

    fn signers(self, package: &Package) -> Result<Vec<Signer>, Untrusted> {
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

    fn in_scope(self, package: &str) -> Result<Vec<Signer>, Untrusted> {
        let Self { policy, archive: _, genuine, mut refusals } = self;
        let subject = format!("the package {package}");
        let mut signers = Vec::with_capacity(genuine.len());
        for Genuine { trusted, .. } in genuine {
            match trusted.out_of_scope(package) {
                Some(refusal) => refusals.push(refusal),
                None => signers.push(Signer { name: trusted.name.clone(), key: trusted.key.id() }),
            }
        }
        match signers.len() >= policy.required {
            true => Ok(signers),
            false => Err(policy.untrusted(&subject, signers.len(), refusals)),
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
