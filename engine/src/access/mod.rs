//! Who may ask: tenants, accounts with passwords, API keys, sessions, and the audit log of every change of them.
//!
//! ```text
//! key or password ── Access::identify_key, log_in ──> Identity ──> Caller ──> every other part of the engine
//! Caller ── Access::account_add, key_revoke, … ──> rows and one entry of the audit log, in one transaction
//! ```
//! - A secret is never stored: of a password there is an Argon2id hash, of a key or a refresh token a SHA-256 digest, which
//!   suffices as both have 256 random bits.
//! - A refresh token is used once. It can be exchanged for the same successor for some seconds more, as two windows of one
//!   browser or a lost answer make that ordinary; after that it ends its whole family.
//! - The entries of the audit log of a tenant are a chain: each has the digest of the one before it.
//! - A caller changes what is of its own tenant. What concerns every tenant needs a caller that sees every tenant. What is
//!   of another tenant is unknown to the caller.

mod account;
mod audit;
mod error;
mod handle;
mod key;
mod password;
mod secret;
mod session;

#[cfg(test)]
mod tests;

pub(crate) use self::handle::Gate;
pub use self::{
    account::NewAccount,
    error::Error,
    handle::{Access, Asked},
    key::{IssuedKey, NewKey},
    secret::API_KEY_BEGIN,
    session::{Identity, LoggedIn},
};
