//! Hostile archives at the door of a running engine: refused with a code, nothing executed, nothing left on the disk.
//!
//! The packager's own tests try every way to damage an archive. Here one of each kind is handed to the registry, each
//! around a library whose constructor would leave a mark.

use std::{
    fs,
    io::{Read, Write},
    path::Path,
};

use cloacina_packager::{Input, InputLibrary, write};
use cloacina_tests::{engine::TestEngine, library};
use flate2::{Compression, GzBuilder, read::GzDecoder};

const BLOCK: usize = 512;

/// A package that leaves a mark as soon as it is loaded.
const TRAP: &str = r#"
#include <stdio.h>
#include "cloacina.h"
CLCN_METADATA("{\"format\":1,\"abi\":\"1.0\",\"package\":\"trap\",\"version\":\"1.0.0\",\"workflows\":["
    "{\"name\":\"w\",\"tasks\":[{\"id\":\"t\",\"index\":0}]}]}");
__attribute__((constructor)) static void spring(void) { FILE *mark = fopen(MARK, "w"); if (mark) fclose(mark); }
static int32_t init(const clcn_host_v1 *host, clcn_bytes config) { (void)host; (void)config; return CLCN_OK; }
static int32_t start(const clcn_start *call) { (void)call; return CLCN_REFUSED; }
CLCN_PACKAGE(init, start, 0, 0);
"#;

fn compile(folder: &Path, source: &str, mark: &Path) -> Vec<u8> {
    let file = folder.join("trap.c");
    fs::write(&file, source).unwrap();
    let mark = format!("-DMARK=\"{}\"", mark.display());
    fs::read(library::compile_file(folder, "trap", &file, &[&mark])).unwrap()
}

fn gunzip(archive: &[u8]) -> Vec<u8> {
    let mut tar = Vec::new();
    GzDecoder::new(archive).read_to_end(&mut tar).unwrap();
    tar
}

/// In the form of the packager: no name, no time, Unix.
fn gzip(tar: &[u8]) -> Vec<u8> {
    let mut encoder = GzBuilder::new().mtime(0).operating_system(3).write(Vec::new(), Compression::new(6));
    encoder.write_all(tar).unwrap();
    encoder.finish().unwrap()
}

/// The tar with some bytes of its first header replaced and the checksum corrected.
fn with_header(tar: &[u8], at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut tar = tar.to_vec();
    tar[at..at + bytes.len()].copy_from_slice(bytes);
    tar[148..156].fill(b' ');
    let sum: u32 = tar[..BLOCK].iter().map(|&byte| u32::from(byte)).sum();
    tar[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    tar
}

/// The archive with one bit of its middle changed so that it does not unpack to the same tar. Some bits change nothing: a run
/// of equal bytes can be compressed as a copy of several places, and is the same content then.
fn flip(archive: &[u8], tar: &[u8]) -> Vec<u8> {
    let flipped = |at: usize| {
        let mut bytes = archive.to_vec();
        bytes[at] ^= 0x10;
        bytes
    };
    let is_damaged = |bytes: &Vec<u8>| {
        let mut unpacked = Vec::new();
        GzDecoder::new(&bytes[..]).read_to_end(&mut unpacked).is_err() || unpacked != tar
    };
    (archive.len() / 2..archive.len()).map(flipped).find(is_damaged).expect("most bits matter")
}

fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut bytes = bytes.to_vec();
    let at = bytes.windows(from.len()).position(|window| window == from).expect("the text is there");
    bytes[at..at + to.len()].copy_from_slice(to);
    bytes
}

