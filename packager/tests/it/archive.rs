//! Archives that are as they should be: written, read, written again.

use std::process::Command;

use cloacina_packager::{
    Digest, Error, Input, InputLibrary, Limits, Part, ReadOptions, Target, merge, read, read_with, repack, write,
};

use crate::support::{DIAMOND, archive, files, input, library};

#[test]
fn what_is_written_is_read() {
    let library = library(DIAMOND);
    let archive = archive(&library);
    let package = read(&archive, &Limits::default()).unwrap();
    assert_eq!(package.library(), library);
    assert_eq!(package.library_name(), "libdiamond.so");
    assert_eq!(package.archive_digest(), Digest::of(&archive));
    assert_eq!(package.manifest().package.name, "diamond");
    assert_eq!(package.manifest().package.tenant, None);
    assert_eq!(package.manifest().workflows[0].order, ["top", "left", "right", "bottom"]);
    assert_eq!(package.metadata().version, "1.2.3");
    assert_eq!(package.descriptor().workflows[0].tasks.len(), 4);
    let names: Vec<_> = package.files().iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["lib/libdiamond.so", "manifest.toml", "metadata.json"]);
    let lines: String =
        package.files().iter().map(|(name, content)| format!("{}  {name}\n", Digest::of(content).hex())).collect();
    assert_eq!(package.content_digest(), Digest::of(lines.as_bytes()));
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let library = library(DIAMOND);
    assert_eq!(archive(&library), archive(&library));
}

#[test]
fn an_inventory_of_parts_may_come_along() {
    let input = Input { sbom: Some(b"{}".to_vec()), ..input(&library(DIAMOND)) };
    let package = read_with(&write(&input).unwrap(), &ReadOptions::default()).unwrap();
    assert_eq!(package.files().get("sbom.cdx.json"), Some(b"{}".as_slice()));
}

/// The library as if it were for another machine: its number in the ELF header is AArch64's.
fn for_aarch64(library: &[u8]) -> Vec<u8> {
    let mut library = library.to_vec();
    library[18..20].copy_from_slice(&183u16.to_le_bytes());
    library
}

#[test]
fn an_archive_may_hold_libraries_for_several_targets() {
    let library = library(DIAMOND);
    let other = for_aarch64(&library);
    let mut input = input(&library);
    input.libraries.push(InputLibrary { name: "libdiamond.so".to_owned(), bytes: other.clone() });
    let archive = write(&input).unwrap();
    let package = read(&archive, &Limits::default()).unwrap();
    assert_eq!(package.library(), library);
    let names: Vec<_> = package.files().iter().map(|(name, _)| name).collect();
    assert_eq!(
        names[..2],
        ["lib/aarch64-unknown-linux-gnu/libdiamond.so", "lib/x86_64-unknown-linux-gnu/libdiamond.so"]
    );
    let wanted = ReadOptions { target: Target::find("aarch64-unknown-linux-gnu"), ..ReadOptions::default() };
    assert_eq!(read_with(&archive, &wanted).unwrap().library(), other);
    input.libraries.reverse();
    assert_eq!(write(&input).unwrap(), archive, "the order of the libraries makes no difference");
}

#[test]
fn libraries_that_hold_different_workflows_are_not_packed_together() {
    let mut input = input(&library(DIAMOND));
    let other = for_aarch64(&library(&DIAMOND.replace("[\"left\",\"right\"]", "[\"left\"]")));
    input.libraries.push(InputLibrary { name: "libdiamond.so".to_owned(), bytes: other });
    assert_eq!(write(&input).unwrap_err().code(), "PKG0028");
}

