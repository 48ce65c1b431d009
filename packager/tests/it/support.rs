//! What the tests share: libraries made by the C compiler, archives made by hand.
//!
//! A tar is built byte by byte here, never by the code under test, so that every header can lie.

use std::io::Write;
use std::path::Path;
use std::process::Command;

use cloacina_packager::{Digest, Input, InputLibrary, ReadOptions};
use flate2::{Compression, GzBuilder};

/// A descriptor with a diamond of four tasks.
pub(crate) const DIAMOND: &str = r#"{"format":1,"abi":"1.0","package":"diamond","version":"1.2.3","workflows":[
    {"name":"shape","description":"A diamond.","tasks":[
        {"id":"top","index":0},
        {"id":"left","index":1,"dependencies":["top"]},
        {"id":"right","index":2,"dependencies":["top"]},
        {"id":"bottom","index":3,"dependencies":["left","right"]}]}]}"#;

/// The C source of a package with that descriptor.
pub(crate) fn source(json: &str) -> String {
    let text = json.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', " ");
    format!(
        "#include \"cloacina.h\"\nCLCN_METADATA(\"{text}\");\n\
         static int32_t init(const clcn_host_v1 *h, clcn_bytes c) {{ (void)h; (void)c; return CLCN_OK; }}\n\
         static int32_t start(const clcn_start *s) {{ (void)s; return CLCN_REFUSED; }}\n\
         CLCN_PACKAGE(init, start, 0, 0);\n"
    )
}

/// Compiles C with more arguments and returns the bytes of the result.
pub(crate) fn compile(source: &str, arguments: &[&str]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (folder.path().join("package.c"), folder.path().join("package.so"));
    std::fs::write(&input, source).unwrap();
    let include = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sdk/include");
    let done = Command::new("cc")
        .args(["-O1", "-fPIC", "-s", "-I"])
        .arg(include)
        .arg("-o")
        .args([&output, &input])
        .args(arguments)
        .output()
        .unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    std::fs::read(output).unwrap()
}

/// A small library with that descriptor.
pub(crate) fn library(json: &str) -> Vec<u8> {
    compile(&source(json), &["-shared", "-nostdlib", "-Wl,-z,noexecstack", "-Wl,-z,noseparate-code"])
}

/// A canonical archive of that library.
pub(crate) fn archive(library: &[u8]) -> Vec<u8> {
    cloacina_packager::write(&input(library)).unwrap()
}

pub(crate) fn input(library: &[u8]) -> Input {
    let library = InputLibrary { name: "libdiamond.so".to_owned(), bytes: library.to_vec() };
    Input { libraries: vec![library], ..Input::default() }
}

/// The files of an archive, as the packager reads them.
pub(crate) fn files(archive: &[u8]) -> Vec<(String, Vec<u8>)> {
    let package = cloacina_packager::read_with(archive, &ReadOptions::default()).unwrap();
    package.files().iter().map(|(name, content)| (name.to_owned(), content.to_vec())).collect()
}

/// One entry of a tar, every field of it free to lie.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) name: Vec<u8>,
    pub(crate) content: Vec<u8>,
    pub(crate) kind: u8,
    pub(crate) link: Vec<u8>,
    pub(crate) size: Option<u64>,
    /// Bytes put over the header before the checksum is made.
    pub(crate) over: Vec<(usize, Vec<u8>)>,
}

impl Entry {
    pub(crate) fn file(name: &str, content: &[u8]) -> Entry {
        let (name, content) = (name.as_bytes().to_vec(), content.to_vec());
        Entry { name, content, kind: b'0', link: Vec::new(), size: None, over: Vec::new() }
    }

    fn write(&self, tar: &mut Vec<u8>) {
        let mut header = [0u8; 512];
        let size = self.size.unwrap_or(self.content.len() as u64);
        let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, &self.name);
        put(100, b"0000644\x000000000\x000000000\0");
        put(124, format!("{size:011o}\x0000000000000\0").as_bytes());
        put(148, b"        ");
        put(156, &[self.kind]);
        put(157, &self.link);
        put(257, b"ustar\x0000");
        put(329, b"0000000\x000000000\0");
        for (at, bytes) in &self.over {
            put(*at, bytes);
        }
        let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        tar.extend(header);
        tar.extend(&self.content);
        tar.resize(tar.len().next_multiple_of(512), 0);
    }
}

pub(crate) fn entries(files: &[(String, Vec<u8>)]) -> Vec<Entry> {
    files.iter().map(|(name, content)| Entry::file(name, content)).collect()
}

pub(crate) fn tar(entries: &[Entry]) -> Vec<u8> {
    let mut tar = Vec::new();
    for entry in entries {
        entry.write(&mut tar);
    }
    tar.extend([0; 1024]);
    tar
}

pub(crate) fn gzip(tar: &[u8]) -> Vec<u8> {
    let mut gzip = GzBuilder::new().operating_system(3).write(Vec::new(), Compression::new(6));
    gzip.write_all(tar).unwrap();
    gzip.finish().unwrap()
}

/// The manifest of an archive, with one piece of text replaced.
pub(crate) fn edited(files: &[(String, Vec<u8>)], name: &str, from: &str, to: &str) -> Vec<(String, Vec<u8>)> {
    let mut files = files.to_vec();
    let (_, content) = files.iter_mut().find(|(file, _)| file == name).unwrap();
    let text = String::from_utf8(content.clone()).unwrap();
    assert!(text.contains(from), "{from} is not in {text}");
    *content = text.replacen(from, to, 1).into_bytes();
    files
}

/// Replaces the library, and size and digest in the manifest with it.
pub(crate) fn with_library(files: &[(String, Vec<u8>)], library: &[u8]) -> Vec<(String, Vec<u8>)> {
    let old = files.iter().find(|(name, _)| name.starts_with("lib/")).unwrap().clone();
    let digest = |bytes: &[u8]| Digest::of(bytes).hex();
    let files = edited(files, "manifest.toml", &digest(&old.1), &digest(library));
    let size = |bytes: &[u8]| format!("size = {}", bytes.len());
    let mut files = edited(&files, "manifest.toml", &size(&old.1), &size(library));
    files.iter_mut().find(|(name, _)| *name == old.0).unwrap().1 = library.to_vec();
    files
}
