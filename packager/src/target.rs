//! The targets that an archive may hold libraries for.
//!
//! A closed list: a triple that cannot be checked against the machine of a file is not allowed in a manifest.

use std::fmt;

use object::{Architecture, BinaryFormat};

/// A target triple that is known.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Target(&'static Row);

#[derive(PartialEq, Eq)]
struct Row {
    triple: &'static str,
    architecture: Architecture,
    format: BinaryFormat,
}

const fn row(triple: &'static str, architecture: Architecture, format: BinaryFormat) -> Row {
    Row { triple, architecture, format }
}

static ROWS: [Row; 10] = [
    row("x86_64-unknown-linux-gnu", Architecture::X86_64, BinaryFormat::Elf),
    row("aarch64-unknown-linux-gnu", Architecture::Aarch64, BinaryFormat::Elf),
    row("riscv64gc-unknown-linux-gnu", Architecture::Riscv64, BinaryFormat::Elf),
    row("powerpc64le-unknown-linux-gnu", Architecture::PowerPc64, BinaryFormat::Elf),
    row("s390x-unknown-linux-gnu", Architecture::S390x, BinaryFormat::Elf),
    row("x86_64-unknown-linux-musl", Architecture::X86_64, BinaryFormat::Elf),
    row("aarch64-unknown-linux-musl", Architecture::Aarch64, BinaryFormat::Elf),
    row("x86_64-apple-darwin", Architecture::X86_64, BinaryFormat::MachO),
    row("aarch64-apple-darwin", Architecture::Aarch64, BinaryFormat::MachO),
    row("x86_64-pc-windows-msvc", Architecture::X86_64, BinaryFormat::Pe),
];

impl Target {
    /// The target of that triple, if it is known.
    pub fn find(triple: &str) -> Option<Target> {
        ROWS.iter().find(|row| row.triple == triple).map(Target)
    }

    /// The first target of such files; the GNU one where a file does not tell.
    pub(crate) fn of_file(architecture: Architecture, format: BinaryFormat) -> Option<Target> {
        ROWS.iter().find(|row| row.architecture == architecture && row.format == format).map(Target)
    }

    /// The target that this program was built for.
    pub fn host() -> Option<Target> {
        let arch = match std::env::consts::ARCH {
            "riscv64" => "riscv64gc",
            "powerpc64" => "powerpc64le",
            arch => arch,
        };
        let system = match std::env::consts::OS {
            "linux" if cfg!(target_env = "musl") => "unknown-linux-musl",
            "linux" => "unknown-linux-gnu",
            "macos" => "apple-darwin",
            "windows" => "pc-windows-msvc",
            _ => return None,
        };
        Target::find(&format!("{arch}-{system}"))
    }

    /// The triple.
    pub fn triple(self) -> &'static str {
        self.0.triple
    }

    /// Whether a file of that machine and format can be for this target.
    pub(crate) fn fits(self, architecture: Architecture, format: BinaryFormat) -> bool {
        self.0.architecture == architecture && self.0.format == format
    }
}

impl fmt::Display for Target {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.triple())
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.triple())
    }
}

/// The triples that are known.
pub(crate) fn known() -> Vec<&'static str> {
    ROWS.iter().map(|row| row.triple).collect()
}
