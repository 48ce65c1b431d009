//! Where the library of a package is loaded: what an operator said, and the one place that decides by it.
//!
//! ```text
//! what was said of the package ─► of packages like it ─► of those that signed it ─► of all others
//!  └────────────── before the load ──────────────────┘   └─ once it is verified ─┘
//! ```
//! A signer counts only if its signature was verified for the very load that is decided about: the decision is made from
//! the [`TrustedFile`] of that load, which contains its signers. The choice is not stored in the database.

use cloacina_packager::sign::{PublicKey, Scope};

use super::Isolation;
use crate::loader::TrustedFile;

/// What an operator said about where packages are loaded.
#[derive(Clone, Debug, Default)]
pub(crate) struct Choice {
    /// Of packages of which nothing else was said.
    pub(crate) default: Isolation,
    rules: Vec<Rule>,
    signers: Vec<Signer>,
}

#[derive(Clone, Debug)]
struct Rule {
    /// Every tenant without one.
    tenant: Option<String>,
    scope: Scope,
    isolation: Isolation,
}

/// A key of a tenant; others may trust another key by the same name.
#[derive(Clone, Debug)]
struct Signer {
    tenant: String,
    key: PublicKey,
}

impl Choice {
    /// Has packages of a tenant, or of every one for `*`, loaded there: a name, or how names begin with `*` behind.
    pub(crate) fn say(&mut self, tenant: &str, packages: &str, isolation: Isolation) {
        let tenant = (tenant != "*").then(|| tenant.to_owned());
        self.rules.push(Rule { tenant, scope: Scope::from_text(packages), isolation });
    }

    /// Loads packages into this process that this key of the tenant has signed, unless another choice was made for
    /// them by name.
    pub(crate) fn say_inline_by(&mut self, tenant: &str, key: PublicKey) {
        self.signers.push(Signer { tenant: tenant.to_owned(), key });
    }

    /// Where a package is loaded; nothing if that depends on its signers.
    pub(crate) fn before_load(&self, tenant: &str, package: &str) -> Option<Isolation> {
        let fits = |rule: &&Rule| rule.tenant.as_ref().is_none_or(|named| named == tenant) && rule.scope.holds(package);
        // The most specific choice applies; of two equally specific ones, the last.
        let said = self.rules.iter().filter(fits).max_by_key(|rule| rule.weight());
        let has_signers = self.default == Isolation::Process && self.signers.iter().any(|one| one.tenant == tenant);
        said.map(|rule| rule.isolation).or((!has_signers).then_some(self.default))
    }

    /// Where a package is loaded, after its file was verified.
    pub(crate) fn of_load(&self, tenant: &str, package: &str, file: &TrustedFile) -> Isolation {
        let is_signer = |key: &PublicKey| self.signers.iter().any(|one| one.tenant == tenant && one.key == *key);
        match self.before_load(tenant, package) {
            Some(isolation) => isolation,
            None if file.signers().iter().any(is_signer) => Isolation::Inline,
            None => self.default,
        }
    }
}

impl Rule {
    fn weight(&self) -> (usize, bool) {
        let letters = match &self.scope {
            Scope::All => 0,
            Scope::Prefix(prefix) => prefix.len(),
            Scope::Package(_) => usize::MAX,
        };
        (letters, self.tenant.is_some())
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use cloacina_packager::{Digest, sign::SecretKey};

    use super::*;

    fn file(signers: Vec<PublicKey>) -> TrustedFile {
        TrustedFile::told_by_engine(PathBuf::new(), Digest::of(b"")).signed_by(signers)
    }

    #[test]
    fn the_most_specific_choice_applies() {
        let mut choice = Choice { default: Isolation::Process, ..Choice::default() };
        for (tenant, packages, isolation) in [
            ("public", "bill*", Isolation::Inline),
            ("public", "billing_old", Isolation::Process),
            ("acme", "*", Isolation::Inline),
            ("*", "shared", Isolation::Inline),
            ("acme", "shared", Isolation::Process),
        ] {
            choice.say(tenant, packages, isolation);
        }
        for (tenant, package, expected) in [
            ("public", "billing", Isolation::Inline),
            ("public", "billing_old", Isolation::Process),
            ("public", "other", Isolation::Process),
            ("other", "billing", Isolation::Process),
            ("acme", "other", Isolation::Inline),
            ("public", "shared", Isolation::Inline),
            ("acme", "shared", Isolation::Process),
        ] {
            assert_eq!(choice.before_load(tenant, package), Some(expected), "{tenant}::{package}");
        }
        choice.say("public", "bill*", Isolation::Process);
        assert_eq!(choice.before_load("public", "billing"), Some(Isolation::Process), "what was said last");
    }

    #[test]
    fn a_signer_counts_in_its_tenant_and_in_the_load_that_it_signed() {
        let key = || SecretKey::generate(None).unwrap().0.public().clone();
        let (signer, other) = (key(), key());
        let mut choice = Choice { default: Isolation::Process, ..Choice::default() };
        choice.say_inline_by("acme", signer.clone());
        choice.say("acme", "kept*", Isolation::Process);
        for (tenant, package, signers, expected) in [
            ("acme", "billing", vec![other.clone(), signer.clone()], Isolation::Inline),
            ("acme", "billing", vec![other], Isolation::Process),
            ("acme", "billing", vec![], Isolation::Process),
            ("acme", "kept_in", vec![signer.clone()], Isolation::Process),
            ("public", "billing", vec![signer], Isolation::Process),
        ] {
            assert_eq!(choice.of_load(tenant, package, &file(signers)), expected, "{tenant}::{package}");
        }
        assert_eq!(choice.before_load("acme", "billing"), None);
        assert_eq!(choice.before_load("public", "billing"), Some(Isolation::Process));
    }
}
