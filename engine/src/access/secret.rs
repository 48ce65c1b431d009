//! Random secrets, their text, and what is kept of them.

use cloacina_packager::Digest;

use super::Error;

/// What every API key begins with, so that a scanner of leaked secrets finds it.
pub const API_KEY_BEGIN: &str = "clk_";

/// Digits of the id of a key.
const ID_DIGITS: usize = 16;

/// Digits of the random part of a key.
const SECRET_DIGITS: usize = 64;

/// Tells the sealing of a refresh token's successor from every other use of the token.
const SEAL: &[u8] = b"cloacina: the successor of a refresh token\0";

/// Random bytes of the system.
pub(super) fn random<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| Error::Secret { reason: error.to_string() })?;
    Ok(bytes)
}

/// Bytes as hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A new API key: its id, its text, and what is kept of it.
pub(super) fn new_key() -> Result<(String, String, Digest), Error> {
    let id = hex(&random::<8>()?);
    let text = format!("{API_KEY_BEGIN}{id}_{}", hex(&random::<32>()?));
    let kept = Digest::of(text.as_bytes());
    Ok((id, text, kept))
}

/// The id in the text of an API key; none if the text is not a key.
pub(super) fn id_of_key(text: &str) -> Option<&str> {
    let (id, secret) = text.strip_prefix(API_KEY_BEGIN)?.split_once('_')?;
    let is_hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    (id.len() == ID_DIGITS && secret.len() == SECRET_DIGITS && is_hex(id) && is_hex(secret)).then_some(id)
}

/// Whether that is the secret of which the digest was kept. The time that it takes tells nothing about the digest.
pub(super) fn is_secret(text: &str, kept: &Digest) -> bool {
    let given = Digest::of(text.as_bytes());
    let pairs = given.as_bytes().iter().zip(kept.as_bytes());
    let difference = pairs.fold(0, |difference, (one, other)| std::hint::black_box(difference | (one ^ other)));
    difference == 0
}

/// Seals a successor with the token that it came out of, and opens it again. The digest that is kept of the token does not
/// open it. Each token seals one successor, so that no two texts are hidden by the same bytes.
pub(super) fn seal(token: &str, successor: &[u8; 32]) -> [u8; 32] {
    let hiding = Digest::of(&[SEAL, token.as_bytes()].concat());
    let mut sealed = *successor;
    sealed.iter_mut().zip(hiding.as_bytes()).for_each(|(byte, hidden)| *byte ^= hidden);
    sealed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_by_its_id_and_known_by_its_text() {
        let (id, text, kept) = new_key().unwrap();
        assert_eq!(id_of_key(&text), Some(id.as_str()));
        assert!(is_secret(&text, &kept) && !is_secret(&text.replace("clk_", "clk-"), &kept));
        let short = &text[..text.len() - 1];
        for wrong in [
            "",
            "clk_",
            "clk__",
            short,
            &text.replace('_', "-"),
            &format!("{text}0"),
            &format!("{short}g"),
            &format!("{short}ü"),
        ] {
            assert_eq!(id_of_key(wrong), None, "{wrong}");
        }
        assert_ne!(new_key().unwrap().1, text);
    }

    #[test]
    fn only_the_token_opens_what_it_sealed() {
        let (token, successor) = (hex(&random::<32>().unwrap()), random::<32>().unwrap());
        let sealed = seal(&token, &successor);
        assert_ne!(sealed, successor);
        assert_eq!(seal(&token, &sealed), successor);
        assert_ne!(seal("another", &sealed), successor);
        let kept = Digest::of(token.as_bytes());
        assert_ne!(seal(&kept.hex(), &sealed), successor);
    }
}
