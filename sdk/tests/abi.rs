//! The C ABI without dlopen: this program is package and host at once, so that the tables are tested alone.
#![expect(unsafe_code, reason = "the test plays the host, which talks to the package through raw pointers")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::multiple_unsafe_ops_per_block, reason = "the host's callbacks read one borrowed struct each")]

use std::{
    collections::BTreeMap,
    ffi::c_void,
    path::Path,
    process::Command,
    sync::{Mutex, MutexGuard, mpsc},
    time::Duration,
};

use cloacina_workflow::{
    __private::v1::{Entry, Function, Record, StaticWorkflow, thread_cpu, total_len},
    Context, TaskError, Value,
    abi::{
        ABI_MINOR, Bytes, CallResult, FETCH_ABSENT, FETCH_FOUND, FETCH_GONE, FETCH_KEYS, FETCH_TOO_LARGE, FETCH_VALUE,
        FETCH_WRITER, HostV1, MetadataHeader, PackageV1, STATUS_CANCELLED, STATUS_FAILED, STATUS_OK, STATUS_PANIC,
        STATUS_REFUSED, STATUS_RETRY, Start, Take, cloacina_package_v1,
    },
    descriptor::Descriptor,
};
use serde_json::json;

const JSON: &[&str] = &[r#"{"format":1,"abi":"1.0","package":"p","version":"1.0.0","workflows":[{"name":"w","tasks":[
    {"id":"double","index":0},{"id":"double_blocking","index":1,"blocking":true},{"id":"fail","index":2},
    {"id":"explode","index":3},{"id":"wait","index":4},{"id":"observe","index":5,"blocking":true},
    {"id":"wait_blocking","index":6,"blocking":true},{"id":"work","index":7},{"id":"work_blocking","index":8,"blocking":true},
    {"id":"make_secret","index":9},{"id":"ask","index":10,"blocking":true},{"id":"ask_for","index":11}]}]}"#];

static WORKFLOW: StaticWorkflow = StaticWorkflow {
    name: "w",
    json: JSON,
    functions: &[
        Function::AsyncTask(|context| Box::pin(async move { double(context) })),
        Function::Task(double),
        Function::Task(|_| Err(TaskError::transient("busy"))),
        Function::AsyncTask(|_| Box::pin(async { panic!("boom {}", 1 + 1) })),
        Function::AsyncTask(|_| Box::pin(std::future::pending())),
        Function::Task(observe),
        Function::AsyncTask(|_| Box::pin(std::future::pending())),
        Function::AsyncTask(|_| {
            Box::pin(async {
                work();
                tokio::task::yield_now().await;
                work();
                panic!("worked enough")
            })
        }),
        Function::Task(|_| {
            work();
            Ok(())
        }),
        Function::AsyncTask(|context| {
            Box::pin(async move {
                context.insert_secret("token", json!("abcdefgh"))?;
                tracing::info!("made abcdefgh");
                Ok(())
            })
        }),
        Function::Task(ask),
        Function::AsyncTask(|context| {
            Box::pin(async move {
                let key: String = context.get_as("key")?;
                assert_eq!(context.get(&key), None);
                Ok(())
            })
        }),
    ],
};

#[used]
#[unsafe(link_section = "cloacina")]
static RECORD: Record<{ total_len(JSON) }> = Record::new(JSON);
#[used]
#[unsafe(link_section = "cloacina_fn")]
static ENTRY: Entry = Entry::new(&WORKFLOW);

fn double(context: &mut Context<Value>) -> Result<(), TaskError> {
    let number: u64 = context.get_as("number")?;
    context.insert("doubled", json!(number * 2))?;
    Ok(())
}

