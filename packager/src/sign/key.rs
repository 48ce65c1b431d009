//! Keys, as files that the stock `minisign` program reads and writes.
//!
//! A secret key is never shown; what is written of it goes to its file alone.

use std::{fmt, str::FromStr};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use minisign::{KeyPair, PublicKeyBox, SecretKeyBox};

use super::{error::SignError, signature::Signature};
use crate::package::Package;

/// Longer texts are not keys.
const TEXT_MAX: usize = 1024;

/// A secret key begins with its method (`Ed`) and how its key is derived from a password (`Sc`), in base 64.
const PROTECTED: &str = "RWRTY";

/// Or it says that it is derived from none: zeros.
const UNPROTECTED: &str = "RWQAA";

/// At the end of a secret key.
const CHECKSUM_LENGTH: usize = 32;

/// Which key: 16 hexadecimal digits, as minisign shows them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(u64);

/// The half of a key that verifies.
#[derive(Clone)]
pub struct PublicKey(pub(super) minisign::PublicKey);

/// The half of a key that signs, and must stay with its owner.
pub struct SecretKey {
    secret: minisign::SecretKey,
    public: PublicKey,
}

impl KeyId {
    pub(super) fn of(number: &[u8]) -> Self {
        Self(number.iter().rev().fold(0, |id, byte| id << 8 | u64::from(*byte)))
    }
}

impl PublicKey {
    /// Reads the text of a public key's file, or the one line of it that matters.
    ///
    /// # Errors
    /// [`SignError::PublicKey`].
    pub fn from_text(text: &str) -> Result<Self, SignError> {
        let refused = |reason: String| SignError::PublicKey { reason };
        if text.len() > TEXT_MAX {
            return Err(refused(format!("it is longer than {TEXT_MAX} bytes")));
        }
        let text = text.trim();
        let key = match text.contains('\n') {
            true => PublicKeyBox::from_string(text).and_then(PublicKeyBox::into_public_key),
            false => minisign::PublicKey::from_base64(text),
        };
        key.map(Self).map_err(|error| refused(error.to_string()))
    }

    /// Which key it is.
    #[must_use]
    pub fn id(&self) -> KeyId {
        KeyId::of(self.0.keynum())
    }

    /// The line by which it can be given on a command line.
    #[must_use]
    pub fn line(&self) -> String {
        self.0.to_base64()
    }

    /// The text of its file.
    #[must_use]
    pub fn text(&self) -> String {
        format!("untrusted comment: minisign public key {}\n{}\n", self.id(), self.line())
    }
}

impl SecretKey {
    /// Makes a new key, and the text of its file; protected by the password if there is one.
    ///
    /// # Errors
    /// [`SignError::SecretKey`] if the system gives no random numbers.
    pub fn generate(password: Option<&str>) -> Result<(Self, String), SignError> {
        let pair = match password {
            None => KeyPair::generate_unencrypted_keypair(),
            Some(password) => KeyPair::generate_encrypted_keypair(Some(password.to_owned())),
        };
        let secret = pair.map_err(refused)?.sk;
        let text = secret.to_box(Some("minisign secret key")).map_err(refused)?.into_string();
        // Read back, so that what is written is known to be usable.
        Ok((Self::from_text(&text, password)?, text))
    }

    /// Reads the text of a secret key's file.
    ///
    /// # Errors
    /// [`SignError::PasswordNeeded`], or [`SignError::SecretKey`].
    pub fn from_text(text: &str, password: Option<&str>) -> Result<Self, SignError> {
        if text.len() > TEXT_MAX {
            return Err(SignError::SecretKey { reason: format!("it is longer than {TEXT_MAX} bytes") });
        }
        if let Some(key) = Self::without_checksum(text) {
            return key;
        }
        let is_protected = text.lines().nth(1).is_some_and(|line| line.starts_with(PROTECTED));
        let read = SecretKeyBox::from_string(text).map_err(refused)?;
        let secret = match (is_protected, password) {
            (false, _) => read.into_unencrypted_secret_key(),
            (true, Some(password)) => read.into_secret_key(Some(password.to_owned())),
            // The library would ask for it on the terminal.
            (true, None) => return Err(SignError::PasswordNeeded),
        };
        Self::whole(secret.map_err(refused)?)
    }

    /// A key without a password as the stock program writes it: with zeros where the library wants a checksum.
    fn without_checksum(text: &str) -> Option<Result<Self, SignError>> {
        let line = text.lines().nth(1)?.trim();
        let bytes = STANDARD.decode(line).ok();
        let bytes = bytes.filter(|bytes| line.starts_with(UNPROTECTED) && bytes.len() > CHECKSUM_LENGTH)?;
        let (_, checksum) = bytes.split_at(bytes.len() - CHECKSUM_LENGTH);
        let has_none = checksum.iter().all(|byte| *byte == 0);
        has_none.then(|| Self::whole(minisign::SecretKey::from_bytes(&bytes).map_err(refused)?))
    }

    fn whole(secret: minisign::SecretKey) -> Result<Self, SignError> {
        let public = minisign::PublicKey::from_secret_key(&secret).map_err(refused)?;
        Ok(Self { secret, public: PublicKey(public) })
    }

    /// The half that others need.
    #[must_use]
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Signs an archive. The facts about the package are in the signature, so that the stock program shows them.
    ///
    /// # Errors
    /// [`SignError::SecretKey`] if the system gives no random numbers.
    pub fn sign(&self, archive: &[u8], package: &Package) -> Result<Signature, SignError> {
        let facts = Signature::facts(package);
        let comment = "signature of a cloacina package";
        let signed = minisign::sign(Some(&self.public.0), &self.secret, archive, Some(&facts), Some(comment));
        Signature::from_text(&signed.map_err(refused)?.into_string())
    }
}

fn refused(error: minisign::PError) -> SignError {
    SignError::SecretKey { reason: error.to_string() }
}

impl fmt::Display for KeyId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:016X}", self.0)
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl FromStr for KeyId {
    type Err = SignError;

    fn from_str(text: &str) -> Result<Self, SignError> {
        let number = (text.len() == 16).then(|| u64::from_str_radix(text, 16).ok()).flatten();
        number
            .map(Self)
            .ok_or_else(|| SignError::PublicKey { reason: format!("{text:?} is not a key id of 16 digits") })
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.to_bytes() == other.0.to_bytes()
    }
}

impl Eq for PublicKey {}

impl fmt::Debug for PublicKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("PublicKey").field(&self.line()).finish()
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SecretKey").field("id", &self.public.id()).finish_non_exhaustive()
    }
}
