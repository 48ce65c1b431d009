//! Libraries made by a C compiler against the published header, each in a folder of its own.

use std::{
    fs,
    path::Path,
    sync::{Arc, atomic::Ordering},
    thread,
    time::Duration,
};

use cloacina_packager::Digest;

use super::{
    library::{COMPLETE_TWICE, CONFIG, COUNTS, ECHO, ECHO_ON_A_THREAD, GARBAGE, N_TASKS, NEVER, REFUSE, compile, run},
    recorder::{call, descriptor, descriptor_json, recorder},
};
use crate::loader::{LazyLibrary, TrustedFile, open};

#[test]
fn a_task_in_c_gets_the_context_and_gives_back_a_delta() {
    let library = compile("happy", &[]).open().unwrap();
    let payload = r#"{"values":{"k":[1,2]},"producer":{"k":"first"}}"#;
    let expect = format!(r#"delta {{"seen":{payload}}} -[]"#);
    assert_eq!(run(&library, ECHO, payload).1, [expect.as_str()]);
    let heard = run(&library, ECHO_ON_A_THREAD, payload).1;
    assert_eq!(heard, [r#"log info worker: echoing {"n":1}"#, "heartbeat 500 half", &expect]);
}

#[test]
fn a_second_completion_changes_nothing() {
    let library = compile("twice", &[]).open().unwrap();
    let (sink, heard) = recorder();
    library.start(call(COMPLETE_TWICE, "{}"), sink).unwrap();
    assert_eq!(heard.all(), ["delta {} -[]"]);
    assert_eq!(library.anomalies().stale_completions.load(Ordering::Relaxed), 1);
    assert_eq!(run(&library, ECHO, "1").1, [r#"delta {"seen":1} -[]"#]);
}

#[test]
fn garbage_fails_the_call_and_nothing_else() {
    let library = compile("garbage", &[]).open().unwrap();
    let heard = run(&library, GARBAGE, "{}").1;
    assert_eq!(
        heard,
        [
            "failed final bad_output LIB0020: the package's output is not a valid JSON object: invalid utf-8 sequence of 1 bytes from index 0"
        ]
    );
    assert_eq!(run(&library, ECHO, "1").1, [r#"delta {"seen":1} -[]"#]);
    let (sink, heard) = recorder();
    assert_eq!(library.start(call(REFUSE, "{}"), sink).unwrap_err().code(), "LIB0012");
    assert_eq!(heard.all(), [""; 0]);
}

#[test]
fn a_call_that_never_completes_stays_open_until_the_engine_unloads_the_package() {
    let library = compile("never", &[]).open().unwrap();
    let (sink, heard) = recorder();
    let id = library.start(call(NEVER, "{}"), Arc::clone(&sink) as _).unwrap();
    library.cancel(id);
    assert_eq!(run(&library, ECHO, "1").1, [r#"delta {"seen":1} -[]"#]);
    assert_eq!(library.n_open_calls(), 1);
    library.close(Duration::from_millis(1));
    assert_eq!(library.n_open_calls(), 0);
    assert_eq!(heard.all(), [""; 0]);
    assert_eq!(Arc::strong_count(&sink), 1, "the sink was released too");
}

#[test]
fn a_library_is_loaded_and_initialized_once_per_process() {
    let made = compile("once", &[]);
    let libraries: Vec<_> = thread::scope(|scope| {
        let opening: Vec<_> = (0..8).map(|_| scope.spawn(|| made.open().unwrap())).collect();
        opening.into_iter().map(|opening| opening.join().unwrap()).collect()
    });
    // The same content elsewhere is the same library.
    let elsewhere = tempfile::tempdir().unwrap();
    let path = elsewhere.path().join("other.so");
    fs::copy(&made.path, &path).unwrap();
    let again =
        open(&TrustedFile::told_by_engine(path.clone(), made.digest), &descriptor("once", N_TASKS), CONFIG).unwrap();
    for library in libraries.iter().chain([&again]) {
        assert_eq!(run(library, COUNTS, "{}").1, [r#"delta {"constructed":1,"initialized":1} -[]"#]);
    }
}

#[test]
fn many_calls_at_once_each_end_with_their_own_data() {
    const N_THREADS: usize = 8;
    const N_CALLS: usize = 250;
    let library = compile("many", &[]).open().unwrap();
    thread::scope(|scope| {
        for n_thread in 0..N_THREADS {
            let library = &library;
            scope.spawn(move || {
                for n_call in 0..N_CALLS {
                    let payload = format!(r#"{{"values":{{"n":{}}}}}"#, n_thread * N_CALLS + n_call);
                    let function = if n_call % 8 == 0 { ECHO_ON_A_THREAD } else { ECHO };
                    let (_, heard) = run(library, function, &payload);
                    assert_eq!(heard.last().unwrap(), &format!(r#"delta {{"seen":{payload}}} -[]"#));
                }
            });
        }
    });
    assert_eq!(library.n_open_calls(), 0);
    assert_eq!(library.anomalies().stale_completions.load(Ordering::Relaxed), 0);
}

#[test]
fn a_failed_init_is_an_error_and_is_tried_again() {
    for (package, status, answer) in [("init", 2, "failed"), ("status", 99, "99")] {
        let made = compile(package, &[&format!("INIT_FAILS={status}")]);
        let error = made.open().unwrap_err();
        let expect = format!("the package refused to start: init answered {answer}");
        assert_eq!((error.code(), error.to_string()), ("LIB0010", expect));
        let library = made.open().unwrap();
        assert_eq!(run(&library, COUNTS, "{}").1, [r#"delta {"constructed":1,"initialized":2} -[]"#]);
    }
}

#[test]
fn libraries_that_do_not_fit_are_refused_with_both_sides_named() {
    fn check(package: &str, define: &str, code: &str, expect: &str) {
        let made = compile(package, &[define]);
        // Asked twice, as a refusal must not leave anything behind.
        for _ in 0..2 {
            let error = made.open().unwrap_err();
            assert_eq!((error.code(), error.to_string().contains(expect)), (code, true), "{error}");
            assert!(!error.hints().is_empty());
        }
    }
    check("minor", "MINOR=4", "LIB0006", "the package speaks version 1.4 of the C ABI, this engine speaks 1.0 to 1.2");
    check("size", "SIZE=24", "LIB0005", "its size is 24 bytes, version 1.0 has 56");
    check("null", "NULL_TABLE=1", "LIB0005", "the pointer is null");
    check("symbol", "ENTRY=cloacina_package_v0", "LIB0004", "exports no function `cloacina_package_v1`");
    let other = format!("RECORD={:?}", descriptor_json("impostor", N_TASKS));
    check("differs", &other, "LIB0008", r#"package is "impostor" in the library, "differs" in the archive"#);
    check("unreadable", r#"RECORD="{\"format\":1}""#, "LIB0007", "missing field");
}

#[test]
fn a_file_that_is_not_the_registered_one_is_not_mapped() {
    let made = compile("file", &["INIT_FAILS=2"]);
    let check = |path: &Path, digest, code: &str, expect: &str| {
        let error = open(&TrustedFile::told_by_engine(path.to_owned(), digest), &descriptor("file", N_TASKS), CONFIG)
            .unwrap_err();
        assert_eq!((error.code(), error.to_string().contains(expect)), (code, true), "{error}");
    };
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing.so");
    check(&missing, made.digest, "LIB0001", "cannot read the library");
    let mut bytes = fs::read(&made.path).unwrap();
    let changed = folder.path().join("changed.so");
    bytes.push(0);
    fs::write(&changed, &bytes).unwrap();
    check(&changed, made.digest, "LIB0002", &format!("expected {}", made.digest));
    let no_library = folder.path().join("text.so");
    fs::write(&no_library, "no library").unwrap();
    check(&no_library, Digest::of(b"no library"), "LIB0003", "the dynamic loader refused");
    // The good one is still there to be opened, once its own refusal to start is over.
    made.open().unwrap_err();
    made.open().unwrap();
}

#[test]
fn a_library_is_loaded_when_it_is_first_needed() {
    let made = compile("lazy", &[]);
    let (path, digest) = (made.path.clone(), made.digest);
    let ready = Arc::new(move || Ok(TrustedFile::told_by_engine(path.clone(), digest)));
    let lazy = LazyLibrary::new(made.path.clone(), made.digest, descriptor("lazy", N_TASKS).into(), CONFIG, ready);
    lazy.check().unwrap();
    assert!(lazy.loaded().is_none());
    let elsewhere = made.path.with_extension("away");
    fs::rename(&made.path, &elsewhere).unwrap();
    assert_eq!(lazy.check().unwrap_err().code(), "LIB0001");
    assert_eq!(lazy.load().unwrap_err().code(), "LIB0001");
    fs::write(&made.path, "something else").unwrap();
    assert_eq!(lazy.check().unwrap_err().code(), "LIB0002");
    assert_eq!(lazy.load().unwrap_err().code(), "LIB0002");
    fs::rename(&elsewhere, &made.path).unwrap();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| lazy.load().unwrap());
        }
    });
    assert_eq!(run(lazy.loaded().unwrap(), ECHO, "1").1, [r#"delta {"seen":1} -[]"#]);
    lazy.close(Duration::ZERO);
    let (sink, _heard) = recorder();
    assert_eq!(lazy.load().unwrap().start(call(ECHO, "1"), sink).unwrap_err().code(), "LIB0016");
}