fn observe(context: &mut Context<Value>) -> Result<(), TaskError> {
    tracing::info!(answer = 42, "from tracing");
    tracing::trace!("nobody wants this");
    context.log(cloacina_workflow::Level::Warn, "from the context");
    context.heartbeat(500, "half");
    let task = context.task().ok_or_else(|| TaskError::permanent("no identity"))?;
    let keys = [context.idempotency_key(), context.attempt_key()];
    let seen = json!([task.task, task.attempt, keys, task.trace_parent, context.deadline()]);
    context.insert("seen", seen)?;
    Ok(())
}

/// Reads what came with the call and what did not, some of it twice.
fn ask(context: &mut Context<Value>) -> Result<(), TaskError> {
    let (here, number) = (context.get("here").cloned(), context.get("number").cloned());
    let again: u64 = context.get_as("number")?;
    let before = context.from_task("first").get("number").cloned();
    let absent = context.get("absent").or_else(|| context.get("absent")).cloned();
    let producer = context.producer("number").or_else(|| context.producer("number")).map(str::to_owned);
    let keys = context.keys().map(str::to_owned).collect::<Vec<_>>();
    let of_first = context.from_task("first").keys().map(str::to_owned).collect::<Vec<_>>();
    let whole = json!(&*context);
    context.set("seen", json!([here, number, again, before, absent, producer, keys, of_first, whole]));
    Ok(())
}

/// Uses up ten milliseconds of processor time of this thread.
fn work() {
    let until = thread_cpu().unwrap() + Duration::from_millis(10);
    while thread_cpu().unwrap() < until {
        std::hint::spin_loop();
    }
}

/// What reached the host, in order.
#[derive(Debug, PartialEq)]
enum Said {
    Complete { call: u64, status: i32, cpu_ns: u64, output: String, code: String, message: String },
    Log { call: u64, level: u32, message: String, fields: String },
    Heartbeat { call: u64, permille: u32, note: String },
    Secret { call: u64, text: String },
    Fetch { call: u64, what: u32, task: String, key: String },
}

struct Host {
    said: mpsc::Sender<Said>,
}

fn text(bytes: Bytes) -> String {
    // SAFETY: the package lends the bytes for the time of the callback.
    String::from_utf8(unsafe { bytes.borrow() }.unwrap().to_vec()).unwrap()
}

unsafe extern "C" fn complete(ctx: *mut c_void, call: u64, result: *const CallResult) {
    // SAFETY: ctx is the Host that the test leaked, result is borrowed for the time of the call.
    let (host, result) = unsafe { (&*ctx.cast::<Host>(), *result) };
    let CallResult { status, cpu_ns, output, error_code, error_message, .. } = result;
    let [output, code, message] = [output, error_code, error_message].map(text);
    host.said.send(Said::Complete { call, status, cpu_ns, output, code, message }).unwrap();
}

unsafe extern "C" fn log(ctx: *mut c_void, call: u64, level: u32, _: Bytes, message: Bytes, fields: Bytes) {
    // SAFETY: as in complete.
    let host = unsafe { &*ctx.cast::<Host>() };
    host.said.send(Said::Log { call, level, message: text(message), fields: text(fields) }).unwrap();
}

unsafe extern "C" fn heartbeat(ctx: *mut c_void, call: u64, permille: u32, note: Bytes) {
    // SAFETY: as in complete.
    let host = unsafe { &*ctx.cast::<Host>() };
    host.said.send(Said::Heartbeat { call, permille, note: text(note) }).unwrap();
}

unsafe extern "C" fn is_cancelled(_: *mut c_void, _: u64) -> i32 {
    0
}

unsafe extern "C" fn secret(ctx: *mut c_void, call: u64, secret: Bytes) {
    // SAFETY: as in complete.
    let host = unsafe { &*ctx.cast::<Host>() };
    host.said.send(Said::Secret { call, text: text(secret) }).unwrap();
}

