//! Passwords: what they may be, and their Argon2id hashes.
//!
//! A hash takes 19 MiB and tens of milliseconds on purpose, so few are made at once, on threads that may block.

use std::sync::Arc;

use argon2::{
    Argon2,
    password_hash::{PasswordHasher, PasswordVerifier},
};
use tokio::sync::Semaphore;

use super::Error;

/// Bytes of a password at least.
const BYTES_MIN: usize = 12;

/// Bytes of a password at most: a longer one takes long to hash, which a stranger could ask for.
pub(super) const BYTES_MAX: usize = 1_024;

/// Hashes that are made at once: more would take the memory and the cores of what the server is for.
const AT_ONCE: usize = 2;

/// A hash of no password, of the usual costs: an account that is not there takes the time of one that is.
const DECOY: &str = "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Makes and compares hashes of passwords, a few at a time.
#[derive(Clone, Debug)]
pub(super) struct Hasher {
    turns: Arc<Semaphore>,
}

impl Hasher {
    pub(super) fn new() -> Self {
        Self { turns: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// The hash of a new password, as a PHC string.
    pub(super) async fn hash(&self, password: String) -> Result<String, Error> {
        check(&password)?;
        self.work(move || {
            let hashed = Argon2::default().hash_password(password.as_bytes());
            hashed.map(|hash| hash.to_string()).map_err(|error| Error::Secret { reason: error.to_string() })
        })
        .await?
    }

    /// Whether that is the password of the hash. Without a hash it takes as long, and is not.
    pub(super) async fn is_right(&self, password: String, hash: Option<String>) -> Result<bool, Error> {
        if password.len() > BYTES_MAX {
            return Ok(false);
        }
        self.work(move || {
            let compared = hash.as_deref().unwrap_or(DECOY);
            let is_right = Argon2::default().verify_password(password.as_bytes(), compared).is_ok();
            is_right && hash.is_some()
        })
        .await
    }

    async fn work<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
        let failed = |error: String| Error::Secret { reason: error };
        let turn = Arc::clone(&self.turns).acquire_owned().await.map_err(|error| failed(error.to_string()))?;
        let done = tokio::task::spawn_blocking(move || {
            let done = work();
            drop(turn);
            done
        });
        done.await.map_err(|error| failed(error.to_string()))
    }
}

/// Refuses a password that is too short or too long.
fn check(password: &str) -> Result<(), Error> {
    match password.len() {
        ..BYTES_MIN => Err(Error::Password { reason: "it has less than 12 bytes" }),
        BYTES_MIN..=BYTES_MAX => Ok(()),
        _ => Err(Error::Password { reason: "it has more than 1,024 bytes" }),
    }
}

#[cfg(test)]
mod tests {
    use argon2::password_hash::phc::PasswordHash;

    use super::*;

    #[test]
    fn a_password_has_twelve_bytes_at_least_and_a_thousand_at_most() {
        for (length, expected) in [(0, false), (11, false), (12, true), (1_024, true), (1_025, false)] {
            assert_eq!(check(&"x".repeat(length)).is_ok(), expected, "{length}");
        }
    }

    #[test]
    fn the_decoy_costs_what_a_new_hash_costs() {
        let new = Argon2::default().hash_password(b"correct horse").unwrap();
        let decoy = PasswordHash::new(DECOY).unwrap();
        assert_eq!((decoy.algorithm, decoy.version, &decoy.params), (new.algorithm, new.version, &new.params));
        assert_eq!(decoy.hash.unwrap().len(), new.hash.unwrap().len());
    }
}
