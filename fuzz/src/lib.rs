//! What must hold for whatever bytes a stranger sends: one function for each reader, which panics where it does not.
//!
//! The same functions run in two places: under libFuzzer in `fuzz/targets`, and on mutations of the corpus in the tests
//! (`tests/it/fuzz.rs`, which includes this file). They touch no disk, and the same bytes give the same answer.

use std::io::{Read, Write};

use cloacina_packager::definition::{Definition, Found, FunctionName};
use cloacina_packager::{Digest, Error, Files, Limits, Manifest, Metadata, ReadOptions, library, read_with};
use cloacina_workflow::descriptor::Descriptor;
use flate2::{Compression, GzBuilder, read::MultiGzDecoder};

/// The size of a tar's blocks.
const BLOCK: usize = 512;
/// Where the size of an entry stands in its header.
const SIZE: std::ops::Range<usize> = 124..136;
/// Where the checksum of a header stands.
const CHECKSUM: std::ops::Range<usize> = 148..156;

/// Small limits, so that the time goes into variety and not into volume.
fn limits() -> Limits {
    Limits {
        compressed_bytes_max: 1 << 20,
        expanded_bytes_max: 4 << 20,
        entry_bytes_max: 1 << 20,
        text_bytes_max: 256 << 10,
        entries_max: 16,
    }
}

/// An archive, read completely and checked.
pub fn archive(bytes: &[u8]) {
    files(bytes);
    match read_with(bytes, &ReadOptions { limits: limits(), ..ReadOptions::default() }) {
        Ok(package) => {
            let again = package.files().archive();
            let second = read_with(&again, &ReadOptions { limits: limits(), ..ReadOptions::default() });
            let second = second.expect("what was written can be read");
            assert_eq!(second.content_digest(), package.content_digest());
            assert_eq!(second.manifest(), package.manifest());
        }
        Err(error) => refused(&error),
    }
}

/// A tar, which is compressed here: most of what is wrong with a compressed file is found before its content is seen.
/// Where the first byte is odd, checksums are put right too, for the same reason.
pub fn tar(bytes: &[u8]) {
    let Some((first, tar)) = bytes.split_first() else { return };
    let mut tar = tar.to_vec();
    if first % 2 == 1 {
        put_checksums_right(&mut tar);
    }
    let mut gzip = GzBuilder::new().operating_system(3).write(Vec::new(), Compression::fast());
    gzip.write_all(&tar).expect("memory takes everything");
    files(&gzip.finish().expect("memory takes everything"));
}

/// The files of an archive. Accepted means: written again they are the same tar, and another reader sees the same.
fn files(bytes: &[u8]) {
    let files = match Files::read(bytes, &limits()) {
        Ok(files) => files,
        Err(error) => return refused(&error),
    };
    let again = files.archive();
    assert!(expand(&again) == expand(bytes), "the archive is written differently from how it was read");
    let mut entries = tar::Archive::new(MultiGzDecoder::new(bytes));
    let mut seen = Vec::new();
    for entry in entries.entries().expect("another reader reads it") {
        let mut entry = entry.expect("another reader reads every entry");
        let name = entry.path().expect("another reader reads the name").to_str().expect("names are ASCII").to_owned();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).expect("another reader reads the content");
        seen.push((name, content));
    }
    let read: Vec<_> = files.iter().map(|(name, content)| (name.to_owned(), content.to_vec())).collect();
    assert!(seen == read, "two readers see different files");
}

/// The two texts of an archive.
pub fn manifest(bytes: &[u8]) {
    match Manifest::parse(bytes) {
        Ok(manifest) => {
            let text = manifest.render();
            assert_eq!(Manifest::parse(text.as_bytes()).expect("what was written can be read"), manifest);
        }
        Err(error) => refused(&error),
    }
    match Metadata::parse(bytes) {
        Ok(metadata) => {
            let text = metadata.render();
            assert_eq!(Metadata::parse(text.as_bytes()).expect("what was written can be read"), metadata);
        }
        Err(error) => refused(&error),
    }
}

/// The link section of a library, with its descriptor.
pub fn section(bytes: &[u8]) {
    match Descriptor::from_section(bytes) {
        Ok(descriptor) => {
            let text = serde_json::to_string(&descriptor).expect("a descriptor is JSON");
            assert_eq!(Descriptor::parse(&text).expect("what was written can be read"), descriptor);
            if let Err(mistakes) = cloacina_packager::check(&descriptor) {
                assert!(mistakes.iter().all(|mistake| !mistake.to_string().is_empty()));
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// The definition of a workflow as data, whose functions are those of one package.
pub fn definition(bytes: &[u8]) {
    let task = r#"{"format":1,"abi":"1.0","package":"p","version":"1.0.0","workflows":[{"name":"w","tasks":[{"id":"t","index":0}]}]}"#;
    let find = |function: &FunctionName| match function.package_label().as_str() {
        "p@2.0.0" => Err("there is no such version".to_owned()),
        _ => Ok(Found {
            digest: Digest::of(b"p"),
            descriptor: Descriptor::parse(task).expect("the package is well described").into(),
        }),
    };
    match Definition::pin(bytes, find) {
        Ok(pinned) => {
            let again = Definition::pin(&pinned.bytes, find).expect("what was accepted is accepted again");
            assert_eq!((&again.bytes, again.content_digest), (&pinned.bytes, pinned.content_digest));
            assert_eq!(cloacina_packager::check(&pinned.descriptor), Ok(()));
            let work = Definition::work(&pinned.bytes).expect("what was pinned can be run");
            assert_eq!(work.len(), pinned.descriptor.n_functions());
        }
        Err(error) => refused(&error),
    }
}

/// A library file.
pub fn library(bytes: &[u8]) {
    match library::inspect("fuzzed.so", bytes) {
        Ok(facts) => {
            let target = facts.target();
            let policy = library::Policy { target, ..library::Policy::default() };
            facts.problems("fuzzed.so", &policy).iter().for_each(refused);
            assert!(!facts.machine().is_empty());
        }
        Err(error) => refused(&error),
    }
}

/// A refusal has a code, and can be shown.
fn refused(error: &Error) {
    assert!(error.code().len() == 7 && !error.to_string().is_empty(), "{error:?}");
    assert!(error.hints().iter().all(|hint| !hint.is_empty()), "{error:?}");
}

fn expand(archive: &[u8]) -> Vec<u8> {
    let mut tar = Vec::new();
    MultiGzDecoder::new(archive).read_to_end(&mut tar).expect("what was accepted can be expanded");
    tar
}

/// Writes the checksum of each header, as far as one follows from another.
fn put_checksums_right(tar: &mut [u8]) {
    let mut place = 0;
    while let Some(header) = tar.get_mut(place..place + BLOCK) {
        header[CHECKSUM].fill(b' ');
        let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
        header[CHECKSUM].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        let digits: String =
            header[SIZE].iter().map(|&byte| char::from(byte)).take_while(char::is_ascii_digit).collect();
        let size = usize::from_str_radix(&digits, 8).unwrap_or(0).min(tar.len());
        place += BLOCK + size.next_multiple_of(BLOCK);
        // The end of a tar is two blocks of zeros, which have no checksum.
        if tar.get(place..place + BLOCK).is_none_or(|next| next.iter().all(|&byte| byte == 0)) {
            return;
        }
    }
}
