//! Hostile and damaged archives: each refused with its own code, none accepted.

use cloacina_packager::{Error, Limits, ReadOptions, read, read_with, repack};

use crate::support::{
    DIAMOND, Entry, archive, compile, edited, entries, files, gzip, library, source, tar, with_library,
};

fn refused(name: &str, archive: &[u8], limits: &Limits) -> Error {
    match read(archive, limits) {
        Ok(_) => panic!("{name} was accepted"),
        Err(error) => error,
    }
}

fn check(cases: &[(&str, Vec<u8>, &str)]) {
    for (name, archive, code) in cases {
        let error = refused(name, archive, &Limits::default());
        assert_eq!(error.code(), *code, "{name}: {error}");
        assert!(!error.to_string().ends_with('.'), "{name}: {error}");
    }
}

#[test]
fn the_gzip_layer_is_one_plain_member() {
    let good = archive(&library(DIAMOND));
    let flipped = |at: usize| {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        bytes
    };
    let n = good.len();
    check(&[
        ("nothing", vec![], "PKG0004"),
        ("text", b"hello, this is text".to_vec(), "PKG0001"),
        ("a plain tar", tar(&entries(&files(&good))), "PKG0001"),
        ("a file name in the header", flipped(3), "PKG0002"),
        ("a time in the header", flipped(5), "PKG0002"),
        ("another system in the header", flipped(9), "PKG0002"),
        ("junk behind the member", [good.as_slice(), b"junk"].concat(), "PKG0003"),
        ("zeros behind the member", [good.as_slice(), &[0; 512]].concat(), "PKG0003"),
        ("a second member", [good.as_slice(), &gzip(b"")].concat(), "PKG0003"),
        ("half of it", good[..n / 2].to_vec(), "PKG0004"),
        ("another checksum", flipped(n - 8), "PKG0005"),
        ("another length", flipped(n - 4), "PKG0005"),
        ("an invalid stream", [&good[..10], &[0xff; 40]].concat(), "PKG0006"),
    ]);
}