/// What the host has of a call, which came without it.
unsafe extern "C" fn fetch(
    ctx: *mut c_void,
    call: u64,
    what: u32,
    task: Bytes,
    key: Bytes,
    user: *mut c_void,
    take: Option<Take>,
) -> i32 {
    // SAFETY: as in complete.
    let host = unsafe { &*ctx.cast::<Host>() };
    let (task, key) = (text(task), text(key));
    host.said.send(Said::Fetch { call, what, task: task.clone(), key: key.clone() }).unwrap();
    let (value, writer) = match (what, task.as_str(), key.as_str()) {
        (FETCH_VALUE, "", "number") => ("21", "first"),
        (FETCH_VALUE, "first", "number") => ("20", "first"),
        (FETCH_WRITER, "", "number") => ("", "first"),
        (FETCH_KEYS, "", "") => (r#"["number","other"]"#, ""),
        (FETCH_KEYS, "first", "") => (r#"["number"]"#, ""),
        (_, _, "huge") => return FETCH_TOO_LARGE,
        (_, _, "gone") => return FETCH_GONE,
        _ => return FETCH_ABSENT,
    };
    // SAFETY: the package gave both, and the texts outlive the call.
    unsafe { take.unwrap()(user, Bytes::lend(value.as_bytes()), Bytes::lend(writer.as_bytes())) };
    FETCH_FOUND
}

/// The package is one per process, so the tests take turns.
struct Session {
    package: &'static PackageV1,
    said: mpsc::Receiver<Said>,
    _turn: MutexGuard<'static, ()>,
}

impl Session {
    fn open() -> Self {
        static TURN: Mutex<()> = Mutex::new(());
        static LEVEL: u32 = 3;
        let turn = TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let (sender, said) = mpsc::channel();
        // Leaked, as the table must stay where it is.
        let ctx = std::ptr::from_mut(Box::leak(Box::new(Host { said: sender }))).cast();
        let table = HostV1 {
            size: size_of::<HostV1>() as u32,
            abi_minor: ABI_MINOR,
            ctx,
            max_log_level: &raw const LEVEL,
            complete,
            log,
            heartbeat,
            is_cancelled,
            secret,
            fetch,
        };
        // SAFETY: the function returns a table that is never freed.
        let package = unsafe { &*cloacina_package_v1() };
        let config = Bytes::lend(br#"{"workers":2,"from_a_later_version":1}"#);
        // SAFETY: a complete table, and bytes that outlive the call.
        let status = unsafe { package.init.unwrap()(Box::leak(Box::new(table)), config) };
        assert_eq!(status, STATUS_OK);
        Self { package, said, _turn: turn }
    }

    fn start(&self, call_id: u64, task: u32, context: &[u8]) -> i32 {
        self.start_of_size(size_of::<Start>(), (call_id, task), context)
    }

    /// As a host starts a call whose version has no more than that.
    fn start_of_size(&self, size: usize, (call_id, task): (u64, u32), context: &[u8]) -> i32 {
        let start = Start {
            size: size as u32,
            task,
            call_id,
            deadline_unix_ms: 1_000,
            attempt: 3,
            encoding: 0,
            context: Bytes::lend(context),
            trace_parent: Bytes::lend(b"trace"),
            idempotency_key: Bytes::lend(b"key"),
            attempt_key: Bytes::lend(b"key of attempt"),
        };
        // SAFETY: a complete struct whose bytes outlive the call.
        unsafe { self.package.start.unwrap()(&raw const start) }
    }

    fn shutdown(&self) -> i32 {
        // SAFETY: the package was initialized.
        unsafe { self.package.shutdown.unwrap()(1_000) }
    }

    fn completion(&self) -> (u64, i32, String, String, String) {
        loop {
            if let Said::Complete { call, status, output, code, message, .. } = self.said.recv().unwrap() {
                return (call, status, output, code, message);
            }
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.shutdown();
    }
}

#[test]
fn async_and_blocking_tasks_give_back_their_delta() {
    let session = Session::open();
    for task in [0, 1] {
        assert_eq!(session.start(7, task, br#"{"values":{"number":21}}"#), STATUS_OK);
        let (call, status, output, ..) = session.completion();
        assert_eq!((call, status, output.as_str()), (7, STATUS_OK, r#"{"set":{"doubled":42},"unset":[]}"#));
    }
}

#[test]
fn each_end_says_what_the_polls_of_the_call_used_up() {
    let session = Session::open();
    let used = |task: u32| {
        assert_eq!(session.start(7, task, br#"{"values":{"number":1}}"#), STATUS_OK);
        loop {
            if let Said::Complete { cpu_ns, .. } = session.said.recv().unwrap() {
                return Duration::from_nanos(cpu_ns);
            }
        }
    };
    // Of two polls, one of which panics; and of a thread that is there for the task.
    for (task, expected) in [(7, 20), (8, 10)] {
        let used = used(task);
        assert!(used >= Duration::from_millis(expected), "{task}: {used:?}");
    }
    for task in [0, 1, 2] {
        let used = used(task);
        assert!(used > Duration::ZERO && used < Duration::from_millis(10), "{task}: {used:?}");
    }
}

#[test]
fn failures_panics_and_unreadable_contexts_come_back_as_data() {
    let session = Session::open();
    session.start(1, 2, b"{}");
    assert_eq!(session.completion(), (1, STATUS_RETRY, String::new(), "transient".to_owned(), "busy".to_owned()));
    session.start(2, 3, b"{}");
    let (_, status, details, code, message) = session.completion();
    assert_eq!((status, code.as_str(), message.as_str()), (STATUS_PANIC, "panicked", "boom 2"));
    assert!(details.contains("sdk/tests/abi.rs:"), "{details}");
    session.start(3, 0, b"{ this is not JSON");
    let (_, status, _, code, message) = session.completion();
    assert_eq!((status, code.as_str()), (STATUS_FAILED, "validation_failed"));
    assert!(message.starts_with("the context that the host sent cannot be read"), "{message}");
    session.start(4, 0, br#"{"values":{}}"#);
    let (_, status, details, code, _) = session.completion();
    assert_eq!(
        (status, code.as_str(), details.as_str()),
        (STATUS_FAILED, "context", r#"{"key":"number","problem":"key_missing"}"#)
    );
}

#[test]
fn logs_and_heartbeats_carry_the_number_of_their_call() {
    let session = Session::open();
    session.start(9, 5, b"{}");
    let said: Vec<Said> = (0..4).map(|_| session.said.recv().unwrap()).collect();
    let line = |level, message: &str, fields: &str| Said::Log {
        call: 9,
        level,
        message: message.to_owned(),
        fields: fields.to_owned(),
    };
    assert_eq!(said[0], line(3, "from tracing", r#"{"answer":42}"#));
    assert_eq!(said[1], line(2, "from the context", ""));
    assert_eq!(said[2], Said::Heartbeat { call: 9, permille: 500, note: "half".to_owned() });
    let Said::Complete { output, .. } = &said[3] else { panic!("{said:?}") };
    assert_eq!(
        output,
        r#"{"set":{"seen":["observe",3,["key","key of attempt"],"trace","1970-01-01T00:00:01.000000Z"]},"unset":[]}"#
    );
}

#[test]
fn a_host_of_an_older_version_starts_calls_without_what_came_later() {
    let session = Session::open();
    assert_eq!(session.start_of_size(Start::SIZE_MIN, (10, 5), b"{}"), STATUS_OK);
    let (_, _, output, ..) = session.completion();
    assert!(output.contains(r#"["key","key/3"]"#), "what is behind its struct is not read: {output}");
    assert_eq!(session.start_of_size(Start::SIZE_MIN - 1, (11, 5), b"{}"), STATUS_REFUSED);
}

#[test]
fn a_secret_is_told_to_the_host_before_the_task_goes_on() {
    let session = Session::open();
    session.start(13, 9, b"{}");
    let said: Vec<Said> = (0..2).map(|_| session.said.recv().unwrap()).collect();
    assert_eq!(said[0], Said::Secret { call: 13, text: "abcdefgh".to_owned() });
    assert!(matches!(&said[1], Said::Log { call: 13, message, .. } if message == "made abcdefgh"), "{said:?}");
    assert_eq!(session.completion().1, STATUS_OK);
}

#[test]
fn what_a_context_leaves_out_is_asked_for_once() {
    let session = Session::open();
    session.start(21, 10, br#"{"values":{"here":1},"partial":true,"hidden":true}"#);
    let mut asked = Vec::new();
    let output = loop {
        match session.said.recv().unwrap() {
            Said::Fetch { call, what, task, key } => asked.push(format!("{call} {what} {task} {key}")),
            Said::Complete { output, .. } => break output,
            other => panic!("{other:?}"),
        }
    };
    let seen = r#"[1,21,21,20,null,"first",["number","other"],["number"],{"number":21}]"#;
    assert_eq!(output, format!(r#"{{"set":{{"seen":{seen}}},"unset":[]}}"#));
    let expected =
        ["21 0  number", "21 0 first number", "21 0  absent", "21 1  number", "21 2  ", "21 2 first ", "21 0  other"];
    assert_eq!(asked, expected);
}

#[test]
fn what_cannot_be_fetched_ends_the_task_with_its_code() {
    let session = Session::open();
    session.start(22, 11, br#"{"values":{"key":"huge"},"partial":true}"#);
    let (_, status, details, code, message) = session.completion();
    assert_eq!((status, code.as_str(), details.as_str()), (STATUS_FAILED, "refused", r#"{"code":"LIB0015"}"#));
    assert!(message.contains("LIB0015"), "{message}");
    session.start(23, 11, br#"{"values":{"key":"gone"},"partial":true}"#);
    assert_eq!(session.completion().1, STATUS_CANCELLED);
}

#[test]
fn a_cancelled_call_ends_at_its_next_await_point() {
    let session = Session::open();
    for (call, task) in [(11, 4), (12, 6)] {
        session.start(call, task, b"{}");
        // SAFETY: any number may be cancelled.
        unsafe { session.package.cancel.unwrap()(call) };
        let (ended, status, ..) = session.completion();
        assert_eq!((ended, status), (call, STATUS_CANCELLED));
    }
    // SAFETY: as above, also one that was never started.
    unsafe { session.package.cancel.unwrap()(999) };
}

#[test]
fn what_does_not_fit_is_refused_and_never_completed() {
    let session = Session::open();
    assert_eq!(session.start(1, 99, b"{}"), STATUS_REFUSED);
    // SAFETY: null is what a broken host might pass.
    assert_eq!(unsafe { session.package.start.unwrap()(std::ptr::null()) }, STATUS_REFUSED);
    let small = Start {
        size: 8,
        task: 0,
        call_id: 1,
        deadline_unix_ms: 0,
        attempt: 1,
        encoding: 0,
        context: Bytes::EMPTY,
        trace_parent: Bytes::EMPTY,
        idempotency_key: Bytes::EMPTY,
        attempt_key: Bytes::EMPTY,
    };
    // SAFETY: a readable struct that claims to be smaller.
    assert_eq!(unsafe { session.package.start.unwrap()(&raw const small) }, STATUS_REFUSED);
    let other_encoding = Start { size: size_of::<Start>() as u32, encoding: 1, ..small };
    // SAFETY: a complete struct.
    assert_eq!(unsafe { session.package.start.unwrap()(&raw const other_encoding) }, STATUS_REFUSED);
    // SAFETY: null is what a broken host might pass.
    assert_eq!(unsafe { session.package.init.unwrap()(std::ptr::null(), Bytes::EMPTY) }, STATUS_REFUSED);
    assert!(session.said.try_recv().is_err(), "a refused call must not complete");
}

#[test]
fn shutdown_completes_what_runs_and_init_may_follow() {
    {
        let session = Session::open();
        session.start(21, 4, b"{}");
        assert_eq!(session.shutdown(), STATUS_OK);
        let (call, status, ..) = session.completion();
        assert_eq!((call, status), (21, STATUS_CANCELLED));
        assert_eq!(session.start(22, 0, b"{}"), STATUS_REFUSED);
        assert_eq!(session.shutdown(), STATUS_REFUSED, "there is nothing to shut down twice");
    }
    let session = Session::open();
    session.start(23, 0, br#"{"values":{"number":1}}"#);
    assert_eq!(session.completion().1, STATUS_OK);
}

#[test]
fn the_metadata_in_memory_is_the_section_with_every_module() {
    let session = Session::open();
    // SAFETY: the metadata stays for the life of the process.
    let section = unsafe { session.package.metadata.borrow() }.unwrap();
    let descriptor = Descriptor::from_section(section).unwrap();
    assert_eq!((descriptor.package.as_str(), descriptor.workflows.len()), ("p", 1));
}

/// Compiles the header's structs with a C compiler and holds every offset against Rust's.
#[test]
fn the_header_and_the_rust_structs_have_one_layout() {
    let include = Path::new(env!("CARGO_MANIFEST_DIR")).join("include");
    let folder = tempfile::tempdir().unwrap();
    let mut expected = BTreeMap::new();
    let mut prints = String::new();
    macro_rules! layout {
        ($rust:ty, $c:literal, $($field:ident),*) => {
            expected.insert($c.to_owned(), size_of::<$rust>());
            prints += &format!("printf(\"{0} %zu\\n\", sizeof({0}));\n", $c);
            $(
                let name = format!("{}.{}", $c, stringify!($field));
                expected.insert(name.clone(), std::mem::offset_of!($rust, $field));
                let field = stringify!($field);
                prints += &format!("printf(\"{name} %zu\\n\", offsetof({}, {field}));\n", $c);
            )*
        };
    }
    layout!(Bytes, "clcn_bytes", ptr, len);
    layout!(
        CallResult,
        "clcn_result",
        size,
        status,
        output_kind,
        retry_after_ms,
        output,
        error_code,
        error_message,
        cpu_ns,
        retry_after_us
    );
    layout!(
        HostV1,
        "clcn_host_v1",
        size,
        abi_minor,
        ctx,
        max_log_level,
        complete,
        log,
        heartbeat,
        is_cancelled,
        secret,
        fetch
    );
    layout!(
        Start,
        "clcn_start",
        size,
        task,
        call_id,
        deadline_unix_ms,
        attempt,
        encoding,
        context,
        trace_parent,
        idempotency_key,
        attempt_key
    );
    layout!(MetadataHeader, "clcn_metadata", magic, format, json_len);
    layout!(PackageV1, "clcn_package_v1", size, abi_minor, metadata, init, start, cancel, shutdown, features);
    let statuses = ["OK", "RETRY", "FAILED", "CANCELLED", "PANIC", "REFUSED"];
    for (number, name) in statuses.into_iter().enumerate() {
        expected.insert(format!("CLCN_{name}"), number);
        prints += &format!("printf(\"CLCN_{name} %d\\n\", CLCN_{name});\n");
    }
    let source = folder.path().join("layout.c");
    let program = format!("#include <stdio.h>\n#include \"cloacina.h\"\nint main(void) {{\n{prints}return 0;\n}}\n");
    std::fs::write(&source, program).unwrap();
    let binary = folder.path().join("layout");
    let compiled = Command::new("cc")
        .args(["-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-I"])
        .arg(include)
        .arg(&source)
        .arg("-o")
        .arg(&binary)
        .output()
        .unwrap();
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
    let printed = String::from_utf8(Command::new(binary).output().unwrap().stdout).unwrap();
    let found: BTreeMap<String, usize> = printed
        .lines()
        .map(|line| line.split_once(' ').unwrap())
        .map(|(name, number)| (name.to_owned(), number.parse().unwrap()))
        .collect();
    assert_eq!(found, expected);
}
