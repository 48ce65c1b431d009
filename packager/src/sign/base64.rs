//! The letters in which keys and signatures are written.
//!
//! Only for looking into what the library that signs keeps to itself. What is read here is checked by that library, so
//! this reader need not be strict; it never panics.

/// The bytes of a text in base 64 whose length is a multiple of four.
pub(super) fn base64(text: &str) -> Option<Vec<u8>> {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let text = text.trim_end_matches('=');
    for four in text.as_bytes().chunks(4) {
        let mut number = 0_u32;
        for letter in four {
            let place = LETTERS.iter().position(|known| known == letter)?;
            number = number << 6 | u32::try_from(place).ok()?;
        }
        let n_missing = 4 - four.len();
        number <<= 6 * n_missing;
        bytes.extend_from_slice(&number.to_be_bytes()[1..4 - n_missing]);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::base64;

    #[test]
    fn text_is_read_as_others_write_it() {
        for (text, expected) in [("", ""), ("TQ==", "M"), ("TWE=", "Ma"), ("TWFu", "Man"), ("TWFuTQ==", "ManM")] {
            assert_eq!(base64(text).unwrap(), expected.as_bytes(), "{text}");
        }
        for text in ["T?==", "é", "TW u"] {
            assert_eq!(base64(text), None, "{text}");
        }
        assert_eq!(base64("T").unwrap(), b"");
    }
}