#[test]
fn entries_are_plain_sorted_files_with_plain_names() {
    let good = files(&archive(&library(DIAMOND)));
    let with = |change: &dyn Fn(&mut Vec<Entry>)| {
        let mut entries = entries(&good);
        change(&mut entries);
        gzip(&tar(&entries))
    };
    let named = |name: &[u8]| with(&|entries| entries[0].name = name.to_vec());
    let kind = |kind: u8| with(&|entries| entries[0].kind = kind);
    let over = |at: usize, bytes: &[u8]| with(&|entries| entries[0].over.push((at, bytes.to_vec())));
    let raw = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = tar(&entries(&good));
        change(&mut bytes);
        gzip(&bytes)
    };
    assert!(read(&with(&|_| {}), &Limits::default()).is_ok(), "the unchanged archive is fine");
    check(&[
        ("an escape", named(b"../evil.so"), "PKG0008"),
        ("an escape from below", named(b"lib/../../evil.so"), "PKG0008"),
        ("an escape with backslashes", named(b"lib\\..\\evil.so"), "PKG0008"),
        ("an escape through the prefix", over(345, b".."), "PKG0008"),
        ("an absolute path", named(b"/etc/passwd"), "PKG0009"),
        ("an absolute path of Windows", named(b"C:\\evil.dll"), "PKG0009"),
        ("an absolute path through the prefix", over(345, b"/etc"), "PKG0009"),
        ("a backslash", named(b"lib\\x.so"), "PKG0010"),
        ("a dot in front", named(b"./lib/x.so"), "PKG0010"),
        ("an empty part", named(b"lib//x.so"), "PKG0010"),
        ("a hidden file", named(b"lib/.x.so"), "PKG0010"),
        ("a control character", named(b"lib/\x1b[31m.so"), "PKG0010"),
        ("not UTF-8", named(b"lib/\xff.so"), "PKG0010"),
        ("no name", named(b""), "PKG0010"),
        ("a symbolic link", kind(b'2'), "PKG0011"),
        ("a hard link", kind(b'1'), "PKG0012"),
        ("a character device", kind(b'3'), "PKG0013"),
        ("a block device", kind(b'4'), "PKG0013"),
        ("a folder", kind(b'5'), "PKG0013"),
        ("a FIFO", kind(b'6'), "PKG0013"),
        ("an old regular file", kind(0), "PKG0013"),
        ("a contiguous file", kind(b'7'), "PKG0013"),
        ("twice the same", with(&|entries| entries.insert(1, entries[0].clone())), "PKG0014"),
        ("twice the same, apart", with(&|entries| entries.push(entries[0].clone())), "PKG0014"),
        ("PAX for one entry", kind(b'x'), "PKG0015"),
        ("PAX for all", kind(b'g'), "PKG0015"),
        ("a long name of GNU", kind(b'L'), "PKG0015"),
        ("a long link of GNU", kind(b'K'), "PKG0015"),
        ("a sparse file of GNU", kind(b'S'), "PKG0015"),
        ("unsorted", with(&|entries| entries.reverse()), "PKG0016"),
        ("executable", over(100, b"0000755\0"), "PKG0017"),
        ("another owner", over(108, b"0001750\0"), "PKG0017"),
        ("another group", over(116, b"0001750\0"), "PKG0017"),
        ("a time", over(136, b"14000000000\0"), "PKG0017"),
        ("a named owner", over(265, b"root\0"), "PKG0017"),
        ("a named group", over(297, b"root\0"), "PKG0017"),
        ("the magic of GNU", over(257, b"ustar  \0"), "PKG0017"),
        ("a link name", over(157, b"x"), "PKG0017"),
        ("a device number", over(329, b"0000001\0"), "PKG0017"),
        ("a size with spaces", over(124, format!("{:>11o}\0", good[0].1.len()).as_bytes()), "PKG0017"),
        ("a name behind the name", over(90, b"x"), "PKG0017"),
        ("bytes at the header's end", over(500, b"x"), "PKG0017"),
        ("bytes in the padding", raw(&|tar| tar[512 + good[0].1.len()] = 1), "PKG0017"),
        ("zeros behind the end", raw(&|tar| tar.extend([0; 512])), "PKG0018"),
        ("files behind the end", raw(&|tar| tar.extend(tar.clone())), "PKG0018"),
        ("files behind the first zeros", raw(&|tar| tar.splice(0..0, [0; 512]).for_each(drop)), "PKG0018"),
        ("a wrong checksum", raw(&|tar| tar[150] ^= 1), "PKG0019"),
        ("no tar", gzip(&[b'x'; 4096]), "PKG0019"),
        ("an empty tar", gzip(&[0; 1024]), "PKG0020"),
        ("nothing in gzip", gzip(b""), "PKG0004"),
        ("no end", raw(&|tar| tar.truncate(tar.len() - 1024)), "PKG0004"),
        ("half an end", raw(&|tar| tar.truncate(tar.len() - 512)), "PKG0004"),
        ("cut inside of a file", raw(&|tar| tar.truncate(1000)), "PKG0004"),
        ("a size beyond the end", with(&|entries| entries[2].size = Some(5000)), "PKG0004"),
        ("a size beyond all", with(&|entries| entries[2].size = Some(0o77777777777)), "PKG0007"),
    ]);
}

