//! Which names entries may have.
//!
//! A name is safe on every file system, and safe to print: letters, digits, `.`, `_`, `+` and `-`, at most two
//! folders deep. What goes wrong is sorted into escapes, absolute paths and everything else.

use crate::error::Error;

/// The longest name that fits a ustar header without being split, less the terminating zero that some readers want.
pub(crate) const NAME_BYTES_MAX: usize = 99;

/// Checks the name of an entry.
pub(crate) fn check_name(name: &[u8]) -> Result<&str, Error> {
    let entry = || printable(name);
    let odd = |reason| Error::OddName { entry: entry(), reason };
    if name.is_empty() {
        return Err(odd("it is empty"));
    }
    if name[0] == b'/' {
        return Err(Error::AbsolutePath { entry: entry() });
    }
    if name.get(1) == Some(&b':') && name[0].is_ascii_alphabetic() {
        return Err(Error::AbsolutePath { entry: entry() });
    }
    if name.split(|&byte| byte == b'/' || byte == b'\\').any(|part| part == b"..") {
        return Err(Error::PathEscape { entry: entry() });
    }
    if name.contains(&b'\\') {
        return Err(odd("it holds a backslash"));
    }
    if name.len() > NAME_BYTES_MAX {
        return Err(odd("it is longer than 99 bytes"));
    }
    for part in name.split(|&byte| byte == b'/') {
        if part.is_empty() || part == b"." {
            return Err(odd("a part of it is empty or `.`"));
        }
        if matches!(part[0], b'.' | b'-') {
            return Err(odd("a part of it starts with `.` or `-`"));
        }
        if !part.iter().all(|&byte| byte.is_ascii_alphanumeric() || b"._+-".contains(&byte)) {
            return Err(odd("it holds other characters than letters, digits, `.`, `_`, `+` and `-`"));
        }
    }
    std::str::from_utf8(name).map_err(|_| odd("it is not UTF-8"))
}

/// Checks the name of a file without folders, such as a library's.
pub(crate) fn check_file_name(name: &str) -> Result<(), Error> {
    check_name(name.as_bytes())?;
    match name.contains('/') {
        true => Err(Error::OddName { entry: name.to_owned(), reason: "it holds a `/`" }),
        false => Ok(()),
    }
}

/// A name as it can be shown, whatever bytes it holds.
pub(crate) fn printable(name: &[u8]) -> String {
    const SHOWN_CHARS_MAX: usize = 120;
    String::from_utf8_lossy(name).escape_debug().take(SHOWN_CHARS_MAX).collect()
}
