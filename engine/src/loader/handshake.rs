//! Decides whether a library may be used: before its code runs, from its descriptor; after, from its table.
//!
//! ```text
//! check_descriptor()  ABI version, panic strategy          before anything of the library runs
//! read(table)        null, alignment, size, minor version, functions, metadata
//! compare            what the library says of itself = what was registered
//! ```
//! A refusal names both sides. Nothing of the library but its entry function has run before all of it has passed,
//! its constructors aside.

use std::{
    collections::{BTreeMap, BTreeSet},
    mem::{self, MaybeUninit},
    ops::RangeInclusive,
    ptr,
};

use serde_json::Value;

use cloacina_workflow::{
    abi::{ABI_MAJOR, ABI_MINOR, Bytes, FEATURE_FETCH, HostV1, PackageV1, Start},
    descriptor::{Descriptor, Panic, Workflow},
};

use super::{Error, TableProblem};

/// The functions of a library with a valid table.
#[derive(Clone, Debug)]
pub(super) struct Functions {
    pub(super) init: unsafe extern "C" fn(host: *const HostV1, config_json: Bytes) -> i32,
    pub(super) start: unsafe extern "C" fn(start: *const Start) -> i32,
    pub(super) cancel: Option<unsafe extern "C" fn(call_id: u64)>,
    pub(super) shutdown: Option<unsafe extern "C" fn(grace_ms: u32) -> i32>,
    /// Whether the package asks for what its contexts leave out.
    pub(super) fetches: bool,
}

/// The minor versions that this engine can call; a later one may rely on functions that this host has not.
const MINORS: RangeInclusive<u32> = 0..=ABI_MINOR;
/// The longest metadata: far above any real package, far below what would hurt.
const METADATA_BYTES_MAX: usize = 16 << 20;

/// Refuses what this engine cannot run, by what the archive says. A package that ends its process when it panics needs
/// a process of its own.
pub(crate) fn check_descriptor(expected: &Descriptor, has_own_process: bool) -> Result<(), Error> {
    let mut parts = expected.abi.split('.').map(str::parse::<u32>);
    let fits = match (parts.next(), parts.next(), parts.next()) {
        (Some(Ok(major)), Some(Ok(minor)), None) => major == ABI_MAJOR && MINORS.contains(&minor),
        _ => false,
    };
    if !fits {
        return Err(Error::Version { package: expected.abi.clone() });
    }
    match expected.build.as_ref().map(|build| build.panic) {
        Some(Panic::Abort) if !has_own_process => Err(Error::PanicAborts),
        Some(Panic::Abort | Panic::Unwind) | None => Ok(()),
    }
}

/// Reads the table that the entry function returned, and the metadata that it points to.
///
/// # Safety
/// `table` is null, misaligned, or points to a table of at least its own `size` bytes that stays there unchanged, as
/// does what it points to.
pub(super) unsafe fn read(table: *const PackageV1) -> Result<(Functions, Descriptor), Error> {
    let damaged = |problem| Error::Table { problem };
    if table.is_null() {
        return Err(damaged(TableProblem::Null));
    }
    if !table.is_aligned() {
        return Err(damaged(TableProblem::Misaligned { align: mem::align_of::<PackageV1>() }));
    }
    // SAFETY: not null, aligned, and every table of any version starts with its size.
    let size = unsafe { table.cast::<u32>().read() };
    let len = usize::try_from(size).unwrap_or(usize::MAX);
    if len < PackageV1::SIZE_MIN {
        return Err(damaged(TableProblem::Size { found: size, expected: PackageV1::SIZE_MIN }));
    }
    // A package of an earlier version has nothing behind what that version had.
    let known = if len < mem::size_of::<PackageV1>() { PackageV1::SIZE_MIN } else { mem::size_of::<PackageV1>() };
    let mut whole = MaybeUninit::<PackageV1>::zeroed();
    // SAFETY: what is read is inside of the package's table by its own size, what is written inside of ours.
    unsafe { ptr::copy_nonoverlapping(table.cast::<u8>(), whole.as_mut_ptr().cast::<u8>(), known) };
    // SAFETY: integers, pointers and functions that may be absent, for all of which zeros are a value.
    let table = unsafe { whole.assume_init() };
    if !MINORS.contains(&table.abi_minor) {
        return Err(Error::Version { package: format!("{ABI_MAJOR}.{}", table.abi_minor) });
    }
    let functions = Functions {
        init: table.init.ok_or_else(|| damaged(TableProblem::Function { name: "init" }))?,
        start: table.start.ok_or_else(|| damaged(TableProblem::Function { name: "start" }))?,
        cancel: table.cancel,
        shutdown: table.shutdown,
        fetches: table.features & FEATURE_FETCH != 0,
    };
    let len = table.metadata.len;
    let unreadable = TableProblem::Bytes { name: "metadata", len, max: METADATA_BYTES_MAX };
    // SAFETY: readable and unchanged by the caller's promise, once null and an impossible length are ruled out.
    let metadata = unsafe { table.metadata.borrow() };
    let metadata = metadata.filter(|_| len <= METADATA_BYTES_MAX).ok_or_else(|| damaged(unreadable))?;
    let descriptor =
        Descriptor::from_section(metadata).map_err(|error| Error::Metadata { reason: error.to_string() })?;
    Ok((functions, descriptor))
}

/// Refuses a library that describes itself differently from its archive, and names the first difference.
pub(super) fn compare(library: &Descriptor, archive: &Descriptor) -> Result<(), Error> {
    if library == archive {
        return Ok(());
    }
    let as_json = |descriptor| serde_json::to_value(descriptor).unwrap_or(Value::Null);
    let (field, library, archive) = difference(String::new(), &as_json(library), &as_json(archive))
        .unwrap_or_else(|| ("the descriptor".to_owned(), "different".to_owned(), "different".to_owned()));
    Err(Error::Differs { field, library, archive })
}

/// The indices that `start` may be called with, and whether it may work inside of `start` then, as packages of the SDK
/// never do.
pub(super) fn indices(descriptor: &Descriptor) -> BTreeMap<u32, bool> {
    let is_of_sdk = descriptor.build.is_some();
    let workflows = descriptor.workflows.iter();
    let of = |workflow: &Workflow| {
        let tasks = workflow.tasks.iter().map(|task| (task.index, task.blocking && !is_of_sdk));
        let callbacks = workflow.callbacks.iter().map(|callback| (callback.index, callback.blocking && !is_of_sdk));
        tasks.chain(callbacks).collect::<Vec<_>>()
    };
    workflows.flat_map(of).collect()
}

/// The path of the first place where two JSON values differ, with both sides.
fn difference(path: String, one: &Value, other: &Value) -> Option<(String, String, String)> {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => {
            let keys: BTreeSet<_> = one.keys().chain(other.keys()).collect();
            keys.into_iter().find_map(|key| {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                difference(path, one.get(key).unwrap_or(&Value::Null), other.get(key).unwrap_or(&Value::Null))
            })
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => one
            .iter()
            .zip(other)
            .enumerate()
            .find_map(|(idx, (one, other))| difference(format!("{path}[{idx}]"), one, other)),
        _ if one == other => None,
        _ => Some((path, brief(one), brief(other))),
    }
}

/// A value short enough for an error message.
fn brief(value: &Value) -> String {
    match value {
        Value::Null => "absent".to_owned(),
        Value::Array(items) => format!("a list of {}", items.len()),
        Value::Object(_) => "an object".to_owned(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            let text = value.to_string();
            if text.chars().count() <= 80 { text } else { text.chars().take(79).chain(['…']).collect() }
        }
    }
}
