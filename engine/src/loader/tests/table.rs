//! Tables compiled into the test: what a package may hand over, without a library in between.
//!
//! The probe package keeps its host table per thread, so that tests do not meet.

use std::{
    cell::{Cell, RefCell},
    panic, ptr,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use cloacina_packager::Digest;
use cloacina_workflow::{
    Level,
    abi::{Bytes, CallResult as Sent, HostV1, OUTPUT_DELTA, OUTPUT_WHOLE, PackageV1, Start},
    descriptor::{Descriptor, HEADER_BYTES, MAGIC, RECORD_ALIGN},
    payload::View,
};

use super::recorder::{Heard, call, descriptor, descriptor_json, recorder};
use crate::loader::{
    CallId, CallResult, CallSink, Error, InitConfig, Library, LogLine, Refused, SECRET_BYTES_MAX, Usage,
    handshake::check_descriptor,
    loaded::{Loaded, shake_hands},
};

const CONFIG: InitConfig = InitConfig { workers: 2, max_log_level: Level::Info, has_own_process: false };

// What the probe's tasks do.
const KEEP: u32 = 0;
const REFUSE: u32 = 1;
const ANSWER_NONSENSE: u32 = 2;
const COMPLETE_AND_REFUSE: u32 = 3;
const COMPLETE: u32 = 4;
const N_TASKS: u32 = 5;

thread_local! {
    static HOST: Cell<*const HostV1> = const { Cell::new(ptr::null()) };
    static CALLS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

fn note(what: String) {
    CALLS.with_borrow_mut(|calls| calls.push(what));
}

/// What the probe was asked since the last time.
fn asked() -> Vec<String> {
    CALLS.take()
}

unsafe extern "C" fn init(host: *const HostV1, config: Bytes) -> i32 {
    HOST.set(host);
    // SAFETY: the host lends the bytes until we return.
    let config = unsafe { config.borrow() }.unwrap();
    note(format!("init {}", str::from_utf8(config).unwrap()));
    0
}

unsafe extern "C" fn start(start: *const Start) -> i32 {
    // SAFETY: the host hands over a whole struct.
    let start = unsafe { start.read() };
    note(format!("start {}", start.task));
    match start.task {
        KEEP => 0,
        REFUSE => 5,
        ANSWER_NONSENSE => 77,
        _ => {
            host().complete(start.call_id, &sent(0, OUTPUT_DELTA, br#"{"set":{"k":1}}"#));
            if start.task == COMPLETE { 0 } else { 5 }
        }
    }
}

unsafe extern "C" fn cancel(_: u64) {
    note("cancel".to_owned());
}

unsafe extern "C" fn shutdown(grace_ms: u32) -> i32 {
    note(format!("shutdown {grace_ms}"));
    0
}

/// The host as this thread's probe knows it.
struct Host(HostV1);

fn host() -> Host {
    // SAFETY: `init` of this thread's probe got the pointer, and host tables live as long as the process.
    Host(unsafe { HOST.get().read() })
}

impl Host {
    fn complete(&self, id: u64, result: *const Sent) {
        // SAFETY: anything may be passed.
        unsafe { (self.0.complete)(self.0.ctx, id, result) }
    }

    fn log(&self, id: u64, level: u32, message: Bytes, fields: Bytes) {
        // SAFETY: anything may be passed.
        unsafe { (self.0.log)(self.0.ctx, id, level, Bytes::lend(b"probe"), message, fields) }
    }

    fn heartbeat(&self, id: u64, permille: u32, note: Bytes) {
        // SAFETY: anything may be passed.
        unsafe { (self.0.heartbeat)(self.0.ctx, id, permille, note) }
    }

    fn secret(&self, id: u64, text: Bytes) {
        // SAFETY: anything may be passed.
        unsafe { (self.0.secret)(self.0.ctx, id, text) }
    }

    fn is_cancelled(&self, id: u64) -> i32 {
        // SAFETY: anything may be passed.
        unsafe { (self.0.is_cancelled)(self.0.ctx, id) }
    }
}

fn sent(status: i32, output_kind: u32, output: &[u8]) -> Sent {
    Sent {
        size: u32::try_from(size_of::<Sent>()).unwrap(),
        status,
        output_kind,
        retry_after_ms: 0,
        output: Bytes::lend(output),
        error_code: Bytes::EMPTY,
        error_message: Bytes::EMPTY,
        cpu_ns: 0,
        retry_after_us: 0,
    }
}

/// A section with one record.
fn section(json: &str) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend(1_u32.to_le_bytes());
    bytes.extend(u32::try_from(json.len()).unwrap().to_le_bytes());
    assert_eq!(bytes.len(), HEADER_BYTES);
    bytes.extend(json.as_bytes());
    bytes.resize(bytes.len().next_multiple_of(RECORD_ALIGN), 0);
    bytes
}

fn probe() -> PackageV1 {
    PackageV1 {
        size: u32::try_from(size_of::<PackageV1>()).unwrap(),
        abi_minor: 0,
        // A table is promised to stay for ever.
        metadata: Bytes::lend(section(&descriptor_json("probe", N_TASKS)).leak()),
        init: Some(init),
        start: Some(start),
        cancel: Some(cancel),
        shutdown: Some(shutdown),
        features: 0,
    }
}

fn try_load(table: *const PackageV1) -> Result<&'static Loaded, Error> {
    // SAFETY: the tables of these tests are what they should be as far as their own checks must rely on it.
    unsafe { shake_hands(None, table, Digest::of(b"probe"), &descriptor("probe", N_TASKS)) }
}

fn loaded() -> &'static Loaded {
    try_load(Box::leak(Box::new(probe()))).unwrap()
}

fn held() -> Arc<Library> {
    loaded().take_hold(CONFIG).unwrap()
}

/// A call that the probe accepted and has not completed.
fn kept(library: &Library) -> (CallId, Heard) {
    let (sink, heard) = recorder();
    (library.start(call(KEEP, "{}"), sink).unwrap(), heard)
}

#[test]
fn a_damaged_table_is_refused_before_any_function_of_it_runs() {
    fn check(damage: impl FnOnce(&mut PackageV1), code: &str, expect: &str) {
        let mut table = probe();
        damage(&mut table);
        let error = try_load(&raw const table).unwrap_err();
        assert_eq!((error.code(), error.to_string().contains(expect)), (code, true), "{error}");
        assert_eq!(asked(), [""; 0], "{error}");
    }
    check(|table| table.size = 8, "LIB0005", "its size is 8 bytes, version 1.0 has 56");
    check(|table| table.init = None, "LIB0005", "the function `init` is missing");
    check(|table| table.start = None, "LIB0005", "the function `start` is missing");
    check(
        |table| table.abi_minor = 3,
        "LIB0006",
        "the package speaks version 1.3 of the C ABI, this engine speaks 1.0 to 1.2",
    );
    check(|table| table.metadata.ptr = ptr::null(), "LIB0005", "metadata has no address");
    check(|table| table.metadata.len = usize::MAX, "LIB0005", "metadata has no address");
    check(|table| table.metadata.len = 24, "LIB0007", "ends after the section");
    check(|table| table.metadata = Bytes::EMPTY, "LIB0007", "no workflow");
    let other = section(&descriptor_json("probe", N_TASKS).replace("t3", "t33"));
    check(
        |table| table.metadata = Bytes::lend(&other),
        "LIB0008",
        r#"workflows[0].tasks[3].id is "t33" in the library, "t3" in the archive"#,
    );
}

#[test]
fn a_table_at_no_proper_address_is_refused() {
    for address in [0, 4, 12345] {
        let error = try_load(ptr::without_provenance(address)).unwrap_err();
        assert_eq!(error.code(), "LIB0005", "{error}");
    }
}

#[test]
fn what_cannot_run_inline_is_refused_by_its_descriptor() {
    fn check(from: &str, to: &str, code: Option<&str>) {
        let json = descriptor_json("probe", 1).replace(from, to);
        let refused = check_descriptor(&Descriptor::parse(&json).unwrap(), false).err();
        assert_eq!(refused.as_ref().map(Error::code), code, "{refused:?}");
    }
    let build = |panic: &str| {
        format!(r#""version":"1.0.0","build":{{"sdk":"s","compiler":"c","target":"t","panic":"{panic}"}}"#)
    };
    check("", "", None);
    check(r#""version":"1.0.0""#, &build("unwind"), None);
    check(r#""version":"1.0.0""#, &build("abort"), Some("LIB0009"));
    for abi in ["1.1", "1.2"] {
        check(r#""abi":"1.0""#, &format!(r#""abi":"{abi}""#), None);
    }
    for abi in ["2.0", "0.9", "1.3", "1", "1.0.0", "one.zero", ""] {
        check(r#""abi":"1.0""#, &format!(r#""abi":"{abi}""#), Some("LIB0006"));
    }
}

#[test]
fn the_end_of_a_call_is_what_was_sent_or_an_error_with_a_code() {
    fn check(status: i32, kind: u32, output: &[u8], expect: &str) {
        let library = held();
        let (id, heard) = kept(&library);
        host().complete(id.number(), &sent(status, kind, output));
        assert_eq!(heard.all(), [expect]);
    }
    let deep = |levels: usize| format!(r#"{{"set":{{"k":{}{}}}}}"#, "[".repeat(levels), "]".repeat(levels));
    check(0, OUTPUT_DELTA, br#"{"set":{"k":[1.5]},"unset":["old"]}"#, r#"delta {"k":[1.5]} -["old"]"#);
    check(0, OUTPUT_WHOLE, br#"{"k":{"a":null}}"#, r#"whole {"k":{"a":null}}"#);
    check(0, OUTPUT_DELTA, b"", "delta {} -[]");
    check(0, OUTPUT_WHOLE, b"", "delta {} -[]");
    check(1, 0, b"", "failed retryable transient : the package gave no message");
    check(2, 0, br#"{"code":"mine"}"#, "failed final permanent : the package gave no message");
    check(2, 0, b"not json", "failed final permanent : the package gave no message");
    check(3, 0, b"", "cancelled the package gave no message");
    check(4, 0, br#"{"location":"a.c:1"}"#, "failed retryable panicked : the package gave no message");

    let bad = |code: &str, reason: &str| format!("failed final bad_output {code}: {reason}");
    check(5, 0, b"", &bad("LIB0018", "the package's result has the unknown status 5"));
    check(-9, 0, b"", &bad("LIB0018", "the package's result has the unknown status -9"));
    check(0, 7, b"{}", &bad("LIB0018", "the package's output has the unknown kind 7"));
    let json = |reason: &str| bad("LIB0020", &format!("the package's output is not a valid JSON object: {reason}"));
    check(0, 1, b"nonsense", &json("expected ident at line 1 column 2"));
    check(0, 1, b"[]", &json("invalid type: sequence, expected an object at line 1 column 0"));
    check(0, 0, b"{\"k\":1} x", &json("trailing characters at line 1 column 9"));
    check(0, 0, b"{\"\xff\":1}", &json("invalid utf-8 sequence of 1 bytes from index 2"));
    check(0, 0, br#"{"\ud800":1}"#, &json("unexpected end of hex escape at line 1 column 9"));
    check(0, 0, br#"{"k":["\ud800"]}"#, &json("unexpected end of hex escape at line 1 column 14"));
    check(0, 0, br#"{"k":1e999}"#, &json("number out of range at line 1 column 10"));
    check(0, 1, br#"{"sett":{}}"#, &json("unknown field `sett`, expected `set` or `unset` at line 1 column 7"));
    check(0, 1, deep(120).as_bytes(), &format!(r#"delta {{"k":{}{}}} -[]"#, "[".repeat(120), "]".repeat(120)));
    check(0, 1, deep(121).as_bytes(), &json(r#"the value of "k" nests deeper than 120 levels"#));
    let inexact = "the whole number 18446744073709551616 does not fit into 64 bits; write it as a string, or with an exponent \
                   if it may be rounded";
    check(0, OUTPUT_DELTA, br#"{"set":{"k":[18446744073709551616]}}"#, &json(inexact));
    check(0, OUTPUT_WHOLE, br#"{"k":18446744073709551616}"#, &json(inexact));
    check(0, OUTPUT_DELTA, br#"{"set":{"k":18446744073709551615}}"#, r#"delta {"k":18446744073709551615} -[]"#);
    check(0, OUTPUT_WHOLE, br#"{"k":1,"k":1}"#, &json(r#"an object has the key "k" more than once"#));
    check(
        0,
        OUTPUT_DELTA,
        br#"{"set":{"k":{"a":1,"\u0061":2}}}"#,
        &json(r#"an object has the key "a" more than once"#),
    );
    check(0, 1, deep(100_000).as_bytes(), &json("recursion limit exceeded at line 1 column 138"));
}

#[test]
fn errors_keep_kind_message_details_and_wait() {
    let library = held();
    let (id, heard) = kept(&library);
    let mut result = sent(1, 0, br#"{"code":"E42"}"#);
    result.retry_after_ms = 1500;
    result.error_code = Bytes::lend(b"quota");
    let long = "ä".repeat(40_000);
    result.error_message = Bytes::lend(long.as_bytes());
    host().complete(id.number(), &result);
    // What is kept of it is decided where its secrets are known.
    let expect = format!("failed retryable after 1.5s quota E42: {long}");
    assert_eq!(heard.all(), [expect]);
}

#[test]
fn the_wait_that_a_package_asks_for_is_exact_and_inside_of_its_struct() {
    fn check(size: usize, retry_after_ms: u32, retry_after_us: u64, expect: &str) {
        let library = held();
        let (id, heard) = kept(&library);
        let size = u32::try_from(size).unwrap();
        host().complete(id.number(), &Sent { size, retry_after_ms, retry_after_us, ..sent(1, 0, b"") });
        assert_eq!(heard.all(), [format!("failed retryable{expect} transient : the package gave no message")]);
    }
    let whole = size_of::<Sent>();
    check(whole, 0, 0, "");
    check(whole, 1500, 0, " after 1.5s");
    check(whole, u32::MAX, 0, " after 4294967.295s");
    // Sixty days, a millisecond and a half.
    check(whole, u32::MAX, 5_184_000_001_500, " after 5184000.0015s");
    check(whole, 7, 1, " after 1µs");
    check(Sent::SIZES[1], 7, 1, " after 7ms");
    check(Sent::SIZE_MIN, 7, 1, " after 7ms");
}

#[test]
fn damaged_results_end_the_call_with_an_error() {
    fn check(result: *const Sent, reason: &str) {
        let library = held();
        let (id, heard) = kept(&library);
        host().complete(id.number(), result);
        assert_eq!(heard.all(), [format!("failed final bad_output LIB0017: {reason}")]);
        assert_eq!(library.anomalies().bad_results.load(Ordering::Relaxed), 1);
    }
    let good = sent(0, 0, b"");
    check(ptr::null(), "the package completed the call without a result");
    check(ptr::without_provenance(12), "the package's result is at an address that is not a multiple of 8");
    check(&Sent { size: 8, ..good }, "the package's result is 8 bytes long, version 1.0 has 64");
    let nowhere = Bytes { ptr: ptr::null(), len: 3 };
    check(&Sent { output: nowhere, ..good }, "the package's output has no address but a length of 3");
    check(&Sent { error_code: nowhere, ..good }, "the package's error code has no address but a length of 3");
    check(&Sent { error_message: nowhere, ..good }, "the package's error message has no address but a length of 3");
}

#[test]
fn the_processor_time_of_a_call_is_what_the_package_says_inside_of_its_struct() {
    struct Meters(std::sync::Mutex<std::sync::mpsc::Sender<String>>);
    impl CallSink for Meters {
        fn complete(&self, _: CallId, _: CallResult) {
            self.0.lock().unwrap().send("ended".to_owned()).unwrap();
        }
        fn used(&self, _: CallId, usage: Usage) {
            self.0.lock().unwrap().send(format!("{usage:?}")).unwrap();
        }
        fn log(&self, _: CallId, _: LogLine) {}
        fn heartbeat(&self, _: CallId, _: u32, _: String) {}
        fn is_abandoned(&self, _: CallId) -> bool {
            false
        }
    }
    fn check(size: usize, cpu_ns: u64, expect: Option<Duration>) {
        let library = held();
        let (sender, receiver) = std::sync::mpsc::channel();
        let id = library.start(call(KEEP, "{}"), Arc::new(Meters(sender.into()))).unwrap();
        let size = u32::try_from(size).unwrap();
        host().complete(id.number(), &Sent { size, cpu_ns, ..sent(0, OUTPUT_DELTA, b"{}") });
        let used = expect.map(|cpu| format!("{:?}", Usage { cpu: Some(cpu), peak_bytes: None }));
        let expect: Vec<String> = used.into_iter().chain(["ended".to_owned()]).collect();
        assert_eq!(receiver.try_iter().collect::<Vec<_>>(), expect);
    }
    let whole = size_of::<Sent>();
    check(whole, 0, None);
    check(whole, 1_500, Some(Duration::from_nanos(1_500)));
    check(whole, u64::MAX, Some(Duration::from_nanos(u64::MAX)));
    check(whole + 8, 7, Some(Duration::from_nanos(7)));
    // What is outside of the struct, by its own size, is not looked at; nor is what is half inside.
    check(Sent::SIZE_MIN, 7, None);
    check(Sent::SIZES[1] - 4, 7, None);
    check(Sent::SIZES[1], 7, Some(Duration::from_nanos(7)));
    check(whole - 4, 7, Some(Duration::from_nanos(7)));
}

#[test]
fn completions_that_come_twice_late_or_for_nothing_are_counted_and_ignored() {
    let library = held();
    let (id, heard) = kept(&library);
    let result = sent(0, 0, b"");
    for _ in 0..3 {
        host().complete(id.number(), &result);
    }
    host().complete(0, &result);
    host().complete(u64::MAX, ptr::null());
    assert_eq!(heard.all().len(), 1);
    let anomalies = library.anomalies();
    assert_eq!(anomalies.stale_completions.load(Ordering::Relaxed), 2);
    assert_eq!(anomalies.unknown_completions.load(Ordering::Relaxed), 2);
}

#[test]
fn a_call_of_one_library_cannot_be_completed_by_another() {
    let (one, (id, heard)) = {
        let library = held();
        let kept = kept(&library);
        (library, kept)
    };
    let other = held();
    host().complete(id.number(), &sent(0, 0, b""));
    assert_eq!(heard.all(), [""; 0]);
    assert_eq!((one.n_open_calls(), other.n_open_calls()), (1, 0));
    assert_eq!(other.anomalies().stale_completions.load(Ordering::Relaxed), 1);
}

#[test]
fn a_refused_call_is_forgotten_and_a_completed_one_stands() {
    let library = held();
    let start = |function| {
        let (sink, heard) = recorder();
        (library.start(call(function, "{}"), sink).err(), heard.all())
    };
    let done = vec![r#"delta {"k":1} -[]"#.to_owned()];
    assert_eq!(start(REFUSE), (Some(Refused::ByPackage), vec![]));
    assert_eq!(start(ANSWER_NONSENSE), (Some(Refused::UnknownStatus { status: 77 }), vec![]));
    assert_eq!(start(COMPLETE), (None, done.clone()));
    assert_eq!(start(COMPLETE_AND_REFUSE), (None, done));
    assert_eq!(start(99), (Some(Refused::NoFunction { function: 99, functions: 5 }), vec![]));
    assert_eq!(library.anomalies().refused_completions.load(Ordering::Relaxed), 1);
    assert_eq!(library.n_open_calls(), 0);
}

#[test]
fn a_package_starts_once_for_all_engines_and_again_after_the_last_has_closed_it() {
    let loaded = loaded();
    let one = loaded.take_hold(CONFIG).unwrap();
    let two = loaded.take_hold(CONFIG).unwrap();
    assert_eq!(asked(), [r#"init {"workers":2}"#]);
    let (id, heard) = kept(&one);
    one.close(Duration::from_secs(9));
    // The other engine still needs the package, so only this one's call is asked to stop, and nobody waits for it.
    assert_eq!(asked(), ["start 0", "cancel"]);
    host().complete(id.number(), &sent(0, 0, b""));
    assert_eq!(heard.all(), [""; 0]);
    let (sink, _heard) = recorder();
    assert_eq!(one.start(call(KEEP, "{}"), sink), Err(Refused::Closed));

    two.close(Duration::from_millis(250));
    two.close(Duration::from_millis(250));
    drop((one, two));
    assert_eq!(asked(), ["shutdown 250"]);
    drop(loaded.take_hold(CONFIG).unwrap());
    assert_eq!(asked(), [r#"init {"workers":2}"#, "shutdown 0"]);
}

#[test]
fn cancelling_is_seen_by_the_call_and_by_its_library() {
    let library = held();
    let (id, _heard) = kept(&library);
    asked();
    assert_eq!(host().is_cancelled(id.number()), 0);
    library.cancel(id);
    assert_eq!(host().is_cancelled(id.number()), 1);
    host().complete(id.number(), &sent(3, 0, b""));
    library.cancel(id);
    assert_eq!(asked(), ["cancel"]);
    assert_eq!(host().is_cancelled(id.number()), 1, "nobody waits for a call that is over");
    assert_eq!(host().is_cancelled(0), 1);
}

#[test]
fn reports_reach_their_call_bounded_and_readable() {
    let library = held();
    let (id, heard) = kept(&library);
    let number = id.number();
    let text = |text: &'static str| Bytes::lend(text.as_bytes());
    host().log(number, 3, text("hello"), text(r#"{"a":1}"#));
    host().log(number, 99, Bytes::lend(b"\xff!"), text("no json"));
    host().log(number, 0, text(""), Bytes::EMPTY);
    host().heartbeat(number, 5000, text("half"));
    assert_eq!(
        heard.all(),
        [
            r#"log info probe: hello {"a":1}"#,
            "log trace probe: \u{fffd}! {\"raw\":\"no json\"}",
            "log error probe:  ",
            "heartbeat 1000 half"
        ]
    );
    host().log(number, 3, Bytes { ptr: ptr::null(), len: 5 }, Bytes::EMPTY);
    host().heartbeat(number, 1, Bytes { ptr: ptr::null(), len: 5 });
    host().heartbeat(number + 1_000_000, 1, Bytes::EMPTY);
    host().log(number + 1_000_000, 3, text("late"), Bytes::EMPTY);
    host().log(0, 3, text("the package itself"), Bytes::EMPTY);
    assert_eq!(heard.all(), [""; 0]);
    assert_eq!(library.anomalies().stray_reports.load(Ordering::Relaxed), 4);
}

#[test]
fn secrets_reach_their_call_in_pieces_that_can_be_looked_for() {
    let library = held();
    let (id, heard) = kept(&library);
    host().secret(id.number(), Bytes::lend(b"token\xff"));
    host().secret(id.number(), Bytes::EMPTY);
    assert_eq!(heard.all(), ["secret token\u{fffd}"]);
    let long = "ä".repeat(SECRET_BYTES_MAX / 2 + 7);
    host().secret(id.number(), Bytes::lend(long.as_bytes()));
    let pieces = heard.all();
    // None of them is so short that it would not be looked for.
    let whole = "ä".repeat(SECRET_BYTES_MAX / 2);
    assert_eq!(pieces, [format!("secret {whole}"), format!("secret {whole}")]);
    host().secret(id.number(), Bytes::lend(&vec![b'x'; 1 << 20]));
    assert_eq!(heard.all().len(), 16);
    host().secret(id.number() + 1_000_000, Bytes::lend(b"of nobody"));
    host().secret(id.number(), Bytes { ptr: ptr::null(), len: 5 });
    assert_eq!(heard.all(), [""; 0]);
    assert_eq!(library.anomalies().stray_reports.load(Ordering::Relaxed), 2);
}

#[test]
fn a_context_that_is_not_the_hosts_is_ignored() {
    let library = held();
    let (id, heard) = kept(&library);
    for ctx in [0, 1_000_000, usize::MAX] {
        let mut host = host();
        host.0.ctx = ptr::without_provenance_mut(ctx);
        host.complete(id.number(), &sent(0, 0, b""));
        host.heartbeat(id.number(), 1, Bytes::EMPTY);
        assert_eq!(host.is_cancelled(id.number()), 1);
    }
    assert_eq!(heard.all(), [""; 0]);
    assert_eq!(library.n_open_calls(), 1);
}

#[test]
fn a_panic_of_the_engine_does_not_reach_the_package() {
    struct Panics;
    impl CallSink for Panics {
        fn complete(&self, _: CallId, _: CallResult) {
            panic::panic_any(1);
        }
        fn log(&self, _: CallId, _: LogLine) {
            panic::panic_any(2);
        }
        fn heartbeat(&self, _: CallId, _: u32, _: String) {
            panic::panic_any(3);
        }
        fn is_abandoned(&self, _: CallId) -> bool {
            panic::panic_any(4);
        }
    }
    let library = held();
    let id = library.start(call(KEEP, "{}"), Arc::new(Panics)).unwrap();
    host().log(id.number(), 3, Bytes::EMPTY, Bytes::EMPTY);
    host().heartbeat(id.number(), 3, Bytes::EMPTY);
    assert_eq!(host().is_cancelled(id.number()), 1);
    host().complete(id.number(), &sent(0, 0, b""));
    assert_eq!(library.anomalies().caught_panics.load(Ordering::Relaxed), 4);
    assert_eq!(library.n_open_calls(), 0);
}

#[test]
fn the_level_that_packages_see_is_the_most_verbose_that_anyone_wants() {
    let loaded = loaded();
    // SAFETY: the level lives as long as the process.
    let level = || unsafe { host().0.max_log_level.read_volatile() };
    let one = loaded.take_hold(InitConfig { max_log_level: Level::Warn, ..CONFIG }).unwrap();
    assert_eq!(level(), 2);
    let two = loaded.take_hold(InitConfig { max_log_level: Level::Debug, ..CONFIG }).unwrap();
    assert_eq!(level(), 4);
    let three = loaded.take_hold(InitConfig { max_log_level: Level::Info, ..CONFIG }).unwrap();
    assert_eq!(level(), 4);
    drop((one, two, three));
    assert_eq!(level(), 0);
}

#[test]
fn a_whole_output_becomes_the_changes_against_what_the_task_saw() {
    let view: View = serde_json::from_str(r#"{"values":{"same":1,"other":2,"gone":3}}"#).unwrap();
    let library = held();
    let (sender, receiver) = std::sync::mpsc::channel();
    struct Keeps(std::sync::Mutex<std::sync::mpsc::Sender<CallResult>>);
    impl CallSink for Keeps {
        fn complete(&self, _: CallId, result: CallResult) {
            self.0.lock().unwrap().send(result).unwrap();
        }
        fn log(&self, _: CallId, _: LogLine) {}
        fn heartbeat(&self, _: CallId, _: u32, _: String) {}
        fn is_abandoned(&self, _: CallId) -> bool {
            true
        }
    }
    let id = library.start(call(KEEP, "{}"), Arc::new(Keeps(sender.into()))).unwrap();
    assert_eq!(host().is_cancelled(id.number()), 1, "an abandoned call had better stop");
    host().complete(id.number(), &sent(0, OUTPUT_WHOLE, br#"{"same":1,"other":22,"new":4}"#));
    let CallResult::Completed(output) = receiver.recv().unwrap() else { panic!("the call completed") };
    let delta = output.into_delta(&view);
    assert_eq!(serde_json::to_string(&delta).unwrap(), r#"{"set":{"new":4,"other":22},"unset":["gone"]}"#);
}
