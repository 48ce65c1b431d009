//! A short run of the fuzz targets on the compiler of the project: the corpus, and a fixed number of its mutations.
//!
//! Every run does the same, whatever the machine's speed. `docs/architecture/fuzzing.md` says how to go on for hours.
//! `UPDATE_EXPECT=1` makes the corpus anew out of good packages.

#[path = "../../fuzz/src/lib.rs"]
#[expect(unreachable_pub, reason = "in its own crate the functions are public")]
mod checks;

use std::{fs, path::PathBuf};

use cloacina_packager::{Input, InputLibrary, ReadOptions, definition};
use cloacina_tests::{library, root};

/// How many mutations each target gets.
const MUTATIONS: u32 = 2_500;
/// Where every run begins.
const SEED: u64 = 0x5eed_c10a;
/// How much larger than its seed a mutation may become.
const GROWTH_MAX: usize = 2_048;

/// Values at the edges of what lengths, sizes and checksums can be.
const EDGES: [&[u8]; 9] = [
    b"\0\0\0\0",
    b"\xff\xff\xff\xff",
    b"\x00\x00\x00\x80",
    b"\xff\xff\xff\x7f",
    b"00000000000\0",
    b"77777777777\0",
    b"CLCNPKG1",
    b"../",
    b"\"",
];

#[test]
fn archives_are_read_in_one_way() {
    run("archive", checks::archive);
    run("tar", checks::tar);
}

#[test]
fn manifests_are_written_as_they_were_read() {
    run("manifest", checks::manifest);
}

#[test]
fn link_sections_and_libraries_are_read_within_their_bounds() {
    run("section", checks::section);
    run("library", checks::library);
}

#[test]
fn definitions_are_pinned_to_what_can_be_read_again() {
    run("definition", checks::definition);
}

#[test]
fn frames_of_package_hosts_are_written_as_they_were_read() {
    run("frame", cloacina::testing::check_frames);
}

/// Every file of the corpus, then mutations of them.
fn run(target: &str, check: impl Fn(&[u8])) {
    let seeds = corpus(target);
    seeds.iter().for_each(|seed| check(seed));
    let mut chance = Chance(SEED);
    for _ in 0..MUTATIONS {
        let mut bytes = chance.one_of(&seeds).clone();
        for _ in 0..=chance.below(4) {
            mutate(&mut bytes, &seeds, &mut chance);
        }
        check(&bytes);
    }
}

/// Changes some bytes in one of the ways in which files go wrong or are made to.
fn mutate(bytes: &mut Vec<u8>, seeds: &[Vec<u8>], chance: &mut Chance) {
    let place = chance.below(bytes.len() + 1);
    let length = chance.below((bytes.len() - place).min(64) + 1);
    let piece = bytes[place..place + length].to_vec();
    match chance.below(8) {
        0 if place < bytes.len() => bytes[place] ^= 1 << chance.below(8),
        1 if place < bytes.len() => bytes[place] = u8::try_from(chance.below(256)).unwrap_or_default(),
        2 => drop(bytes.drain(place..place + length)),
        3 => drop(bytes.splice(place..place, piece)),
        4 => bytes.truncate(place),
        5 => {
            let edge = chance.one_of(&EDGES);
            let end = (place + edge.len()).min(bytes.len());
            bytes.splice(place..end, edge.iter().copied());
        }
        6 => {
            let other = chance.one_of(seeds);
            let from = chance.below(other.len() + 1);
            let until = from + chance.below((other.len() - from).min(GROWTH_MAX) + 1);
            bytes.splice(place..place + length, other[from..until].iter().copied());
        }
        _ => bytes.extend_from_slice(&piece),
    }
}

/// Numbers that look drawn, and are the same in each run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 11).unwrap_or_default() % bound.max(1)
    }

    fn one_of<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len())]
    }
}

