//! Libraries made by the C compiler: what is found in them, and which are refused.

use cloacina_packager::library::{GlibcVersion, Policy, inspect};
use cloacina_packager::{Error, Target};

use crate::support::{DIAMOND, compile, library, source};

const SHARED: &[&str] = &["-shared"];

fn code(source: &str, arguments: &[&str]) -> String {
    let bytes = compile(source, arguments);
    match inspect("x.so", &bytes) {
        Err(error) => error.code().to_owned(),
        Ok(facts) => {
            let policy = Policy { target: Target::host(), ..Policy::default() };
            let problems = facts.problems("x.so", &policy);
            problems.iter().map(Error::code).collect::<Vec<_>>().join(" ")
        }
    }
}

#[test]
fn a_c_library_is_read_without_running_it() {
    let source = String::from("#include <stdlib.h>\n")
        + &source(DIAMOND)
        + "__attribute__((constructor)) static void run(void) { abort(); }";
    let facts = inspect("x.so", &compile(&source, SHARED)).unwrap();
    assert_eq!(facts.target(), Target::host());
    assert_eq!(facts.descriptor.package, "diamond");
    assert!(facts.exports.contains(&"cloacina_package_v1".to_owned()), "{:?}", facts.exports);
    assert_eq!(facts.needed, ["libc.so.6"]);
    assert!(!facts.executable_stack);
    assert!(facts.problems("x.so", &Policy::default()).is_empty());
}

#[test]
fn libraries_that_must_not_be_loaded_are_refused() {
    let good = source(DIAMOND);
    let other_abi =
        good.replace("CLCN_PACKAGE(init, start, 0, 0);", "CLCN_EXPORT int cloacina_package_v2(void) { return 0; }");
    let other_minor = source(&DIAMOND.replace("\"abi\":\"1.0\"", "\"abi\":\"2.0\""));
    let no_entry = good
        .replace("CLCN_PACKAGE(init, start, 0, 0);", "int used(void) { return init(0, CLCN_TEXT(\"\")) + start(0); }");
    let no_record = "int x(void) { return 1; }";
    let garbage =
        "__attribute__((used, section(\"cloacina\"))) static const char x[32] = \"this is not a record at all\";";
    let unknown = source(&DIAMOND.replace("\"index\":0", "\"index\":0,\"retries\":1"));
    let program = "int main(void) { return 0; }";
    let cases: [(&str, &str, &[&str], &str); 14] = [
        ("good", &good, SHARED, ""),
        ("another ABI", &other_abi, SHARED, "PKG0037"),
        ("another ABI in the descriptor", &other_minor, SHARED, "PKG0037"),
        ("no entry point", &no_entry, SHARED, "PKG0036"),
        ("no record", no_record, SHARED, "PKG0034"),
        ("garbage for a record", garbage, SHARED, "PKG0035"),
        ("a descriptor with an unknown member", &unknown, SHARED, "PKG0035"),
        ("an object file", &good, &["-c"], "PKG0031"),
        ("a program", program, &[], "PKG0031"),
        ("a static program", program, &["-static"], "PKG0031"),
        ("a search path", &good, &["-shared", "-Wl,-rpath,/tmp/evil"], "PKG0040"),
        ("an old search path", &good, &["-shared", "-Wl,--disable-new-dtags,-rpath,/tmp/evil"], "PKG0040"),
        ("an executable stack", &good, &["-shared", "-Wl,-z,execstack"], "PKG0041"),
        ("the math library", &good, &["-shared", "-Wl,--no-as-needed", "-lm"], ""),
    ];
    for (name, source, arguments, expected) in cases {
        assert_eq!(code(source, arguments), *expected, "{name}");
    }
}

#[test]
fn libraries_that_need_others_are_refused_unless_the_operator_allows_it() {
    let folder = tempfile::tempdir().unwrap();
    let other = folder.path().join("libother.so.3");
    std::fs::write(&other, compile("int other(void) { return 1; }", &["-shared", "-Wl,-soname,libother.so.3"]))
        .unwrap();
    for arguments in [
        vec!["-shared", "-Wl,--no-as-needed", other.to_str().unwrap()],
        vec!["-shared", "-Wl,--filter=libother.so.3"],
        vec!["-shared", "-Wl,--audit=libother.so.3"],
    ] {
        let facts = inspect("x.so", &compile(&source(DIAMOND), &arguments)).unwrap();
        let mut policy = Policy::default();
        let problems = facts.problems("x.so", &policy);
        assert!(
            problems.iter().any(
                |problem| matches!(problem, Error::DependencyNotAllowed { needed, .. } if needed == "libother.so.3")
            ),
            "{arguments:?}: {problems:?}"
        );
        policy.allowed_libraries.push("libother.so.3".to_owned());
        assert!(facts.problems("x.so", &policy).is_empty());
    }
}

