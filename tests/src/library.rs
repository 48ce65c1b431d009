//! Libraries in C and C++, compiled by the compilers of the machine against `cloacina.h` alone; small ones of the tests
//! share `fixture.h`.

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
    compiler.args(["-std=c11", "-D_POSIX_C_SOURCE=200809L"]).args(arguments);
    link(compiler, "gcc libc6-dev", source, &library);
    library
}

/// Compiles a source file in C++ into a folder; returns the library's path.
#[must_use]
pub fn compile_cpp(folder: &Path, name: &str, source: &Path) -> PathBuf {
    let library = folder.join(format!("lib{name}.so"));
    let mut compiler = Command::new("g++");
    compiler.arg("-std=c++20");
    link(compiler, "g++", source, &library);
    library
}

/// Runs a compiler; `debian` is what to install where it is missing.
fn link(mut compiler: Command, debian: &str, source: &Path, library: &Path) {
    compiler.args(["-O1", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-shared", "-fPIC", "-pthread", "-I"]);
    compiler.arg(root().join("sdk/include")).arg("-I").arg(root().join("tests/fixtures"));
    compiler.arg("-o").arg(library).arg(source);
    let program = compiler.get_program().to_string_lossy().into_owned();
    let output = compiler.output();
    let output = output.unwrap_or_else(|error| {
        panic!("the compiler `{program}` cannot be started: {error}; on Debian: apt-get install {debian}")
    });
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The archive of a library.
#[must_use]
pub fn pack(library: &Path) -> Vec<u8> {
    let name = library.file_name().expect("a library has a name").to_string_lossy().into_owned();
    let bytes = fs::read(library).expect("the library was just compiled");
    let input = Input { libraries: vec![InputLibrary { name, bytes }], ..Input::default() };
    cloacina_packager::write(&input).unwrap_or_else(|error| panic!("{}: {error}", library.display()))
}