fn folder(target: &str) -> PathBuf {
    root().join("fuzz/corpus").join(target)
}

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let mut files: Vec<_> = fs::read_dir(folder(target)).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "{target}");
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a test that rewrites its expectation is asked to by a variable")]
fn the_corpus_begins_with_what_is_accepted() {
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        write_corpus();
    }
    let one = fs::read(folder("archive").join("one")).unwrap();
    let several = fs::read(folder("archive").join("several")).unwrap();
    for archive in [&one, &several] {
        cloacina_packager::read_with(archive, &ReadOptions::default()).unwrap();
    }
    let manifest = fs::read(folder("manifest").join("one.toml")).unwrap();
    cloacina_packager::Manifest::parse(&manifest).unwrap();
    let section = fs::read(folder("section").join("one")).unwrap();
    cloacina_workflow::descriptor::Descriptor::from_section(&section).unwrap();
    let library = fs::read(folder("library").join("one")).unwrap();
    cloacina_packager::library::inspect("one", &library).unwrap();
    for definition in ["all.toml", "one.json"] {
        let text = fs::read(folder("definition").join(definition)).unwrap();
        let none = |_: &definition::FunctionName| Err("no package is there".to_owned());
        let refused = definition::Definition::pin(&text, none).map(drop).map_err(|error| error.to_string());
        assert!(refused.is_ok() || refused.unwrap_err().contains("no package is there"), "{definition}");
    }
}

