//! SHA-256 digests: the identity of a file and of a package's content.
//!
//! Owns the one textual form, `sha256:<64 lower-case hex digits>`, and the rule by which the digests of several
//! files become one content digest. A digest is never compared as text and never abbreviated in data; `short` is
//! for people's eyes only.

use std::fmt;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

/// A SHA-256 digest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of some bytes.
    pub fn of(bytes: &[u8]) -> Digest {
        Digest(Sha256::digest(bytes).into())
    }

    /// The content digest: of the lines `<hex>  <path>\n`, sorted by path, in the format of `sha256sum`.
    ///
    /// It depends on paths and contents alone, so it is the same whatever compressor wrote the archive.
    pub fn of_content<'a>(files: impl IntoIterator<Item = (&'a str, Digest)>) -> Digest {
        let mut files: Vec<_> = files.into_iter().collect();
        files.sort_unstable();
        let mut hasher = Sha256::new();
        for (path, digest) in files {
            hasher.update(format!("{}  {path}\n", digest.hex()));
        }
        Digest(hasher.finalize().into())
    }

    /// Takes a digest that was computed elsewhere.
    pub fn from_bytes(bytes: [u8; 32]) -> Digest {
        Digest(bytes)
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The 64 lower-case hex digits, without the `sha256:` in front.
    pub fn hex(&self) -> String {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut hex = String::with_capacity(64);
        for byte in self.0 {
            hex.push(char::from(DIGITS[usize::from(byte >> 4)]));
            hex.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
        hex
    }

    /// The first 12 hex digits, for people.
    pub fn short(&self) -> String {
        let mut hex = self.hex();
        hex.truncate(12);
        hex
    }

    /// Reads 64 lower-case hex digits.
    pub fn from_hex(hex: &str) -> Result<Digest, DigestError> {
        let malformed = || DigestError { text: hex.to_owned() };
        if hex.len() != 64 {
            return Err(malformed());
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
            let high = hex_value(pair[0]).ok_or_else(malformed)?;
            let low = hex_value(pair[1]).ok_or_else(malformed)?;
            *byte = high << 4 | low;
        }
        Ok(Digest(bytes))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "sha256:{}", self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Digest, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Digest, DigestError> {
        let hex = text.strip_prefix("sha256:").ok_or_else(|| DigestError { text: text.to_owned() })?;
        Digest::from_hex(hex)
    }
}

/// Text that is not a digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a digest: expected `sha256:` and 64 lower-case hex digits")]
pub struct DigestError {
    /// The text as given.
    pub text: String,
}

/// Upper case is refused, so that one digest has one spelling.
fn hex_value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn a_digest_survives_being_printed_and_read() {
        let digest = Digest::of(b"");
        assert_eq!(digest.hex(), EMPTY);
        assert_eq!(digest.to_string(), format!("sha256:{EMPTY}"));
        assert_eq!(digest.to_string().parse::<Digest>(), Ok(digest));
        assert_eq!(digest.short(), &EMPTY[..12]);
    }

    #[test]
    fn other_spellings_of_a_digest_are_refused() {
        for text in ["", "sha256:", EMPTY, &format!("sha256:{}", EMPTY.to_uppercase()), &format!("sha256:{EMPTY}0")] {
            assert!(text.parse::<Digest>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_content_digest_does_not_depend_on_the_order_of_the_files() {
        let (a, b) = (Digest::of(b"a"), Digest::of(b"b"));
        assert_eq!(Digest::of_content([("x", a), ("y", b)]), Digest::of_content([("y", b), ("x", a)]));
        assert_ne!(Digest::of_content([("x", a), ("y", b)]), Digest::of_content([("x", b), ("y", a)]));
        let lines = format!("{}  x\n{}  y\n", a.hex(), b.hex());
        assert_eq!(Digest::of_content([("x", a), ("y", b)]), Digest::of(lines.as_bytes()));
    }
}
