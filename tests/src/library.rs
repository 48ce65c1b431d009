//! Libraries in C, compiled by the C compiler of the machine against `cloacina.h` alone.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use cloacina_packager::{Input, InputLibrary};

use crate::root;

/// Compiles a source text into a folder; returns the library's path.
#[must_use]
pub fn compile(folder: &Path, name: &str, source: &str) -> PathBuf {
    let file = folder.join(format!("{name}.c"));
    fs::write(&file, source).expect("the folder can be written");
    compile_file(folder, name, &file, &[])
}

/// Compiles a source file into a folder with further arguments; returns the library's path.
#[must_use]
pub fn compile_file(folder: &Path, name: &str, source: &Path, arguments: &[&str]) -> PathBuf {
    let library = folder.join(format!("lib{name}.so"));
    let mut compiler = Command::new("cc");
    compiler.args(["-std=c11", "-D_POSIX_C_SOURCE=200809L", "-O1", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]);
    compiler.args(["-shared", "-fPIC", "-pthread", "-I"]).arg(root().join("sdk/include")).args(arguments);
    let output = compiler.arg("-o").arg(&library).arg(source).output().expect("there is a C compiler");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    library
}

/// The archive of a library.
#[must_use]
pub fn pack(library: &Path) -> Vec<u8> {
    let name = library.file_name().expect("a library has a name").to_string_lossy().into_owned();
    let bytes = fs::read(library).expect("the library was just compiled");
    let input = Input { libraries: vec![InputLibrary { name, bytes }], ..Input::default() };
    cloacina_packager::write(&input).unwrap_or_else(|error| panic!("{}: {error}", library.display()))
}
