//! Building crates with cargo, and packing libraries that another compiler made.
//!
//! The crates are made in temporary folders and share one target folder, so that their dependencies are compiled
//! once.

use std::fs;
use std::path::{Path, PathBuf};

use cloacina_packager::build::{Built, Error, Options, Progress, build, pack_libraries};
use cloacina_packager::{Limits, Target, read};

use crate::support::{DIAMOND, library};

const WORKFLOW: &str = r#"
use cloacina_workflow::prelude::*;

#[packaged_workflow(name = "sums", package = "built_here", author = "A. Uthor")]
pub mod sums {
    use super::*;

    /// Sets the number.
    #[task(id = "set")]
    pub async fn set(context: &mut Context<Value>) -> Result<(), TaskError> {
        context.insert("number", Value::from(1))?;
        Ok(())
    }

    #[task(id = "add", dependencies = ["set"], retry_attempts = 2)]
    pub fn add(context: &mut Context<Value>) -> Result<(), TaskError> {
        let number = context.get_as::<u64>("number").unwrap_or_default();
        context.set("sum", Value::from(number + 1));
        Ok(())
    }
}
"#;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// A crate with that library, in a folder of its own.
fn krate(folder: &Path, name: &str, code: &str) {
    fs::create_dir_all(folder.join("src")).unwrap();
    let sdk = root().join("sdk");
    let manifest = format!(
        "[package]\nname = \"{name}\"\nversion = \"0.3.0\"\nedition = \"2024\"\nlicense = \"MIT\"\n\
         [dependencies]\ncloacina-workflow = {{ path = {sdk:?} }}\nserde_json = \"1\"\n[workspace]\n"
    );
    fs::write(folder.join("Cargo.toml"), manifest).unwrap();
    fs::write(folder.join("src/lib.rs"), code).unwrap();
    // The versions that are tested with everything else; what the crate does not need is dropped from it.
    fs::copy(root().join("Cargo.lock"), folder.join("Cargo.lock")).unwrap();
}

fn options(folder: &Path) -> Options {
    let target_dir = Some(Path::new(env!("CARGO_TARGET_TMPDIR")).join("packages"));
    Options { offline: true, target_dir, ..Options::new(folder) }
}

fn failure(folder: &Path) -> Error {
    build(&options(folder), &mut |_| {}).unwrap_err()
}

#[test]
fn a_crate_becomes_an_archive_the_same_in_every_folder() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (folder.path().join("one"), folder.path().join("somewhere/else"));
    let mut told = Vec::new();
    let mut built: Vec<(Built, Vec<u8>)> = Vec::new();
    for place in [&one, &other] {
        krate(place, "built", WORKFLOW);
        let done = build(&options(place), &mut |progress| told.push(progress)).unwrap();
        let bytes = fs::read(&done.archive).unwrap();
        built.push((done, bytes));
    }
    let (done, bytes) = &built[0];
    assert_eq!(done.archive, one.canonicalize().unwrap().join("built_here.cloacina"));
    let package = read(bytes, &Limits::default()).unwrap();
    assert_eq!(package.manifest().workflows[0].order, ["set", "add"]);
    assert_eq!(package.manifest().package.version, "0.3.0");
    assert_eq!(package.metadata().license.as_deref(), Some("MIT"));
    assert_eq!(package.metadata().authors, ["A. Uthor"]);
    assert_eq!(package.metadata().build.profile.as_deref(), Some("release"));
    assert!(done.warnings.is_empty(), "{:?}", done.warnings);
    let library = String::from_utf8_lossy(package.library()).into_owned();
    assert!(!library.contains(folder.path().to_str().unwrap()), "the library holds the folder's path");
    assert!(!library.contains(root().to_str().unwrap()), "the library holds the sdk's path");
    assert_eq!(built[0].0.package.content_digest(), built[1].0.package.content_digest());
    assert_eq!(bytes, &built[1].1);
    let last = told.iter().rev().find_map(|progress| match progress {
        Progress::Compiled { done, total, name } => Some((*done, *total, name.as_str())),
        _ => None,
    });
    let (done, total, name) = last.unwrap();
    assert_eq!((done, name), (total, "built"));
    assert_eq!(told.last(), Some(&Progress::Packing));
}