#[test]
fn a_path_is_not_the_name_of_a_system_library() {
    for needed in
        ["libc.so.6/../../tmp/evil.so", "ld-linux/../../tmp/evil.so.1", "/tmp/libc.so.6", "libc.so.evil", "libc.sox"]
    {
        let filter = format!("-Wl,--filter={needed}");
        let facts = inspect("x.so", &compile(&source(DIAMOND), &["-shared", &filter])).unwrap();
        let codes: Vec<_> = facts.problems("x.so", &Policy::default()).iter().map(Error::code).collect();
        assert_eq!(codes, ["PKG0038"], "{needed}");
    }
}

/// The system's loader goes by address, so a table that only other tools find hides nothing.
#[test]
fn what_a_library_needs_is_read_where_the_system_reads_it() {
    let mut bytes = compile(&source(DIAMOND), &["-shared", "-Wl,--filter=libother.so.3"]);
    let number = |bytes: &[u8], at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
    let table = usize::try_from(number(&bytes, 32)).unwrap();
    let n_headers = usize::from(u16::from_le_bytes([bytes[56], bytes[57]]));
    let headers: Vec<_> = (0..n_headers).map(|number| table + number * 56).collect();
    let dynamic = *headers.iter().find(|&&at| bytes[at] == 2).unwrap();
    // The offset in the file of the dynamic segment leads to zeros now: an empty table.
    let zeros = bytes.len() as u64;
    bytes.extend([0; 512]);
    bytes[dynamic + 8..dynamic + 16].copy_from_slice(&zeros.to_le_bytes());
    let facts = inspect("x.so", &bytes).unwrap();
    assert!(facts.needed.contains(&"libother.so.3".to_owned()), "{:?}", facts.needed);
    // Segments over each other: the second is moved to the address of the first.
    let loads: Vec<_> = headers.iter().copied().filter(|&at| bytes[at..at + 4] == [1, 0, 0, 0]).collect();
    bytes.copy_within(loads[0] + 16..loads[0] + 24, loads[1] + 16);
    assert_eq!(inspect("x.so", &bytes).unwrap_err().code(), "PKG0031");
}

#[test]
fn a_library_for_a_newer_glibc_is_refused() {
    let uses_libc = source(DIAMOND) + "#include <stdio.h>\nvoid say(void) { puts(\"x\"); }";
    let facts = inspect("x.so", &compile(&uses_libc, SHARED)).unwrap();
    let needed = facts.glibc.unwrap();
    let check = |available: &str| {
        let policy = Policy { glibc_available: Some(available.parse().unwrap()), ..Policy::default() };
        facts.problems("x.so", &policy).first().map(Error::code)
    };
    assert_eq!(check("2.0"), Some("PKG0039"));
    assert_eq!(check(&needed.to_string()), None);
    assert!(GlibcVersion::of_this_process().unwrap() >= needed);
}

#[test]
fn a_library_for_another_machine_is_read_and_refused() {
    let mut bytes = library(DIAMOND);
    // The machine's number in an ELF header: AArch64.
    bytes[18..20].copy_from_slice(&183u16.to_le_bytes());
    let facts = inspect("x.so", &bytes).unwrap();
    assert_eq!(facts.target().map(Target::triple), Some("aarch64-unknown-linux-gnu"));
    let policy = Policy { target: Target::find("x86_64-unknown-linux-gnu"), ..Policy::default() };
    assert_eq!(facts.problems("x.so", &policy)[0].code(), "PKG0032");
}

#[test]
fn no_byte_of_a_library_makes_the_reader_panic() {
    let good = library(DIAMOND);
    let mut bytes = good.clone();
    for at in 0..good.len() {
        for value in [0, 0x7f, 0xff, good[at] ^ 1] {
            bytes[at] = value;
            if let Ok(facts) = inspect("x.so", &bytes) {
                facts.problems("x.so", &Policy::default());
            }
        }
        bytes[at] = good[at];
    }
    for length in (0..good.len()).step_by(13) {
        assert!(inspect("x.so", &good[..length]).is_err() || length > 0);
    }
}