#[test]
fn libraries_must_agree_on_what_the_manifest_does_not_say_too() {
    let mut input = input(&library(DIAMOND));
    let patient = DIAMOND.replace(r#""index":0"#, r#""index":0,"retry":{"attempts":3}"#);
    input.libraries.push(InputLibrary { name: "libdiamond.so".to_owned(), bytes: for_aarch64(&library(&patient)) });
    let error = write(&input).unwrap_err();
    assert_eq!(error.code(), "PKG0045");
    assert!(error.to_string().contains("workflows[0].tasks[0].retry.attempts is"), "{error}");
}

#[test]
fn two_libraries_for_one_target_are_not_packed_together() {
    let mut input = input(&library(DIAMOND));
    input.libraries.push(InputLibrary { name: "libother.so".to_owned(), ..input.libraries[0].clone() });
    assert_eq!(write(&input).unwrap_err().code(), "PKG0048");
}

/// What comes of merging those archives, which are called `0`, `1` and so on.
fn merged(archives: &[&[u8]]) -> Result<Vec<u8>, Error> {
    let read = |archive: &&[u8]| read_with(archive, &ReadOptions::default()).unwrap();
    let packages: Vec<_> = archives.iter().map(read).collect();
    let names: Vec<_> = (0..packages.len()).map(|place| place.to_string()).collect();
    let parts: Vec<_> = packages.iter().zip(&names).map(|(package, name)| Part { name, package }).collect();
    merge(&parts)
}

#[test]
fn archives_for_different_targets_become_one_in_any_order() {
    let library = library(DIAMOND);
    let other = for_aarch64(&library);
    let (one, two) = (archive(&library), archive(&other));
    let both = merged(&[&one, &two]).unwrap();
    assert_eq!(merged(&[&two, &one]).unwrap(), both);
    let mut input = input(&library);
    input.libraries.push(InputLibrary { name: "libdiamond.so".to_owned(), bytes: other.clone() });
    assert_eq!(write(&input).unwrap(), both, "merging is packing together");
    // Each target gets its own bytes out of it, also after the archive was read for another.
    let mut package = read(&both, &Limits::default()).unwrap();
    assert_eq!(package.library(), library);
    package.select(Target::find("aarch64-unknown-linux-gnu").unwrap()).unwrap();
    assert_eq!((package.library(), package.target().triple()), (&*other, "aarch64-unknown-linux-gnu"));
    let error = package.select(Target::find("aarch64-apple-darwin").unwrap()).unwrap_err();
    assert_eq!(error.code(), "PKG0030");
    assert!(error.to_string().ends_with("only for aarch64-unknown-linux-gnu, x86_64-unknown-linux-gnu"), "{error}");
    assert_eq!(merged(&[&both, &two]).unwrap_err().code(), "PKG0047");
}

#[test]
fn merging_names_what_differs() {
    let one = archive(&library(DIAMOND));
    for (from, to, expected) in [
        ("1.2.3", "1.2.4", "version is `\"1.2.3\"` in the first, `\"1.2.4\"` in the second"),
        ("\"package\":\"diamond\"", "\"package\":\"ruby\"", "name is `\"diamond\"` in the first"),
        ("\"index\":3,", "\"index\":3,\"priority\":5,", "workflows[0].tasks[3].priority is"),
    ] {
        let other = archive(&for_aarch64(&library(&DIAMOND.replace(from, to))));
        let error = merged(&[&one, &other]).unwrap_err();
        assert_eq!(error.code(), "PKG0046", "{error}");
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[test]
fn a_package_for_another_machine_can_be_read_but_not_loaded() {
    let archive = archive(&for_aarch64(&library(DIAMOND)));
    let error = read(&archive, &Limits::default()).unwrap_err();
    assert_eq!(error.code(), "PKG0030");
    assert!(error.to_string().ends_with("only for aarch64-unknown-linux-gnu"), "{error}");
    assert_eq!(read_with(&archive, &ReadOptions::default()).unwrap().target().triple(), "aarch64-unknown-linux-gnu");
}

/// Unpacks with stock tar into a folder and packs it again with those arguments.
fn stock_tar(archive: &[u8], arguments: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files(archive) {
        let path = folder.path().join(&name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    let script = format!("tar {arguments}");
    let done = Command::new("sh").args(["-c", &script]).current_dir(folder.path()).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    done.stdout
}

#[test]
fn stock_tar_output_is_refused_with_the_way_out_and_repacked_to_the_same_bytes() {
    let archive = archive(&library(DIAMOND));
    for arguments in ["-cz .", "-cz *", "--format=pax -cz lib manifest.toml metadata.json", "--format=ustar -cz *"] {
        let stock = stock_tar(&archive, arguments);
        let error = read(&stock, &Limits::default()).unwrap_err();
        assert!(error.hints().iter().any(|hint| hint.contains("package repack")), "{arguments}: {error}");
        assert_eq!(repack(&stock, &Limits::default()).unwrap(), archive, "{arguments}");
    }
}

#[test]
fn the_documented_command_computes_the_content_digest() {
    let archive = archive(&library(DIAMOND));
    let printed = stock_tar(&archive, "--version > /dev/null; sha256sum lib/* manifest.toml metadata.json | sha256sum");
    let content = read(&archive, &Limits::default()).unwrap().content_digest();
    assert_eq!(String::from_utf8(printed).unwrap(), format!("{}  -\n", content.hex()));
}

#[test]
fn the_documented_command_makes_a_canonical_archive() {
    let archive = archive(&library(DIAMOND));
    let stock = stock_tar(
        &archive,
        "--format=ustar -b1 --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner --mode=0644 \
         -c lib/* manifest.toml metadata.json | gzip -n",
    );
    let [ours, theirs] = [&archive, &stock].map(|bytes| read(bytes, &Limits::default()).unwrap());
    assert_eq!(ours.content_digest(), theirs.content_digest());
}
