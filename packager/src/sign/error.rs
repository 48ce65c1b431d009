//! What is wrong with a key or a signature, and why a package is not trusted: codes `SIG…`.
//!
//! A refusal names the key and the package, and never what a secret key holds.

use cloacina_workflow::Timestamp;

use super::key::KeyId;
use crate::class::Class;
use crate::digest::Digest;

/// A key or a signature that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignError {
    /// The text is not a public key.
    #[error("this is not a minisign public key: {reason}")]
    PublicKey {
        /// What is wrong with it.
        reason: String,
    },
    /// The text is not a secret key, or the password is wrong.
    #[error("the secret key cannot be used: {reason}")]
    SecretKey {
        /// What is wrong with it.
        reason: String,
    },
    /// The secret key is protected, and no password was given.
    #[error("the secret key is protected by a password")]
    PasswordNeeded,
    /// The text is not a signature.
    #[error("this is not a minisign signature: {reason}")]
    Signature {
        /// What is wrong with it.
        reason: String,
    },
    /// The key did not make this signature.
    #[error("the signature names the key {key}, which did not make it")]
    Mismatch {
        /// The key that the signature names.
        key: KeyId,
    },
    /// The key made it over other bytes: the archive was changed or packed again since, or the files are mixed up.
    #[error("the key {key} signed an archive with other content; the signature states: {stated}")]
    OtherArchive {
        /// The key.
        key: KeyId,
        /// What the signature says of what it is over.
        stated: String,
    },
    /// The signature is genuine, but says that it is over another package.
    #[error("the signature by key {key} states that it is for {stated}, but this is {found}")]
    OtherPackage {
        /// The key.
        key: KeyId,
        /// The facts in the signature.
        stated: String,
        /// The facts of the archive.
        found: String,
    },
}

/// Why a package is not trusted.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Untrusted {
    /// There is no signature, and one is required.
    #[error("{package} is not signed, and must be by {required} trusted {}", if *.required == 1 { "key" } else { "keys" })]
    Unsigned {
        /// The package, or the archive if it was not read.
        package: String,
        /// How many are required.
        required: usize,
    },
    /// There are signatures, but not enough by keys that are trusted.
    #[error("{package} has {n_trusted} of {required} required signatures: {}", .reasons.join("; "))]
    TooFew {
        /// The package, or the archive if it was not read.
        package: String,
        /// How many count.
        n_trusted: usize,
        /// How many are required.
        required: usize,
        /// Why each of the others does not count.
        reasons: Vec<String>,
    },
    /// A signature by a trusted key is wrong: the archive was changed, or files were mixed up.
    #[error("{package} has a wrong signature: {source}")]
    Wrong {
        /// The package, or the archive if it was not read.
        package: String,
        /// What is wrong.
        source: SignError,
    },
    /// The archive was exchanged for another after its signatures were checked, or after it was registered.
    #[error("{package} is not the archive that was checked: that was {expected}, this is {found}")]
    OtherBytes {
        /// The package, or the archive if it was not read.
        package: String,
        /// The digest of what was checked.
        expected: Digest,
        /// The digest of what is there.
        found: Digest,
    },
    /// The key that would have been needed is no longer trusted.
    #[error("the key {name} ({key}), which signed {package}, was revoked at {at}")]
    Revoked {
        /// The package, or the archive if it was not read.
        package: String,
        /// The key's name.
        name: String,
        /// The key.
        key: KeyId,
        /// Since when.
        at: Timestamp,
    },
    /// The time of the key that would have been needed is over.
    #[error("the key {name} ({key}), which signed {package}, has expired at {at}")]
    Expired {
        /// The package, or the archive if it was not read.
        package: String,
        /// The key's name.
        name: String,
        /// The key.
        key: KeyId,
        /// Since when.
        at: Timestamp,
    },
}

impl SignError {
    /// What kind of trouble it is.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::PublicKey { .. } | Self::SecretKey { .. } | Self::PasswordNeeded | Self::Signature { .. } => {
                Class::Invalid
            }
            Self::Mismatch { .. } | Self::OtherPackage { .. } | Self::OtherArchive { .. } => Class::Denied,
        }
    }

    /// The stable code, with a page in `docs/errors`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::PublicKey { .. } => "SIG0001",
            Self::SecretKey { .. } => "SIG0002",
            Self::PasswordNeeded => "SIG0003",
            Self::Signature { .. } => "SIG0004",
            Self::Mismatch { .. } => "SIG0005",
            Self::OtherPackage { .. } => "SIG0006",
            Self::OtherArchive { .. } => "SIG0011",
        }
    }

    /// What to do next.
    #[must_use]
    pub fn hints(&self) -> Vec<String> {
        match self {
            Self::PublicKey { .. } => {
                vec!["a public key is the file NAME.pub, or the line in it that starts with RW".to_owned()]
            }
            Self::SecretKey { .. } => vec!["a secret key is the file NAME.key; check its password".to_owned()],
            Self::PasswordNeeded => vec!["put its password into the variable CLOACINA_KEY_PASSWORD".to_owned()],
            Self::Signature { .. } => {
                vec!["a signature is made by: cloacina-ctl package sign FILE --key NAME".to_owned()]
            }
            Self::Mismatch { .. } => {
                vec!["get the signature from the owner of the key; this one is forged or damaged".to_owned()]
            }
            Self::OtherArchive { .. } => {
                vec!["get the archive and its signature from one place, or sign it again".to_owned()]
            }
            Self::OtherPackage { .. } => vec!["use the signature that was made for this archive".to_owned()],
        }
    }
}

impl Untrusted {
    /// What kind of trouble it is.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Unsigned { .. }
            | Self::TooFew { .. }
            | Self::Wrong { .. }
            | Self::Revoked { .. }
            | Self::Expired { .. }
            | Self::OtherBytes { .. } => Class::Denied,
        }
    }

    /// The stable code, with a page in `docs/errors`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unsigned { .. } => "SIG0007",
            Self::TooFew { .. } => "SIG0008",
            Self::Wrong { source, .. } => source.code(),
            Self::Revoked { .. } => "SIG0009",
            Self::Expired { .. } => "SIG0010",
            Self::OtherBytes { .. } => "SIG0012",
        }
    }

    /// What to do next.
    #[must_use]
    pub fn hints(&self) -> Vec<String> {
        match self {
            Self::Unsigned { .. } => vec![
                "sign it: cloacina-ctl package sign FILE --key NAME".to_owned(),
                "the signature lies beside the archive and is sent along with it".to_owned(),
            ],
            Self::TooFew { .. } => vec![
                "have it signed by a key that is trusted for this package".to_owned(),
                "or trust the key that signed it: cloacina-ctl trust add FILE.pub --name NAME".to_owned(),
            ],
            Self::Wrong { source, .. } => source.hints(),
            Self::OtherBytes { .. } => vec!["register the archive again, from where it was built".to_owned()],
            Self::Revoked { .. } | Self::Expired { .. } => {
                vec!["sign the archive again with a key that is still trusted".to_owned()]
            }
        }
    }
}
