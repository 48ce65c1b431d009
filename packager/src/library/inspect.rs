//! Reads a library file.
//!
//! Finds the descriptor in its link section and the exported entry point; a library for another major version of the
//! ABI is distinguished from a library that is not a package.

use cloacina_workflow::descriptor::{self, Descriptor};
use object::{BinaryFormat, Object, ObjectKind, ObjectSection};

use super::elf;
use super::facts::LibraryFacts;
use crate::error::Error;
use crate::mistake::{Mistake, MistakeKind};

/// The major version of the ABI, as it stands in the entry point's name.
pub(crate) const ABI_MAJOR: u32 = 1;
/// What the entry points of all major versions have in common.
const ENTRY_POINT: &str = "cloacina_package_v";
/// The largest section: more than twice what 50,000 tasks need, and small enough to be parsed from a stranger.
const SECTION_BYTES_MAX: usize = 32 << 20;
/// The names of the link section, by kind of file.
const SECTIONS: [&str; 3] = [descriptor::SECTION, "__cloacina", ".clcn"];

/// Gathers what is known of a library; `library` is its name in the errors.
pub fn inspect(library: &str, bytes: &[u8]) -> Result<LibraryFacts, Error> {
    let not_a_library = |reason: String| Error::NotALibrary { library: library.to_owned(), reason };
    let file = object::File::parse(bytes).map_err(|error| not_a_library(reason(&error.to_string(), bytes)))?;
    if file.kind() != ObjectKind::Dynamic {
        return Err(not_a_library(match file.kind() {
            ObjectKind::Relocatable => "it is an object file that was not linked".to_owned(),
            ObjectKind::Executable => "it is a program".to_owned(),
            ObjectKind::Core => "it is a core dump".to_owned(),
            _ => "it is of another kind".to_owned(),
        }));
    }
    let dynamic = match file.format() {
        BinaryFormat::Elf => elf::dynamic(bytes).map_err(not_a_library)?,
        _ => elf::Dynamic::default(),
    };
    if dynamic.is_program {
        return Err(not_a_library("it is a program".to_owned()));
    }
    let exports = file.exports().and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let mut exports: Vec<String> = exports
        .map_err(|error| not_a_library(error.to_string()))?
        .iter()
        .filter_map(|export| export.name().name().map(|name| String::from_utf8_lossy(name).into_owned()))
        // Mach-O puts an underscore in front of every name of C.
        .map(|name| match file.format() {
            BinaryFormat::MachO => name.strip_prefix('_').unwrap_or(&name).to_owned(),
            _ => name,
        })
        .collect();
    exports.sort_unstable();
    let section = SECTIONS.iter().find_map(|name| file.section_by_name(name));
    let data = section.map(|section| section.data()).transpose();
    let data = data.map_err(|error| unreadable(library, error.to_string()))?;
    let descriptor = check_entry_point(library, &exports, data)?;
    Ok(LibraryFacts {
        architecture: file.architecture(),
        format: file.format(),
        needed: dynamic.needed,
        search_paths: dynamic.search_paths,
        executable_stack: dynamic.executable_stack,
        glibc: dynamic.glibc,
        exports,
        descriptor,
    })
}

/// The descriptor of a library with an entry point that this program can call.
fn check_entry_point(library: &str, exports: &[String], section: Option<&[u8]>) -> Result<Descriptor, Error> {
    let symbol = format!("{ENTRY_POINT}{ABI_MAJOR}");
    let other_abi = |found: String| Error::OtherAbi {
        library: library.to_owned(),
        found,
        expected: format!("{ABI_MAJOR} (`{symbol}`)"),
    };
    let has_entry_point = exports.contains(&symbol);
    if !has_entry_point {
        // Another major version may have another descriptor too, so this comes before reading it.
        let mut majors = exports.iter().filter_map(|name| name.strip_prefix(ENTRY_POINT));
        if let Some(major) = majors.find(|major| major.parse::<u32>().is_ok()) {
            return Err(other_abi(format!("{major} (`{ENTRY_POINT}{major}`)")));
        }
    }
    let section = section.filter(|section| !section.is_empty());
    let section = section.ok_or_else(|| Error::NoWorkflow { library: library.to_owned() })?;
    if section.len() > SECTION_BYTES_MAX {
        return Err(unreadable(library, format!("it has more than {SECTION_BYTES_MAX} bytes")));
    }
    let descriptor = Descriptor::from_section(section).map_err(|error| explain(library, error))?;
    if !has_entry_point {
        return Err(Error::NoEntryPoint { library: library.to_owned(), symbol });
    }
    match descriptor.abi.split_once('.') {
        Some((major, minor)) if major.parse() == Ok(ABI_MAJOR) && minor.parse::<u32>().is_ok() => Ok(descriptor),
        _ => Err(other_abi(format!("`{}`", descriptor.abi))),
    }
}

fn explain(library: &str, error: descriptor::Error) -> Error {
    let mistake = |kind| Error::Mistakes { mistakes: vec![Mistake { workflow: None, task: None, line: None, kind }] };
    match error {
        descriptor::Error::Empty => Error::NoWorkflow { library: library.to_owned() },
        descriptor::Error::Disagree { member, first, second } => {
            mistake(MistakeKind::Disagree { member, first, second })
        }
        descriptor::Error::Duplicate { workflow } => mistake(MistakeKind::DuplicateWorkflow { name: workflow }),
        other => unreadable(library, other.to_string()),
    }
}

fn unreadable(library: &str, reason: String) -> Error {
    Error::DescriptorUnreadable { library: library.to_owned(), reason }
}

/// Says of the usual mix-ups what they are.
fn reason(parser: &str, bytes: &[u8]) -> String {
    match bytes {
        [] => "it is empty".to_owned(),
        [b'!', b'<', b'a', b'r', b'c', b'h', b'>', ..] => "it is a static library".to_owned(),
        [b'#', b'!', ..] => "it is a script".to_owned(),
        [0x1f, 0x8b, ..] => "it is a gzip file".to_owned(),
        _ => parser.to_lowercase(),
    }
}
