//! One signature, read as hostile text: bounded, and of exactly four lines of known lengths before it is decoded.
//!
//! What a signature says of its package, in the comment that is signed along, counts only together with the bytes that
//! it is for. Nothing here decides which key is trusted.

use std::{
    fmt,
    io::Cursor,
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use minisign::{SignatureBones, SignatureBox};

use super::{
    error::SignError,
    key::{KeyId, PublicKey},
};
use crate::package::Package;

/// Longer texts are not signatures.
const TEXT_MAX: usize = 4096;

/// What 74 bytes (method, key id, signature) and 64 bytes have in base 64.
const LINE_LENGTHS: [(usize, usize); 2] = [(1, 100), (3, 88)];

/// Before the signature itself: two letters for the method, eight bytes for the key.
const HEAD_LENGTH: usize = 10;

/// The method that signs bytes as they are, without hashing them first.
const PLAIN: &[u8] = b"Ed";

/// With this the trusted comment of a signature of ours begins.
const FACTS: &str = "cloacina ";

/// A signature over an archive's bytes.
#[derive(Clone)]
pub struct Signature {
    text: String,
    read: SignatureBox,
}

impl Signature {
    /// Reads the text of a signature's file.
    ///
    /// # Errors
    /// [`SignError::Signature`].
    pub fn from_text(text: &str) -> Result<Self, SignError> {
        let refused = |reason: String| SignError::Signature { reason };
        if text.len() > TEXT_MAX {
            return Err(refused(format!("it is longer than {TEXT_MAX} bytes")));
        }
        let lines: Vec<&str> = text.lines().collect();
        if lines.len() != 4 {
            return Err(refused(format!("it has {} lines, and should have 4", lines.len())));
        }
        for (line, length) in LINE_LENGTHS {
            if lines[line].len() != length {
                return Err(refused(format!("line {} is not {length} letters long", line + 1)));
            }
        }
        let read = SignatureBox::from_string(text).map_err(|error| refused(error.to_string()))?;
        if !read.is_prehashed() {
            return Err(refused("it was made by the older method, without hashing first".to_owned()));
        }
        Ok(Self { text: text.to_owned(), read })
    }

    /// The key that is said to have made it.
    #[must_use]
    pub fn key_id(&self) -> KeyId {
        KeyId::of(self.read.keynum())
    }

    /// The text of its file.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Where it is kept beside an archive: `<archive>.<key id>.minisig`.
    #[must_use]
    pub fn path_beside(&self, archive: &Path) -> PathBuf {
        let mut path = archive.as_os_str().to_owned();
        path.push(format!(".{}.minisig", self.key_id()));
        path.into()
    }

    /// The comment that is signed along; for people, until the signature is verified.
    #[must_use]
    pub fn comment(&self) -> String {
        self.read.trusted_comment().unwrap_or_default()
    }

    /// Whether that key made it over these bytes.
    ///
    /// # Errors
    /// [`SignError::OtherArchive`] if the key made it over others, otherwise [`SignError::Mismatch`].
    pub fn verify(&self, archive: &[u8], key: &PublicKey) -> Result<(), SignError> {
        let verified = minisign::verify(&key.0, &self.read, Cursor::new(archive), true, false, false);
        verified.map_err(|_| match self.is_made_by(key) {
            true => SignError::OtherArchive { key: self.key_id(), stated: self.comment() },
            false => SignError::Mismatch { key: self.key_id() },
        })
    }

    /// Whether that key made it, over whatever. The last line is a plain signature of the one over the archive with the
    /// comment, which is what an old signature without a comment would be over such bytes.
    fn is_made_by(&self, key: &PublicKey) -> bool {
        let lines: Vec<&str> = self.text.lines().collect();
        let [_, over_archive, _, over_both] = lines.as_slice() else { return false };
        let (Ok(over_archive), Ok(over_both)) = (STANDARD.decode(over_archive), STANDARD.decode(over_both)) else {
            return false;
        };
        if !self.read.is_prehashed() || over_archive.len() != HEAD_LENGTH + over_both.len() {
            return false;
        }
        let (head, over_archive) = over_archive.split_at(HEAD_LENGTH);
        let plain = [PLAIN, &head[PLAIN.len()..], &over_both].concat();
        let signed = [over_archive, self.comment().as_bytes()].concat();
        let Ok(plain) = SignatureBones::from_bytes(&plain) else { return false };
        minisign::verify(&key.0, &plain.into(), Cursor::new(signed), true, false, true).is_ok()
    }

    /// Whether what the signature says of its package is true of this one. Signatures of the stock program say nothing.
    ///
    /// # Errors
    /// [`SignError::OtherPackage`].
    pub fn check_facts(&self, package: &Package) -> Result<(), SignError> {
        let (stated, found) = (self.comment(), Self::facts(package));
        match stated.starts_with(FACTS) && stated != found {
            true => Err(SignError::OtherPackage { key: self.key_id(), stated, found }),
            false => Ok(()),
        }
    }

    pub(super) fn facts(package: &Package) -> String {
        let descriptor = package.descriptor();
        let digest = package.content_digest();
        format!("{FACTS}package={} version={} digest={digest}", descriptor.package, descriptor.version)
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Signature").field("key", &self.key_id()).field("comment", &self.comment()).finish()
    }
}
