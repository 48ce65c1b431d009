//! Secrets that commands read from files and from stdin: passwords and API keys.
//!
//! The end of the last line does not count, as editors add it. The rule is the same wherever a secret is read: a password file with
//! which an account was made is one with which the account logs in.

use std::fs;
use std::io::Read;
use std::path::Path;

use crate::error::Error;

/// The password in that file, or in stdin for `-`.
pub(crate) fn read_password(file: &Path) -> Result<String, Error> {
    read("read the password in", file)
}

/// The API key in that file, or in stdin for `-`. A key has no line ends, so empty lines behind it do not count either.
pub(crate) fn read_key(file: &Path) -> Result<String, Error> {
    Ok(read("read the API key in", file)?.trim_end_matches(['\r', '\n']).to_owned())
}

fn read(action: &'static str, file: &Path) -> Result<String, Error> {
    let mut text = String::new();
    let done = match file.to_str() {
        Some("-") => std::io::stdin().read_to_string(&mut text).map(drop),
        _ => fs::read_to_string(file).map(|read| text = read),
    };
    done.map_err(|source| Error::Io { action, path: file.to_owned(), source })?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    Ok(line.strip_suffix('\r').unwrap_or(line).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_the_last_line_does_not_count() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for (text, password, key) in
            [("a", "a", "a"), ("a\n", "a", "a"), ("a\r\n", "a", "a"), ("a \n\n", "a \n", "a "), ("\n", "", "")]
        {
            fs::write(file.path(), text).unwrap();
            assert_eq!(read_password(file.path()).unwrap(), password, "{text:?}");
            assert_eq!(read_key(file.path()).unwrap(), key, "{text:?}");
        }
        let refused = read_key(Path::new("nothing/there")).unwrap_err().to_string();
        assert!(refused.contains("read the API key in") && refused.contains("nothing/there"), "{refused}");
    }
}
