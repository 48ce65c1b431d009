//! The file of a library: its digest checked, mapped into the process, its one symbol called.
//!
//! A mapped library is never unmapped. Unloading one that had started a thread or touched a thread-local with a
//! destructor leaves pointers into memory that is gone; so the handle is put where nothing drops it. Never reads
//! what the library's table means.

use std::{ffi::c_int, fs, mem::ManuallyDrop, path::Path};

use cloacina_packager::Digest;
use cloacina_workflow::abi::{ENTRY_SYMBOL, PackageV1};

use super::Error;

/// A library that is mapped for the rest of the process.
#[derive(Debug)]
pub(super) struct Image {
    /// Kept and never dropped: dropping it would unmap the code.
    _library: ManuallyDrop<libloading::Library>,
}

/// Maps the file, if it still is the one with that digest, and asks it for its table.
///
/// Constructors of the library run here, so this is the first moment at which its code is trusted. The file could be
/// changed between the check and the mapping by a user who may write to the packages folder; such a user may also
/// replace the engine. The check is against accidents and leftovers.
pub(super) fn load(path: &Path, digest: Digest) -> Result<(Image, *const PackageV1), Error> {
    let bytes = fs::read(path).map_err(|source| Error::Read { path: path.to_owned(), source })?;
    let found = Digest::of(&bytes);
    if found != digest {
        return Err(Error::Changed { path: path.to_owned(), expected: digest, found });
    }
    let library = map(path).map_err(|source| Error::Open { path: path.to_owned(), source })?;
    let library = ManuallyDrop::new(library);
    // SAFETY: the symbol's name holds the version of its signature; a library that exports it promises that one.
    let entry = unsafe { library.get::<Entry>(ENTRY_SYMBOL) };
    let entry = entry
        .map_err(|source| Error::Symbol { path: path.to_owned(), symbol: ENTRY_SYMBOL, source })
        .map(|entry| *entry)?;
    // SAFETY: the function takes nothing and returns a pointer that is checked before it is followed.
    let table = unsafe { entry() };
    Ok((Image { _library: library }, table))
}

/// Maps a file for the rest of the process and calls nothing of it but its constructors.
#[cfg(any(feature = "testing", feature = "measuring"))]
pub(crate) fn map_for_good(path: &Path) -> Result<(), libloading::Error> {
    let _library = ManuallyDrop::new(map(path)?);
    Ok(())
}

type Entry = unsafe extern "C" fn() -> *const PackageV1;

/// All symbols bound at once, so that a missing one is an error here and not a crash in a task; none of them visible
/// to other libraries, so that two packages with the same symbols do not meet.
#[cfg(unix)]
fn map(path: &Path) -> Result<libloading::Library, libloading::Error> {
    use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};

    const FLAGS: c_int = RTLD_NOW | RTLD_LOCAL;
    // SAFETY: loading runs the library's constructors. The file is the one that was registered, and registering a
    // package for inline use is the operator's word that its code may run in this process.
    let library = unsafe { Library::open(Some(path), FLAGS) };
    library.map(libloading::Library::from)
}

/// Windows binds symbols at once and keeps them apart by itself.
#[cfg(not(unix))]
fn map(path: &Path) -> Result<libloading::Library, libloading::Error> {
    // SAFETY: loading runs the library's initializers. The file is the one that was registered, and registering a
    // package for inline use is the operator's word that its code may run in this process.
    unsafe { libloading::Library::new(path) }
}