#[tokio::test]
async fn nothing_of_a_hostile_archive_is_executed_or_kept() {
    let test = TestEngine::start().await;
    let mark = test.folder.path().join("mark");
    let library = compile(test.folder.path(), TRAP, &mark);
    let pack = |library: &[u8]| {
        write(&Input {
            libraries: vec![InputLibrary { name: "libtrap.so".to_owned(), bytes: library.to_vec() }],
            ..Input::default()
        })
    };
    let good = pack(&library).unwrap();
    let tar = gunzip(&good);
    let n_first = usize::from_str_radix(std::str::from_utf8(&tar[124..135]).unwrap(), 8).unwrap();
    let first_entry = tar[..BLOCK + n_first.next_multiple_of(BLOCK)].to_vec();
    let over = |at, bytes: &[u8]| gzip(&with_header(&tar, at, bytes));
    let flipped = flip(&good, &tar);
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("path escape", over(0, b"../evil.so\0")),
        ("absolute path", over(0, b"/etc/evil.so\0")),
        ("symbolic link", over(156, b"2")),
        ("hard link", over(156, b"1")),
        ("device", over(156, b"3")),
        ("PAX header", over(156, b"x")),
        ("another mode", over(100, b"0000755\0")),
        ("duplicate", gzip(&[first_entry.clone(), tar.clone()].concat())),
        (
            "unsorted",
            gzip(
                &[tar[first_entry.len()..tar.len() - 2 * BLOCK].to_vec(), first_entry.clone(), vec![0; 2 * BLOCK]]
                    .concat(),
            ),
        ),
        ("trailing data in the tar", gzip(&[tar.clone(), b"junk".to_vec()].concat())),
        ("junk after the gzip member", [good.clone(), b"junk".to_vec()].concat()),
        ("a second gzip member", [good.clone(), gzip(b"more")].concat()),
        ("truncated", good[..good.len() - 9].to_vec()),
        ("bit flip", flipped),
        ("a bomb", gzip(&vec![0; 300 << 20])),
        ("library changed after packing", gzip(&replaced(&tar, b"cloacina_package_v1", b"cloacina_package_v9"))),
        ("manifest that disagrees", gzip(&replaced(&tar, b"version = \"1.0.0\"", b"version = \"2.0.0\""))),
        ("wrong digest in the manifest", gzip(&replaced(&tar, b"sha256 = \"", b"sha256 = '"))),
        ("not an archive", b"#!/bin/sh\nexit 1\n".to_vec()),
        ("empty", Vec::new()),
    ];
    let mut codes = Vec::new();
    for (name, archive) in cases {
        let error = test.engine.registry().register_workflow(archive).await.expect_err(name);
        assert!(error.code().starts_with("PKG"), "{name}: {} {error}", error.code());
        codes.push(format!("{name}: {}", error.code()));
    }
    // The packager would not write these, so the libraries are damaged after they were packed as another one's bytes.
    let other_machine = {
        let mut bytes = library.clone();
        bytes[18..20].copy_from_slice(&0xb7_u16.to_le_bytes());
        bytes
    };
    let other_major = replaced(&library, b"\0cloacina_package_v1\0", b"\0cloacina_package_v2\0");
    let no_symbol = replaced(&library, b"\0cloacina_package_v1\0", b"\0cloacinapackage_v1_\0");
    for (name, library) in [("another major of the ABI", other_major), ("no such symbol", no_symbol)] {
        let error = pack(&library).expect_err(name);
        codes.push(format!("{name}: {}", error.code()));
    }
    if let Ok(archive) = pack(&other_machine) {
        let error = test.engine.registry().register_workflow(archive).await.expect_err("another machine");
        codes.push(format!("another machine: {}", error.code()));
    }
    let distinct: std::collections::BTreeSet<_> = codes.iter().filter_map(|line| line.split(": ").last()).collect();
    assert!(distinct.len() >= 16, "{codes:#?}");
    assert!(!mark.exists(), "code of a refused package ran");
    assert!(test.engine.registry().list().is_empty());
    let packages = test.folder.path().join(".cloacina/packages");
    assert!(!packages.exists() || packages.read_dir().unwrap().next().is_none(), "something is left on the disk");
    // The same library in an archive of good form is loaded, so the trap would have sprung.
    test.engine.registry().register_workflow(good).await.unwrap();
    assert!(mark.exists());
}
