//! Secret values that may stand in a file which others can read: encrypted with a key that they do not have.
//!
//! XChaCha20-Poly1305 with a random nonce for each value (draft-irtf-cfrg-xchacha-03). The name of the setting is a part of
//! what is authenticated, so that a value cannot be moved to another setting.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};

/// The bytes of a key.
pub(super) const KEY_BYTES: usize = 32;

/// The bytes of a nonce, which stands before the encrypted text.
const NONCE_BYTES: usize = 24;

/// A key for secret values.
pub(super) struct SealKey([u8; KEY_BYTES]);

impl SealKey {
    /// A new key.
    ///
    /// # Errors
    /// If the system has no random bytes.
    pub(super) fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; KEY_BYTES];
        getrandom::fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// The key that a line of text says; none if it says none.
    pub(super) fn parse(text: &str) -> Option<Self> {
        STANDARD.decode(text.trim()).ok()?.try_into().ok().map(Self)
    }

    /// The line of text that says the key.
    pub(super) fn line(&self) -> String {
        STANDARD.encode(self.0)
    }

    /// Encrypts the value of a setting.
    ///
    /// # Errors
    /// If the system has no random bytes.
    pub(super) fn seal(&self, name: &str, value: &str) -> Result<String, getrandom::Error> {
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce)?;
        let payload = Payload { msg: value.as_bytes(), aad: name.as_bytes() };
        let sealed = self.cipher().encrypt(&XNonce::from(nonce), payload);
        let sealed = sealed.expect("invariant: a value is far smaller than what the cipher takes");
        Ok(STANDARD.encode([nonce.as_slice(), &sealed].concat()))
    }

    /// Decrypts the value of a setting; none if it was encrypted with another key, for another setting, or changed since.
    pub(super) fn open(&self, name: &str, sealed: &str) -> Option<String> {
        let bytes = STANDARD.decode(sealed.trim()).ok()?;
        let (nonce, sealed) = bytes.split_at_checked(NONCE_BYTES)?;
        let nonce: [u8; NONCE_BYTES] = nonce.try_into().ok()?;
        let payload = Payload { msg: sealed, aad: name.as_bytes() };
        String::from_utf8(self.cipher().decrypt(&XNonce::from(nonce), payload).ok()?).ok()
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(&Key::from(self.0))
    }
}

impl std::fmt::Debug for SealKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("SealKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_key_opens_and_only_for_the_setting() {
        let key = SealKey::random().unwrap();
        let sealed = key.seal("database.url", "postgres://a:b@c/d").unwrap();
        assert_eq!(key.open("database.url", &sealed).as_deref(), Some("postgres://a:b@c/d"));
        assert_eq!(
            SealKey::parse(&format!("{}\n", key.line())).unwrap().open("database.url", &sealed),
            key.open("database.url", &sealed)
        );
        assert_eq!(key.open("server.listen", &sealed), None);
        assert_eq!(SealKey::random().unwrap().open("database.url", &sealed), None);
        let changed = format!("A{}", &sealed[1..]);
        assert!(changed == sealed || key.open("database.url", &changed).is_none());
        assert_eq!(key.open("database.url", "AAAA"), None);
        assert!(SealKey::parse("AAAA").is_none());
    }
}