/// Where the tar cannot be read as stock tar reads it, repacking refuses too.
#[test]
fn repacking_refuses_what_is_dangerous() {
    let good = files(&archive(&library(DIAMOND)));
    let with = |change: &dyn Fn(&mut Vec<Entry>)| {
        let mut entries = entries(&good);
        change(&mut entries);
        gzip(&tar(&entries))
    };
    let cases = [
        (with(&|entries| entries[0].name = b"../evil.so".to_vec()), "PKG0008"),
        (with(&|entries| entries[0].name = b"/evil.so".to_vec()), "PKG0009"),
        (with(&|entries| (entries[0].kind, entries[0].link) = (b'2', b"/etc/passwd".to_vec())), "PKG0011"),
        (with(&|entries| entries[0].kind = b'1'), "PKG0012"),
        (with(&|entries| entries[0].kind = b'3'), "PKG0013"),
        (with(&|entries| entries.push(entries[0].clone())), "PKG0014"),
        (with(&|entries| entries.truncate(2)), "PKG0020"),
        ([with(&|_| {}), b"junk".to_vec()].concat(), "PKG0003"),
    ];
    for (archive, code) in cases {
        let error = repack(&archive, &Limits::default()).unwrap_err();
        assert_eq!(error.code(), code, "{error}");
    }
}

#[test]
fn limits_hold() {
    let good = archive(&library(DIAMOND));
    let default = Limits::default;
    let cases = [
        ("compressed", Limits { compressed_bytes_max: 100, ..default() }),
        ("expanded", Limits { expanded_bytes_max: 2000, ..default() }),
        ("entry", Limits { entry_bytes_max: 1000, ..default() }),
        ("text", Limits { text_bytes_max: 100, ..default() }),
        ("entries", Limits { entries_max: 2, ..default() }),
    ];
    for (name, limits) in cases {
        let error = refused(name, &good, &limits);
        assert_eq!(error.code(), "PKG0007", "{name}: {error}");
    }
    // A thousandfold bomb is refused by its size in the header, and by the total where the headers are harmless.
    let bomb = Entry::file("lib/bomb.so", &vec![0; 40 << 20]);
    let limits = Limits { entry_bytes_max: 1 << 20, ..default() };
    let error = refused("bomb", &gzip(&tar(std::slice::from_ref(&bomb))), &limits);
    assert!(matches!(error, Error::TooLarge { entry: Some(entry), .. } if entry == "lib/bomb.so"));
    let limits = Limits { expanded_bytes_max: 1 << 20, ..default() };
    assert_eq!(refused("bomb", &gzip(&tar(&[bomb])), &limits).code(), "PKG0007");
}

