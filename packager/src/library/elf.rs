//! What only ELF files say: needed libraries, search paths, the stack, versions.
//!
//! Needed libraries and search paths are read where the system's loader reads them, by address in the segments that
//! it maps: sections and file offsets may say something else. Versions come from the sections; a lie there only makes loading fail.

use object::elf::{
    DF_1_PIE, DT_AUDIT, DT_AUXILIARY, DT_DEPAUDIT, DT_FILTER, DT_FLAGS_1, DT_NEEDED, DT_NULL, DT_RPATH, DT_RUNPATH,
    DT_STRTAB, FileHeader32, FileHeader64, PF_X, PT_DYNAMIC, PT_GNU_STACK, PT_LOAD,
};
use object::pod::slice_from_bytes;
use object::read::elf::{Dyn, FileHeader, ProgramHeader};
use object::{Endianness, FileKind};

use super::glibc::GlibcVersion;

/// What the dynamic segment says.
#[derive(Debug, Default)]
pub(super) struct Dynamic {
    pub(super) needed: Vec<String>,
    pub(super) search_paths: Vec<String>,
    pub(super) executable_stack: bool,
    pub(super) is_program: bool,
    pub(super) glibc: Option<GlibcVersion>,
}

/// Reads the dynamic facts of an ELF file.
pub(super) fn dynamic(bytes: &[u8]) -> Result<Dynamic, String> {
    match FileKind::parse(bytes).map_err(|error| error.to_string())? {
        FileKind::Elf64 => {
            dynamic_of(FileHeader64::<Endianness>::parse(bytes).map_err(|error| error.to_string())?, bytes)
        }
        FileKind::Elf32 => {
            dynamic_of(FileHeader32::<Endianness>::parse(bytes).map_err(|error| error.to_string())?, bytes)
        }
        _ => Err("it is not an ELF file".to_owned()),
    }
}

fn dynamic_of<Elf: FileHeader<Endian = Endianness>>(header: &Elf, bytes: &[u8]) -> Result<Dynamic, String> {
    let text = |error: object::read::Error| error.to_string();
    let endian = header.endian().map_err(text)?;
    let segments = header.program_headers(endian, bytes).map_err(text)?;
    check_mapping::<Elf>(segments, endian)?;
    // Without the header the system's loader assumes that an executable stack is wanted; of several it takes one.
    let mut stacks = segments.iter().filter(|segment| segment.p_type(endian) == PT_GNU_STACK).peekable();
    let mut facts = Dynamic {
        executable_stack: stacks.peek().is_none() || stacks.any(|segment| segment.p_flags(endian).0 & PF_X.0 != 0),
        glibc: highest_glibc_needed(header, endian, bytes),
        ..Dynamic::default()
    };
    // What lies at an address once the file is mapped, up to the end of its segment.
    let mapped = |address: u64| {
        let loaded = segments.iter().filter(|segment| segment.p_type(endian) == PT_LOAD);
        loaded
            .filter_map(|segment| {
                let offset = address.checked_sub(segment.p_vaddr(endian).into())?;
                segment.data(endian, bytes).ok()?.get(usize::try_from(offset).ok()?..)
            })
            .find(|data| !data.is_empty())
    };
    let tables: Vec<_> = segments.iter().filter(|segment| segment.p_type(endian) == PT_DYNAMIC).collect();
    let [table] = tables.as_slice() else {
        return Err(format!("it has {} dynamic segments, a shared library has one", tables.len()));
    };
    let table =
        mapped(table.p_vaddr(endian).into()).ok_or("its dynamic segment lies outside of the loaded segments")?;
    let (table, _) = slice_from_bytes::<Elf::Dyn>(table, table.len() / size_of::<Elf::Dyn>())
        .map_err(|()| "its dynamic segment is not aligned")?;
    let end = table.iter().position(|entry| entry.tag(endian) == DT_NULL).ok_or("its dynamic segment has no end")?;
    let entries: Vec<_> = table[..end].iter().map(|entry| (entry.tag(endian), entry.val(endian))).collect();
    let value = |wanted| entries.iter().rev().find(|(tag, _)| *tag == wanted).map(|(_, value)| *value);
    let strings = value(DT_STRTAB).ok_or("it has no string table")?;
    let strings = mapped(strings).ok_or("its string table lies outside of the loaded segments")?;
    let name = |offset: u64| {
        let rest = usize::try_from(offset).ok().and_then(|offset| strings.get(offset..));
        let rest = rest.ok_or("a name lies outside of its string table")?;
        let end = rest.iter().position(|&byte| byte == 0).ok_or("a name has no end")?;
        Ok::<_, String>(String::from_utf8_lossy(&rest[..end]).into_owned())
    };
    for (tag, value) in &entries {
        match *tag {
            // Filters and auditors are loaded just as needed libraries are.
            DT_NEEDED | DT_FILTER | DT_AUXILIARY | DT_AUDIT | DT_DEPAUDIT => facts.needed.push(name(*value)?),
            DT_RPATH | DT_RUNPATH => facts.search_paths.push(name(*value)?),
            DT_FLAGS_1 => facts.is_program = value & DF_1_PIE.0 != 0,
            _ => {}
        }
    }
    Ok(facts)
}

/// Segments that are loaded over each other would show a reader of the file something else than what is mapped.
fn check_mapping<Elf: FileHeader<Endian = Endianness>>(
    segments: &[Elf::ProgramHeader],
    endian: Endianness,
) -> Result<(), String> {
    // The smallest page that any known target has.
    const PAGE: u64 = 4096;
    let mut free_from = 0;
    for segment in segments.iter().filter(|segment| segment.p_type(endian) == PT_LOAD) {
        let start: u64 = segment.p_vaddr(endian).into();
        let end = start.checked_add(segment.p_memsz(endian).into()).and_then(|end| end.checked_next_multiple_of(PAGE));
        if start - start % PAGE < free_from {
            return Err("its segments overlap or are not in order".to_owned());
        }
        free_from = end.ok_or("a segment ends beyond the address space")?;
    }
    Ok(())
}

fn highest_glibc_needed<Elf: FileHeader>(header: &Elf, endian: Elf::Endian, bytes: &[u8]) -> Option<GlibcVersion> {
    let sections = header.sections(endian, bytes).ok()?;
    let (mut needs, strings) = sections.gnu_verneed(endian, bytes).ok()??;
    let strings = sections.strings(endian, bytes, strings).ok()?;
    let mut highest = None;
    while let Ok(Some((_, mut versions))) = needs.next() {
        while let Ok(Some(version)) = versions.next() {
            let name = version.name(endian, strings).ok().and_then(|name| std::str::from_utf8(name).ok());
            highest = highest.max(name.and_then(GlibcVersion::of_symbol_version));
        }
    }
    highest
}

/// The highest version that a C library itself defines.
pub(super) fn highest_glibc_defined(bytes: &[u8]) -> Option<GlibcVersion> {
    let header = FileHeader64::<Endianness>::parse(bytes).ok()?;
    let endian = header.endian().ok()?;
    let sections = header.sections(endian, bytes).ok()?;
    let (mut definitions, strings) = sections.gnu_verdef(endian, bytes).ok()??;
    let strings = sections.strings(endian, bytes, strings).ok()?;
    let mut highest = None;
    while let Ok(Some((_, mut names))) = definitions.next() {
        while let Ok(Some(name)) = names.next() {
            let name = name.name(endian, strings).ok().and_then(|name| std::str::from_utf8(name).ok());
            highest = highest.max(name.and_then(GlibcVersion::of_symbol_version));
        }
    }
    highest
}
