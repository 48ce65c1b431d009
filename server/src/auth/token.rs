//! Access tokens: JSON web tokens (RFC 7519) that say whose password was compared, and until when that holds.
//!
//! There is one algorithm, HMAC with SHA-256, and one header, which is compared as a whole and never read: no token can choose
//! how it is checked. A library for such tokens would bring all other algorithms, with a C library or an RSA implementation
//! under advisory.

use std::{
    fmt, fs,
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    sync::Arc,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use cloacina::Timestamp;
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

/// Seconds for which an access token holds.
pub(crate) const EXPIRES_IN: u64 = 600;

/// Bytes of a key, and of its file.
const KEY_BYTES: usize = 32;

/// The header of every token.
const HEADER: &str = r#"{"alg":"HS256","typ":"JWT"}"#;

/// Who makes the tokens.
const ISSUER: &str = "cloacina";

/// Whom they are for.
const AUDIENCE: &str = "cloacina-api";

/// Characters of a token at most. A name has 128 bytes.
const TOKEN_MAX: usize = 1_024;

/// The key that access tokens are made and checked with. Servers that share a database and a login need the same one.
#[derive(Clone)]
pub(crate) struct TokenKey(Arc<[u8; KEY_BYTES]>);

impl fmt::Debug for TokenKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("TokenKey").finish_non_exhaustive()
    }
}

#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: String,
    iat: u64,
    exp: u64,
}

impl TokenKey {
    /// The key in that file, which is made if it is not there, for its owner alone.
    ///
    /// # Errors
    /// What the system says; or that the file holds something else than a key.
    pub(crate) fn of_file(path: &Path) -> io::Result<Self> {
        match fs::read(path) {
            Ok(bytes) => {
                let found = bytes.len();
                let key: Result<[u8; KEY_BYTES], _> = bytes.try_into();
                key.map(|key| Self(Arc::new(key))).map_err(|_| {
                    io::Error::other(format!("a key has {KEY_BYTES} random bytes, and the file has {found} bytes"))
                })
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::make(path),
            Err(error) => Err(error),
        }
    }

    /// Writes a new key. If another server was faster, its key is taken.
    fn make(path: &Path) -> io::Result<Self> {
        let mut key = [0; KEY_BYTES];
        getrandom::fill(&mut key).map_err(|error| io::Error::other(error.to_string()))?;
        let folder = path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder)?;
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}", std::process::id()));
        let scratch = folder.join(name);
        let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&scratch)?;
        let linked = file.write_all(&key).and_then(|()| file.sync_all()).and_then(|()| fs::hard_link(&scratch, path));
        fs::remove_file(&scratch)?;
        match linked {
            Ok(()) => Ok(Self(Arc::new(key))),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Self::of_file(path),
            Err(error) => Err(error),
        }
    }

    /// A token for that account.
    pub(crate) fn issue(&self, account: &str, now: Timestamp) -> String {
        let iat = now.unix_seconds();
        let claims = Claims {
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            sub: account.to_owned(),
            iat,
            exp: iat + EXPIRES_IN,
        };
        // Texts and numbers are always JSON.
        let claims = serde_json::to_vec(&claims).unwrap_or_default();
        let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(HEADER), URL_SAFE_NO_PAD.encode(claims));
        let code = self.code(&signed).finalize().into_bytes();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(code))
    }

    /// The account of a token that holds.
    pub(crate) fn account(&self, token: &str, now: Timestamp) -> Option<String> {
        if token.len() > TOKEN_MAX {
            return None;
        }
        let (signed, code) = token.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let code = URL_SAFE_NO_PAD.decode(code).ok()?;
        // The comparison takes the same time wherever the difference is.
        self.code(signed).verify_slice(&code).ok()?;
        let claims: Claims = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()?;
        let is_ours = header == URL_SAFE_NO_PAD.encode(HEADER) && claims.iss == ISSUER && claims.aud == AUDIENCE;
        let holds = (claims.iat..claims.exp).contains(&now.unix_seconds());
        (is_ours && holds).then_some(claims.sub)
    }

    fn code(&self, signed: &str) -> Hmac<Sha256> {
        let mut code = Hmac::<Sha256>::new_from_slice(self.0.as_slice()).expect("invariant: a key may have any length");
        code.update(signed.as_bytes());
        code
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_unix_micros(seconds * 1_000_000)
    }

    fn signed(key: &TokenKey, header: &str, claims: &str) -> String {
        let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let code = key.code(&signed).finalize().into_bytes();
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(code))
    }

    #[test]
    fn a_token_holds_for_ten_minutes_and_for_one_key() {
        let (key, other) = (TokenKey(Arc::new([1; KEY_BYTES])), TokenKey(Arc::new([2; KEY_BYTES])));
        let token = key.issue("bob", at(1_000));
        for (seconds, expected) in [(999, false), (1_000, true), (1_599, true), (1_600, false)] {
            assert_eq!(key.account(&token, at(seconds)).is_some(), expected, "{seconds}");
        }
        assert_eq!(key.account(&token, at(1_000)).as_deref(), Some("bob"));
        assert_eq!(other.account(&token, at(1_000)), None);
    }

    #[test]
    fn a_token_cannot_choose_how_it_is_checked() {
        let key = TokenKey(Arc::new([1; KEY_BYTES]));
        let claims = r#"{"iss":"cloacina","aud":"cloacina-api","sub":"bob","iat":1000,"exp":1600}"#;
        let holds = |token: &str| key.account(token, at(1_000)).is_some();
        assert!(holds(&signed(&key, HEADER, claims)));
        let none = format!("{}.{}.", URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#), URL_SAFE_NO_PAD.encode(claims));
        let wrong = [
            none,
            signed(&key, r#"{"alg":"none"}"#, claims),
            signed(&key, r#"{"alg":"HS512","typ":"JWT"}"#, claims),
            signed(&key, HEADER, &claims.replace("cloacina-api", "elsewhere")),
            signed(&key, HEADER, &claims.replace("\"cloacina\"", "\"eve\"")),
            signed(&key, HEADER, "{}"),
            signed(&key, HEADER, claims).replace('.', ".."),
            format!("{}=", signed(&key, HEADER, claims)),
            "x".repeat(1 << 20),
            "..".to_owned(),
            String::new(),
        ];
        for token in wrong {
            assert!(!holds(&token), "{token}");
        }
    }

    #[test]
    fn a_key_is_made_once_and_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data/token.key");
        let made = TokenKey::of_file(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(TokenKey::of_file(&path).unwrap().0, made.0);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing else is left");
        assert_eq!(TokenKey::make(&path).unwrap().0, made.0, "the one that was faster is taken");
        fs::write(&path, "short").unwrap();
        assert!(TokenKey::of_file(&path).is_err());
        assert!(!format!("{made:?}").contains(&format!("{:?}", made.0[0])));
    }
}
