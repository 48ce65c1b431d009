//! Signatures of archives, in the format of minisign, and the policy of trusted keys.
//!
//! ```text
//! <archive>.<key id>.minisig    untrusted comment: signature of a cloacina package
//!                               <signature of the archive's bytes>
//!                               trusted comment: cloacina package=… version=… digest=sha256:…
//!                               <signature of the signature and the trusted comment>
//! ```
//! A signature is detached, covers the archive's bytes as they were sent, and is checked before anything is
//! decompressed. The stock `minisign` program verifies it, and signatures that it made are as good. Signatures by the
//! older method, without hashing first, are refused.
//!
//! [`Policy::check`] is the one place where it is decided whether a package is trusted; only what it lets through, or
//! what was loudly taken unsigned, is [`crate::Verified`].

mod error;
mod key;
mod signature;
mod trust;

pub use self::{
    error::{SignError, Untrusted},
    key::{KeyId, PublicKey, SecretKey},
    signature::Signature,
    trust::{Examined, Policy, Scope, Signer, TrustedKey},
};
