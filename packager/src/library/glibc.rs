//! Versions of the GNU C library: the one that a library needs, and the one of this machine.

use std::fmt;
use std::str::FromStr;

/// A version of the GNU C library.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GlibcVersion {
    /// The first number.
    pub major: u32,
    /// The second number.
    pub minor: u32,
}

impl GlibcVersion {
    /// The version of a symbol version such as `GLIBC_2.34` or `GLIBC_2.2.5`; the third number never matters.
    pub(crate) fn of_symbol_version(name: &str) -> Option<GlibcVersion> {
        let mut numbers = name.strip_prefix("GLIBC_")?.split('.').map(str::parse);
        match (numbers.next(), numbers.next()) {
            (Some(Ok(major)), Some(Ok(minor))) => Some(GlibcVersion { major, minor }),
            _ => None,
        }
    }

    /// The version that this process runs with, if it runs with one.
    ///
    /// Reads which C library is mapped and which versions its file defines; nothing is called.
    pub fn of_this_process() -> Option<GlibcVersion> {
        let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
        let path = maps.lines().filter_map(|line| line.split_whitespace().nth(5)).find(|path| {
            let name = path.rsplit('/').next().unwrap_or(path);
            name == "libc.so.6" || name.starts_with("libc-2.")
        })?;
        super::elf::highest_glibc_defined(&std::fs::read(path).ok()?)
    }
}

impl fmt::Display for GlibcVersion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}", self.major, self.minor)
    }
}

impl FromStr for GlibcVersion {
    type Err = String;

    fn from_str(text: &str) -> Result<GlibcVersion, String> {
        GlibcVersion::of_symbol_version(&format!("GLIBC_{text}"))
            .ok_or_else(|| format!("`{text}` is not a version such as 2.36"))
    }
}