#[test]
fn a_crate_is_built_for_targets_that_the_compiler_has() {
    let folder = tempfile::tempdir().unwrap();
    krate(folder.path(), "targeted", WORKFLOW);
    let host = Target::host().unwrap().to_string();
    // None of ours is ever installed for this one.
    let missing = "s390x-unknown-linux-gnu".to_owned();
    for (targets, code) in [(vec!["pdp11-dec-unix".to_owned()], "PKG0033"), (vec![host.clone(), missing], "BLD0010")] {
        let error = build(&Options { targets, ..options(folder.path()) }, &mut |_| {}).unwrap_err();
        assert_eq!(error.code(), code, "{error}");
    }
    let targets = vec![host.clone(), host];
    let done = build(&Options { targets, ..options(folder.path()) }, &mut |_| {}).unwrap();
    assert_eq!((done.libraries.len(), done.package.libraries().count()), (1, 1));
    assert!(
        done.libraries[0].starts_with(options(folder.path()).target_dir.unwrap().join(done.package.target().triple()))
    );
}

#[test]
fn a_crate_that_does_not_compile_shows_what_cargo_shows() {
    let folder = tempfile::tempdir().unwrap();
    krate(folder.path(), "broken", "pub fn number() -> u32 { \"text\" }\n");
    let manifest = "[package]\nname = \"broken\"\nedition = \"2024\"\n[workspace]\n";
    fs::write(folder.path().join("Cargo.toml"), manifest).unwrap();
    let mut shown = String::new();
    let error = build(&options(folder.path()), &mut |progress| {
        if let Progress::Diagnostic(line) = progress {
            shown += &format!("{line}\n");
        }
    })
    .unwrap_err();
    let Error::Compile { diagnostics, .. } = &error else { panic!("{error}") };
    assert_eq!(error.code(), "BLD0007");
    assert!(shown.contains("error[E0308]: mismatched types\n --> src/lib.rs:1:26"), "{shown}");
    assert_eq!(*diagnostics, shown);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3, "nothing is left behind");
}

#[test]
fn a_crate_without_a_packaged_workflow_is_told_how_to_have_one() {
    let folder = tempfile::tempdir().unwrap();
    krate(folder.path(), "empty", "pub fn nothing() {}\n");
    let error = failure(folder.path());
    assert_eq!(error.code(), "PKG0034", "{error}");
    assert!(error.hints()[0].contains("#[packaged_workflow("));
}

#[test]
fn other_folders_than_crates_are_refused_with_their_code() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    assert_eq!(failure(path).code(), "BLD0001");
    let manifest = |text: &str| fs::write(path.join("Cargo.toml"), text).unwrap();
    manifest("[package");
    let error = failure(path);
    assert_eq!(error.code(), "BLD0006");
    assert!(error.to_string().contains("Cargo.toml:1"), "{error}");
    manifest("[workspace]\nresolver = \"3\"\nmembers = [\"first\", \"second\"]\n");
    for member in ["first", "second"] {
        fs::create_dir_all(path.join(member).join("src")).unwrap();
        let manifest = format!("[package]\nname = \"{member}\"\nedition = \"2024\"\n");
        fs::write(path.join(member).join("Cargo.toml"), manifest).unwrap();
        fs::write(path.join(member).join("src/main.rs"), "fn main() {}\n").unwrap();
    }
    let error = failure(path);
    assert_eq!(error.code(), "BLD0003");
    assert_eq!(error.hints(), ["name one of its packages: first, second"]);
    let mut options = options(path);
    options.package = Some("frist".to_owned());
    assert_eq!(build(&options, &mut |_| {}).unwrap_err().code(), "BLD0004");
    options.package = Some("first".to_owned());
    assert_eq!(build(&options, &mut |_| {}).unwrap_err().code(), "BLD0005");
    assert_eq!(failure(&path.join("second")).code(), "BLD0005");
    options.cargo = PathBuf::from("/nowhere/cargo");
    assert_eq!(build(&options, &mut |_| {}).unwrap_err().code(), "BLD0002");
}

#[test]
fn a_library_of_another_compiler_is_packed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("libdiamond.so");
    let library = library(DIAMOND);
    fs::write(&path, &library).unwrap();
    let built = pack_libraries(std::slice::from_ref(&path), None).unwrap();
    assert_eq!(built.archive, folder.path().join("diamond.cloacina"));
    let bytes = fs::read(&built.archive).unwrap();
    assert_eq!(read(&bytes, &Limits::default()).unwrap().library(), library);
    let again = pack_libraries(std::slice::from_ref(&path), Some(&folder.path().join("other.cloacina"))).unwrap();
    assert_eq!(fs::read(&again.archive).unwrap(), bytes);
    assert_eq!(pack_libraries(&[folder.path().join("none.so")], None).unwrap_err().code(), "BLD0009");
    assert_eq!(pack_libraries(std::slice::from_ref(&built.archive), None).unwrap_err().code(), "PKG0031");
}