/// A definition of one task, and one with everything that a definition can say.
const DEFINITIONS: [(&str, &str); 2] = [
    ("one.json", r#"{"name":"one","tasks":[{"id":"t","uses":"noop"}]}"#),
    (
        "all.toml",
        r#"format = 1
name = "all"
package = "p"
version = "1.2.3-rc.1"
description = "d"
author = "a"
timeout_ms = 5
durability = "pipelined"

[[tasks]]
id = "a"
uses = "p::w::t@1.0.0"
retry = { attempts = 2, backoff = "linear", delay_ms = 1, max_delay_ms = 2, jitter = false, condition = ["io"] }

[[tasks]]
id = "b"
uses = "sleep"
with = { ms = 7 }
dependencies = ["a"]
timeout_ms = 7
priority = -3
optional = true
trigger_when = "decided"
trigger_rules = { any = ["always", { task_failed = "a" }, { context_value = { key = "k", op = "less_than", value = 3.5 } }] }

[[tasks]]
id = "c"
uses = "p::w::t"
at_most_once = true
description = "d"
"#,
    ),
];

/// A package of one task, and one with everything that a description can say.
const DESCRIPTIONS: [&str; 2] = [
    r#"{"format":1,"abi":"1.0","package":"one","version":"1.0.0","workflows":[{"name":"w","tasks":[{"id":"t","index":0}]}]}"#,
    r#"{"format":1,"abi":"1.0","package":"all","version":"1.2.3-rc.1","tenant":"team","description":"d","author":"a","build":{"sdk":"0.1.0","compiler":"rustc 1.95","target":"x86_64-unknown-linux-gnu","panic":"unwind","crate":"all","crate_version":"1.2.3"},"workflows":[{"name":"w","description":"d","timeout_ms":5,"durability":"pipelined","needs":{"net":["a:1"],"read":true,"write":false,"env":["HOME"]},"tasks":[{"id":"a","index":0,"retry":{"attempts":2,"backoff":"linear","delay_ms":1,"max_delay_ms":2,"jitter":false,"condition":["io"]},"on_failure":2},{"id":"b","index":1,"dependencies":["a"],"blocking":true,"timeout_ms":7,"priority":-3,"optional":true,"trigger_rules":{"any":["always",{"task_failed":"a"},{"context_value":{"key":"k","op":"less_than","value":3}}]}}],"callbacks":[{"name":"c","index":2,"blocking":true}]}]}"#,
];

fn write_corpus() {
    let write = |target: &str, name: &str, bytes: &[u8]| {
        fs::create_dir_all(folder(target)).unwrap();
        fs::write(folder(target).join(name), bytes).unwrap();
    };
    DEFINITIONS.iter().for_each(|(name, text)| write("definition", name, text.as_bytes()));
    let small = tempfile::tempdir().unwrap();
    let mut records = Vec::new();
    for (name, json) in ["one", "all"].into_iter().zip(DESCRIPTIONS) {
        let mut record = b"CLCNPKG1\x01\0\0\0".to_vec();
        record.extend_from_slice(&u32::try_from(json.len()).unwrap().to_le_bytes());
        record.extend_from_slice(json.as_bytes());
        write("section", name, &record);
        record.resize(record.len().next_multiple_of(8), 0);
        records.extend_from_slice(&record);
        let library = small_library(small.path(), name, json);
        let archive = pack(std::slice::from_ref(&library));
        let package = cloacina_packager::read_with(&archive, &ReadOptions::default()).unwrap();
        write("manifest", &format!("{name}.toml"), package.manifest().render().as_bytes());
        write("manifest", &format!("{name}.json"), package.metadata().render().as_bytes());
        write("library", name, &library);
        write("archive", name, &archive);
    }
    write("section", "disagree", &records);
    let library = small_library(small.path(), "several", DESCRIPTIONS[0]);
    let mut other = library.clone();
    other[18..20].copy_from_slice(&183_u16.to_le_bytes());
    write("archive", "several", &pack(&[library, other]));
    for (name, first) in [("right", 1_u8), ("as_it_is", 0)] {
        let mut tar = tar::Builder::new(vec![first]);
        for (name, content) in [("lib/a", "x"), ("manifest.toml", "format = 1\n"), ("metadata.json", "{}\n")] {
            let mut header = tar::Header::new_ustar();
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            header.set_mtime(0);
            header.set_uid(0);
            header.set_gid(0);
            header.set_device_major(0).and_then(|()| header.set_device_minor(0)).unwrap();
            header.set_cksum();
            tar.append_data(&mut header, name, content.as_bytes()).unwrap();
        }
        write("tar", name, &tar.into_inner().unwrap());
    }
    // A greeting, then a log line with its three parts; an order to cancel, from the other side.
    let frame = |kind: u32, parts: [&[u8]; 3]| {
        let mut bytes = [&kind.to_le_bytes()[..], &3_u32.to_le_bytes(), &9_u64.to_le_bytes(), &[0; 12]].concat();
        parts.iter().for_each(|part| bytes.extend_from_slice(&u32::try_from(part.len()).unwrap().to_le_bytes()));
        bytes.extend_from_slice(&parts.concat());
        bytes
    };
    let up = [frame(64, [b"", b"", b""]), frame(69, [b"target", b"line", b"{}"]), frame(72, [b"secret", b"", b""])];
    write("frame", "up", &[&[0][..], &up.concat()].concat());
    let down = [frame(3, [b"", b"", b""]), frame(2, [b"{}", b"key", b""]), frame(4, [b"", b"", b""])];
    write("frame", "down", &[&[1][..], &down.concat()].concat());
}

/// A library of a few KiB with that description.
fn small_library(folder: &std::path::Path, name: &str, json: &str) -> Vec<u8> {
    let text = json.replace('"', "\\\"");
    let source = format!(
        "#include \"cloacina.h\"\nCLCN_METADATA(\"{text}\");\n\
         static int32_t init(const clcn_host_v1 *h, clcn_bytes c) {{ (void)h; (void)c; return CLCN_OK; }}\n\
         static int32_t start(const clcn_start *s) {{ (void)s; return CLCN_REFUSED; }}\n\
         CLCN_PACKAGE(init, start, 0, 0);\n"
    );
    let file = folder.join(format!("{name}.c"));
    fs::write(&file, source).unwrap();
    let arguments = ["-nostdlib", "-s", "-Wl,-z,noseparate-code", "-Wl,--build-id=none"];
    fs::read(library::compile_file(folder, name, &file, &arguments)).unwrap()
}

fn pack(libraries: &[Vec<u8>]) -> Vec<u8> {
    let library = |bytes: &Vec<u8>| InputLibrary { name: "libsmall.so".to_owned(), bytes: bytes.clone() };
    cloacina_packager::write(&Input { libraries: libraries.iter().map(library).collect(), ..Input::default() }).unwrap()
}