#[test]
fn files_fit_together() {
    let good = files(&archive(&library(DIAMOND)));
    let pack = |files: &[(String, Vec<u8>)]| {
        let mut files = files.to_vec();
        files.sort();
        gzip(&tar(&entries(&files)))
    };
    let without = |name: &str| pack(&good.iter().filter(|(file, _)| file != name).cloned().collect::<Vec<_>>());
    let plus = |name: &str| pack(&[good.as_slice(), &[(name.to_owned(), b"x".to_vec())]].concat());
    let manifest = |from: &str, to: &str| pack(&edited(&good, "manifest.toml", from, to));
    let metadata = |from: &str, to: &str| pack(&edited(&good, "metadata.json", from, to));
    let replaced = |json: &str| pack(&with_library(&good, &library(json)));
    let object = compile(&source(DIAMOND), &["-c"]);
    check(&[
        ("no manifest", without("manifest.toml"), "PKG0020"),
        ("no metadata", without("metadata.json"), "PKG0020"),
        ("no library", without("lib/libdiamond.so"), "PKG0020"),
        ("another file", plus("readme.txt"), "PKG0021"),
        ("another library", plus("lib/other.so"), "PKG0021"),
        ("a manifest that is not TOML", manifest("format = 1", "format = = 1"), "PKG0022"),
        ("a manifest without a format", manifest("format = 1", ""), "PKG0022"),
        ("a library elsewhere", manifest("lib/libdiamond.so", "libdiamond.so"), "PKG0022"),
        ("a library two folders down", manifest("lib/libdiamond.so", "lib/x/libdiamond.so"), "PKG0022"),
        ("a missing field", manifest("abi = \"1.0\"", ""), "PKG0022"),
        ("an unknown field", manifest("format = 1", "format = 1\nnew = 2"), "PKG0023"),
        ("an unknown field of a task", manifest("id = \"top\"", "id = \"top\"\nretry = 1"), "PKG0023"),
        ("another format", manifest("format = 1", "format = 2\nnew = 2"), "PKG0024"),
        ("metadata that are not JSON", metadata("{", "["), "PKG0025"),
        ("metadata with an unknown field", metadata("{", "{\"new\": 1,"), "PKG0025"),
        ("another digest", manifest("sha256 = \"", "sha256 = \"00"), "PKG0022"),
        ("another size", manifest("size = ", "size = 9"), "PKG0027"),
        ("another name", manifest("name = \"diamond\"", "name = \"ruby\""), "PKG0028"),
        ("another version", manifest("version = \"1.2.3\"", "version = \"1.2.4\""), "PKG0028"),
        ("another tenant", manifest("abi = ", "tenant = \"acme\"\nabi = "), "PKG0028"),
        ("another order", manifest("\"left\", \"right\"", "\"right\", \"left\""), "PKG0028"),
        ("another index", manifest("index = 1", "index = 2"), "PKG0028"),
        ("another panic", manifest("panic = \"unwind\"", "panic = \"abort\""), "PKG0028"),
        ("another descriptor", replaced(&DIAMOND.replace("[\"left\",\"right\"]", "[\"left\"]")), "PKG0028"),
        ("other metadata", metadata("\"diamond\"", "\"ruby\""), "PKG0029"),
        ("a target that is not known", manifest("x86_64-unknown-linux-gnu", "vax-dec-ultrix"), "PKG0033"),
        (
            "a target that the library is not for",
            manifest("x86_64-unknown-linux-gnu", "aarch64-apple-darwin"),
            "PKG0032",
        ),
        ("a library that is text", pack(&with_library(&good, b"hello")), "PKG0031"),
        ("a library that is an object file", pack(&with_library(&good, &object)), "PKG0031"),
        (
            "a graph with a cycle",
            replaced(&DIAMOND.replace("\"id\":\"top\"", "\"id\":\"top\",\"dependencies\":[\"bottom\"]")),
            "PKG0042",
        ),
    ]);
    let mut tampered = good.clone();
    tampered[0].1[600] ^= 1;
    check(&[("a changed library", pack(&tampered), "PKG0026")]);
    let error = refused("", &manifest("\"left\", \"right\"", "\"right\", \"left\""), &Limits::default());
    assert_eq!(
        error.to_string(),
        "manifest.toml disagrees with the library `lib/libdiamond.so`: workflows[0].order[1] is `\"right\"` in the \
         manifest, `\"left\"` in the library"
    );
}

#[test]
fn an_archive_cut_anywhere_is_refused() {
    let archive = archive(&library(DIAMOND));
    for length in 0..archive.len() {
        let error = refused("a cut archive", &archive[..length], &Limits::default());
        assert_eq!(error.code(), "PKG0004", "at {length}: {error}");
    }
}

#[test]
fn a_flipped_bit_anywhere_is_refused_or_changes_nothing() {
    let archive = archive(&library(DIAMOND));
    let content = read(&archive, &Limits::default()).unwrap().content_digest();
    let mut changed = archive.clone();
    for at in 0..archive.len() {
        for bit in 0..8 {
            changed[at] ^= 1 << bit;
            if let Ok(package) = read_with(&changed, &ReadOptions::default()) {
                assert_eq!(package.content_digest(), content, "byte {at}, bit {bit}");
            }
            changed[at] = archive[at];
        }
    }
}

/// Behind the checksum, too: whatever byte of the tar is changed, the archive is refused.
#[test]
fn a_changed_byte_of_the_tar_is_refused() {
    let good = files(&archive(&library(DIAMOND)));
    let tar = tar(&entries(&good));
    let mut changed = tar.clone();
    for at in (0..tar.len()).filter(|at| at % 7 == 0 || at % 512 < 500 && tar[*at] != 0) {
        changed[at] ^= 0x10;
        assert!(read(&gzip(&changed), &Limits::default()).is_err(), "byte {at}");
        changed[at] = tar[at];
    }
}
