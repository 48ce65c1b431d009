//! The demonstration package as an artifact: small, alone, reproducible, and usable from its own folder.

use std::process::Command;

use cloacina_packager::{Input, InputLibrary, Limits, read, write};
use cloacina_tests::{archive, root};

#[test]
fn the_library_is_small_and_links_none_of_the_engine() {
    let package = read(&archive::example("simple_packaged_demo"), &Limits::default()).unwrap();
    let library = package.library();
    assert!(library.len() < 1_500_000, "{} bytes", library.len());
    let facts = package.library_facts();
    let ours: Vec<_> = facts.exports.iter().filter(|name| name.starts_with("cloacina_")).collect();
    assert_eq!(ours, ["cloacina_package_v1"]);
    let system = ["libc.so.6", "libm.so.6", "libgcc_s.so.1", "ld-linux-x86-64.so.2", "libpthread.so.0", "libdl.so.2"];
    let foreign: Vec<_> = facts.needed.iter().filter(|name| !system.contains(&name.as_str())).collect();
    assert!(foreign.is_empty(), "{foreign:?}");
    for text in ["sqlite", "diesel", "libloading"] {
        assert!(!library.windows(text.len()).any(|window| window == text.as_bytes()), "{text} is in the library");
    }
    let tree = Command::new("cargo")
        .args(["tree", "--package", "simple_packaged_demo", "--edges", "normal", "--prefix", "none"])
        .current_dir(root())
        .output()
        .unwrap();
    let tree = String::from_utf8(tree.stdout).unwrap();
    assert!(tree.contains("cloacina-workflow "), "{tree}");
    for name in ["cloacina ", "cloacina-packager ", "diesel ", "libsqlite3-sys ", "libloading "] {
        assert!(!tree.lines().any(|line| line.starts_with(name)), "the package depends on {name}");
    }
}

#[test]
fn packing_one_library_twice_gives_the_same_bytes() {
    let archive = archive::example("simple_packaged_demo");
    let package = read(&archive, &Limits::default()).unwrap();
    let pack = || {
        let name = package.library_name().to_owned();
        write(&Input { libraries: vec![InputLibrary { name, bytes: package.library().to_vec() }], ..Input::default() })
    };
    assert_eq!(pack().unwrap(), pack().unwrap());
}
