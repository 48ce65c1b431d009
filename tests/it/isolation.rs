//! Packages in processes of their own: what they do to their process, and that it is theirs alone.

use std::{
    fs::File,
    path::{Path, PathBuf},
    time::Duration,
};

use cloacina::{
    Activation, Builder, Client, Context, HostLimits, HostProgram, Isolation, LogFilter, PackageState, PackageUsage,
    Records, RunEvent, RunReport, RunState, Sandbox, TaskError, Upload, UsageFilter,
};
use cloacina_tests::{
    engine::{TestEngine, in_time},
    library,
};
use serde_json::json;

use crate::cmd::program;

/// What one process of a package may have here: more than the tests have themselves, or the system's word for how much one
/// held would be worth nothing.
const MEMORY_MIB: u64 = 256;

/// A package in C whose task `n` does the n-th thing that a process does not survive, or only barely.
const FATAL: &str = r#"
#define _GNU_SOURCE
#include "fixture.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#define WORKFLOW(name, index, more) "{\"name\":\"" name "\",\"tasks\":[{\"id\":\"t\",\"index\":" #index more "}]},"
#ifndef NEEDS
#define NEEDS
#endif
#define BLOCKING ",\"blocking\":true"
FIXTURE("{\"format\":1,\"abi\":\"1.0\",\"package\":\"" PACKAGE "\",\"version\":\"1.0.0\",\"workflows\":["
    WORKFLOW("fine", 0, "") WORKFLOW("segfaults", 1, "") WORKFLOW("aborts", 2, BLOCKING)
    WORKFLOW("overflows", 3, BLOCKING) WORKFLOW("exits", 4, "") WORKFLOW("allocates", 5, BLOCKING)
    WORKFLOW("closes", 6, "") WORKFLOW("forks", 7, BLOCKING) WORKFLOW("talks", 8, BLOCKING)
    WORKFLOW("hangs", 9, BLOCKING ",\"timeout_ms\":200") WORKFLOW("spins", 10, ",\"timeout_ms\":200")
    WORKFLOW("escapes", 15, BLOCKING) WORKFLOW("shares", 16, BLOCKING) WORKFLOW("hides", 17, BLOCKING)
    WORKFLOW("crowds", 18, BLOCKING) WORKFLOW("multiplies", 19, BLOCKING) WORKFLOW("tries", 12, BLOCKING) WORKFLOW("babbles", 13, BLOCKING) WORKFLOW("works", 14, BLOCKING)
    WORKFLOW("escapes_and_waits", 20, BLOCKING) WORKFLOW("fills", 21, BLOCKING)
    "{\"name\":\"waits\"" NEEDS ",\"tasks\":[{\"id\":\"t\",\"index\":11}]}]}");
static void complete(uint64_t id, clcn_bytes output) {
    clcn_result result = CLCN_RESULT_INIT;
    result.output_kind = CLCN_OUTPUT_DELTA;
    result.output = output;
    host->complete(host->ctx, id, &result);
}
static volatile int sink;
/* The reason of a refusal, or 0. A child of a fork that was not refused ends. */
static int tried(int result) { return result < 0 ? errno : 0; }
__attribute__((noinline)) static int deeper(volatile char *above) {
    volatile char here[4096];
    here[0] = *above;
    if (sink >= 0) sink += deeper(here);
    return here[0] + sink;
}
/* An orphaned process that tries to leave session and group. It holds a lock while it lives. */
static void escape(int told) {
    if (fork() != 0) _exit(0);
    int result[2] = { tried(setsid()), tried(setpgid(0, 0)) };
    flock(open(TRACE, O_CREAT | O_RDWR, 0600), LOCK_EX);
    if (write(told, result, sizeof result) > 0) for (;;) pause();
    _exit(1);
}
__attribute__((constructor)) static void construct(void) {
#ifdef CRASH_IN_CONSTRUCTOR
    abort();
#endif
}
static int32_t start(const clcn_start *call) {
    uint64_t id = call->call_id;
    switch (call->task) {
    case 1: *(volatile int *)8 = 1; break;
    case 2: abort();
    case 3: { volatile char top = 1; sink = deeper(&top); break; }
    case 4: _exit(3);
    /* Slowly enough to be seen by the looks: where the program of the tests holds more, the kernel's own figure says nothing. */
    case 5: for (;;) { memset(malloc(1 << 20), 1, 1 << 20); nanosleep(&(struct timespec){ 0, 4000000 }, 0); }
    case 6: for (int fd = 3; fd < 256; fd++) close(fd); return CLCN_OK;
    case 7: { pid_t child = fork(); if (child == 0) for (;;) pause(); break; }
    case 8: printf("to stdout %d\n", 1); fflush(stdout); fprintf(stderr, "to stderr\n"); break;
    case 9: for (;;) pause();
    case 10: for (;;) sink = 1;
    case 11: return CLCN_OK;
    case 13: for (int fd = 3; fd < 16; fd++) if (write(fd, "this is not a frame, whatever it should be or may become", 57) > 0) pause();
        break;
    case 14: { clock_t began = clock(); while (clock() - began < CLOCKS_PER_SEC / 40) sink = 1; break; }
    case 21:
        if (close(open("inside", O_CREAT | O_WRONLY, 0600)) < 0) return CLCN_REFUSED;
        for (;;) pause();
    case 15:
    case 20: {
        int told[2], result[2] = { -1, -1 };
        pid_t child = pipe(told) == 0 ? fork() : -1;
        int forked = tried(child);
        if (child == 0) escape(told[1]);
        close(told[1]);
        if (child > 0 && (waitpid(child, 0, 0) < 0 || read(told[0], result, sizeof result) < 0)) return CLCN_REFUSED;
        if (call->task == 20) for (;;) pause();
        char text[128];
        snprintf(text, sizeof text, "{\"set\":{\"fork\":%d,\"setsid\":%d,\"setpgid\":%d}}", forked, result[0], result[1]);
        clcn_bytes output = { (const uint8_t *)text, strlen(text) };
        complete(id, output);
        return CLCN_OK;
    }
    /* No more than what goes beyond the limit, for the sake of the machine. */
    case 16:
        for (int n = 0; n < 384; n++) memset(mmap(0, 1 << 20, PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0), 1, 1 << 20);
        for (;;) pause();
    case 17: {
        static char block[1 << 20];
        for (int n = 0; n < 384; n++) if (write(memfd_create("hidden", 0), block, sizeof block) < 0) abort();
        for (;;) pause();
    }
    case 18:
        for (int n = 0; n < 12; n++) if (fork() == 0) { memset(malloc(32 << 20), 1, 32 << 20); for (;;) pause(); }
        for (;;) pause();
    case 19:
        for (int n = 0; n < 40; n++) if (fork() == 0) for (;;) pause();
        for (;;) pause();
    case 12: {
        char text[512];
        snprintf(text, sizeof text,
            "{\"set\":{\"fork\":%d,\"exec\":%d,\"socket\":%d,\"read\":%d,\"write\":%d,\"scratch\":%d,\"kill\":%d,\"env\":%d,\"shm\":%d}}",
            tried(fork()), tried(execl("/bin/true", "true", (char *)0)), tried(socket(AF_INET, SOCK_STREAM, 0)),
            tried(open("/etc/passwd", O_RDONLY)), tried(open("/tmp/cloacina-outside", O_CREAT | O_WRONLY, 0600)),
            tried(open("inside", O_CREAT | O_WRONLY, 0600)), tried(kill(getppid(), 0)), getenv("PATH") != 0,
            tried(shmget(IPC_PRIVATE, 4096, 0600)));
        clcn_bytes output = { (const uint8_t *)text, strlen(text) };
        complete(id, output);
        return CLCN_OK;
    }
    }
    complete(id, CLCN_TEXT("{\"set\":{\"ok\":true}}"));
    return CLCN_OK;
}
"#;

/// The archive of that package under a name of its own.
fn fatal(test: &TestEngine, name: &str, more: &str) -> Vec<u8> {
    let trace = trace(test);
    let source = format!("#define PACKAGE \"{name}\"\n#define TRACE {trace:?}\n{more}\n{FATAL}");
    library::pack(&library::compile(test.folder.path(), name, &source))
}

pub(crate) fn host_program() -> HostProgram {
    HostProgram::new(env!("CARGO_BIN_EXE_package_host"), "package-host")
}

/// The file that is locked by what the package has left behind.
fn trace(test: &TestEngine) -> PathBuf {
    test.folder.path().join("trace")
}

/// An engine that runs packages in processes of their own, with two packages: one that is used badly, and a neighbor.
async fn engine(options: impl FnOnce(Builder) -> Builder) -> TestEngine {
    let test = TestEngine::start_with(|builder| {
        let limits = HostLimits { memory_mib: Some(MEMORY_MIB), ..HostLimits::default() };
        options(builder.package_host(host_program()).host_limits(limits).stop_grace(Duration::from_millis(500)))
    })
    .await;
    test.register(&fatal(&test, "fatal", "")).await;
    test.register(&fatal(&test, "neighbor", "")).await;
    test
}

fn error_of(report: &RunReport) -> TaskError {
    assert_eq!(report.state, RunState::Failed, "{report:?}");
    report.task("t").unwrap().error.clone().unwrap()
}

#[tokio::test]
async fn a_crash_fails_its_attempt_and_names_the_signal() {
    let test = engine(|builder| builder).await;
    for (workflow, expected) in [
        ("segfaults", "was ended by SIGSEGV"),
        ("aborts", "was ended by SIGABRT"),
        ("overflows", "was ended by SIG"),
        ("exits", "exited by itself with code 3"),
        ("allocates", "at its memory limit of 256 MiB"),
        // How it ends depends on what it closes first.
        ("closes", "the package's process"),
    ] {
        let error = error_of(&test.run(&format!("fatal::{workflow}"), json!({})).await);
        assert_eq!(error.kind(), "crashed", "{workflow}: {error:?}");
        assert!(error.message().contains(expected), "{workflow}: {error:?}");
        assert_eq!(error.message().contains("memory limit"), workflow == "allocates", "{workflow}: {error:?}");
        // The neighbor, and the package itself, go on.
        for fine in ["neighbor::fine", "fatal::fine"] {
            let report = test.run(fine, json!({})).await;
            assert_eq!((report.state, report.task("t").unwrap().attempt), (RunState::Completed, Some(1)), "{workflow}");
        }
    }
}

#[tokio::test]
async fn what_was_under_way_beside_a_crash_is_lost_and_run_again() {
    let test = engine(|builder| builder).await;
    let scheduler = test.engine.scheduler();
    let waiting = scheduler.schedule_workflow("fatal::waits", Context::new()).await.unwrap();
    test.run("fatal::fine", json!({})).await;
    let crashing = scheduler.schedule_workflow("fatal::segfaults", Context::new()).await.unwrap();
    let crashed = in_time(crashing.wait()).await.unwrap();
    assert_eq!(error_of(&crashed).kind(), "crashed");
    let report = waiting.report().await.unwrap();
    assert_eq!(report.state, RunState::Running, "the neighbor in the process did not fail: {report:?}");
}

#[tokio::test]
async fn who_crashes_on_and_on_is_quarantined_with_the_signal() {
    for (workflow, reason) in [("segfaults", "SIGSEGV"), ("allocates", "memory limit"), ("hangs", "did not stop")] {
        let test = engine(|builder| builder).await;
        for _ in 0..3 {
            test.run(&format!("fatal::{workflow}"), json!({})).await;
            assert_eq!(test.run("neighbor::fine", json!({})).await.state, RunState::Completed);
        }
        // The last crash is told while its run ends.
        let quarantine = in_time(async {
            loop {
                let info = test.engine.registry().list().into_iter().find(|package| package.name == "fatal").unwrap();
                match info.record.quarantine {
                    Some(quarantine) => break quarantine,
                    None => tokio::task::yield_now().await,
                }
            }
        })
        .await;
        assert!(quarantine.reason.contains(reason), "{quarantine:?}");
        assert!(quarantine.until.is_some(), "{quarantine:?}");
        assert_eq!(test.run("neighbor::fine", json!({})).await.state, RunState::Completed);
    }
}

#[tokio::test]
async fn a_task_that_does_not_stop_is_killed_and_its_neighbors_go_on() {
    // A tenth of it is left for the kill, on a machine that may be busy.
    let test = engine(|builder| builder.stop_grace(Duration::from_secs(6))).await;
    for workflow in ["fatal::hangs", "fatal::spins"] {
        let run = test.engine.scheduler().schedule_workflow(workflow, Context::new()).await.unwrap();
        for _ in 0..20 {
            let report = test.run("neighbor::fine", json!({})).await;
            assert_eq!((report.state, report.task("t").unwrap().attempt), (RunState::Completed, Some(1)));
        }
        let error = error_of(&in_time(run.wait()).await.unwrap());
        assert_eq!(error.kind(), "timed_out", "{error:?}");
        // It was not given up while it ran on: its process is gone.
        assert_eq!(error.to_record().details, json!({"abandoned": false}));
        assert_eq!(test.run("fatal::fine", json!({})).await.state, RunState::Completed);
    }
}

#[tokio::test]
async fn what_a_package_writes_to_its_output_is_in_the_log_of_its_attempt() {
    let test = engine(|builder| builder).await;
    let report = test.run("fatal::talks", json!({})).await;
    assert_eq!(report.state, RunState::Completed);
    let run = test.engine.run(report.id).await.unwrap();
    let lines = in_time(async {
        loop {
            let lines = run.logs(&LogFilter::default()).await.unwrap();
            if lines.len() == 2 {
                break lines;
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
    let lines: Vec<_> = lines.iter().map(|line| format!("{} {}: {}", line.level, line.target, line.message)).collect();
    assert_eq!(lines, ["info stdout: to stdout 1", "warn stderr: to stderr"]);
}

#[tokio::test]
async fn the_sandbox_of_a_server_refuses_what_a_package_did_not_ask_for() {
    let test = engine(|builder| builder.sandbox(Sandbox::Server, false)).await;
    let host = test.engine.registry().list()[0].running.hosts[0].clone();
    let is_in_force = |step: &str| host.in_force.iter().any(|done| done.starts_with(step));
    assert!(is_in_force("limits") && is_in_force("no_new_privs") && is_in_force("seccomp"), "{host:?}");
    let report = test.run("fatal::tries", json!({})).await;
    assert_eq!(report.state, RunState::Completed, "{report:?}");
    let (eperm, eacces) = (1, 13);
    let errno = |what: &str| report.context.get(what).and_then(|errno| errno.as_i64()).unwrap();
    for what in ["fork", "exec", "socket", "kill", "shm"] {
        assert_eq!(errno(what), eperm, "{what}: {:?}", report.context);
    }
    assert_eq!((errno("scratch"), errno("env")), (0, 0), "{:?}", report.context);
    if is_in_force("landlock") {
        assert_eq!((errno("read"), errno("write")), (eacces, eacces), "{:?}", report.context);
    } else {
        // The system reports it, and a program that requires it is refused.
        assert!(host.missing.iter().any(|missing| missing.starts_with("landlock")), "{host:?}");
        let strict = TestEngine::start_with(|builder: Builder| {
            let program = HostProgram::new(env!("CARGO_BIN_EXE_package_host"), "package-host");
            builder.package_host(program).sandbox(Sandbox::Server, true)
        })
        .await;
        let error = strict.engine.registry().register_workflow(fatal(&strict, "fatal", "")).await.unwrap_err();
        assert_eq!(error.code(), "ISO0006", "{error}");
    }
}

#[tokio::test]
async fn what_a_package_leaves_behind_ends_with_it() {
    let test = engine(|builder| builder).await;
    let report = test.run("fatal::escapes", json!({})).await;
    let (eperm, done) = (1, 0);
    let expected = json!({"fork": done, "setsid": eperm, "setpgid": done});
    assert_eq!(cloacina_tests::engine::context(&report), expected);
    let lock = File::open(trace(&test)).unwrap();
    assert!(lock.try_lock().is_err(), "it lives as long as the process that started it");
    let error = error_of(&test.run("fatal::segfaults", json!({})).await);
    assert!(error.message().ends_with("; a process that it had started was killed"), "{error:?}");
    assert_eq!(error.to_record().details["processes_killed"], 1, "{error:?}");
    lock.try_lock().unwrap();
    for fine in ["neighbor::fine", "fatal::fine"] {
        let report = test.run(fine, json!({})).await;
        assert_eq!((report.state, report.task("t").unwrap().attempt), (RunState::Completed, Some(1)), "{report:?}");
    }
}

#[tokio::test]
async fn in_the_sandbox_of_a_server_nothing_can_be_left_behind() {
    let test = engine(|builder| builder.sandbox(Sandbox::Server, false)).await;
    let report = test.run("fatal::escapes", json!({})).await;
    assert_eq!(cloacina_tests::engine::context(&report), json!({"fork": 1, "setsid": -1, "setpgid": -1}));
}

#[tokio::test]
async fn what_is_shared_and_what_children_hold_counts_against_the_memory_limit() {
    for sandbox in [Sandbox::Dev, Sandbox::Server] {
        let test = engine(|builder| builder.sandbox(sandbox, false)).await;
        let started = if sandbox == Sandbox::Dev { &["shares", "hides", "crowds"][..] } else { &["shares", "hides"] };
        for workflow in started {
            let error = error_of(&test.run(&format!("fatal::{workflow}"), json!({})).await);
            assert_eq!(error.kind(), "crashed", "{workflow}: {error:?}");
            assert!(error.message().contains("at its memory limit of 256 MiB"), "{workflow}: {error:?}");
            assert_eq!(error.to_record().details["memory_limit_mib"], MEMORY_MIB, "{workflow}: {error:?}");
            let report = test.run("neighbor::fine", json!({})).await;
            assert_eq!((report.state, report.task("t").unwrap().attempt), (RunState::Completed, Some(1)), "{workflow}");
        }
    }
}

#[tokio::test]
async fn who_starts_processes_without_end_is_killed_with_all_of_them() {
    let limits = HostLimits { processes: Some(20), ..HostLimits::default() };
    let test = engine(|builder| builder.host_limits(limits)).await;
    let error = error_of(&test.run("fatal::multiplies", json!({})).await);
    assert!(error.message().contains("at most 20 at a time are allowed"), "{error:?}");
    let details = error.to_record().details;
    assert_eq!(details["process_limit"], 20, "{error:?}");
    assert!(details["processes_killed"].as_u64() > Some(20), "{error:?}");
    assert_eq!(test.run("neighbor::fine", json!({})).await.state, RunState::Completed);
}

#[tokio::test]
async fn where_a_package_wrote_is_gone_with_its_process() {
    let test = engine(|builder| builder.sandbox(Sandbox::Server, false)).await;
    assert_eq!(test.run("fatal::tries", json!({})).await.state, RunState::Completed);
    let scratch = test.folder.path().join(".cloacina/scratch");
    let written = || {
        let files = folders(&scratch).into_iter().flat_map(|own| folders(&own)).map(|folder| folder.join("inside"));
        files.filter(|file| file.exists()).count()
    };
    assert_eq!(written(), 1);
    error_of(&test.run("fatal::segfaults", json!({})).await);
    until(|| written() == 0).await;
    in_time(test.engine.shutdown()).await.unwrap();
    let TestEngine { engine, folder } = test;
    drop(engine);
    until(|| folders(&scratch).is_empty()).await;
    drop(folder);
}

#[tokio::test]
async fn an_engine_that_is_killed_leaves_nothing_for_long() {
    let test = engine(|builder| builder.sandbox(Sandbox::Server, false)).await;
    let folder = test.folder.path();
    std::fs::write(folder.join("fatal.cloacina"), fatal(&test, "fatal", "")).unwrap();
    let killed = |sandbox: &str, workflow: &str| {
        let mut command = std::process::Command::new(crate::cmd::program());
        command.args(["run", "fatal.cloacina", "--quiet", "--database", "killed.db", "--sandbox", sandbox]);
        command.args(["--workflow", workflow]).current_dir(folder).spawn().unwrap()
    };
    // What the package has started is ended by its process, which sees the end of the engine.
    let mut engine = killed("dev", "escapes_and_waits");
    let is_locked = || File::open(trace(&test)).is_ok_and(|lock| lock.try_lock().is_err());
    until(is_locked).await;
    engine.kill().unwrap();
    engine.wait().unwrap();
    until(|| !is_locked()).await;
    // Where it wrote is removed by the next engine, beside one that lives.
    let scratch = folder.join(".cloacina/scratch");
    let living = folders(&scratch);
    let mut engine = killed("server", "fills");
    let written = || {
        let others = folders(&scratch).into_iter().filter(|folder| !living.contains(folder));
        others.filter(|own| folders(own).iter().any(|folder| folder.join("inside").exists())).collect::<Vec<_>>()
    };
    until(|| !written().is_empty()).await;
    let left = written();
    engine.kill().unwrap();
    engine.wait().unwrap();
    assert!(left[0].exists());
    let next =
        TestEngine::start_with(|builder| builder.data_dir(folder.join(".cloacina")).package_host(host_program())).await;
    until(|| !left[0].exists()).await;
    assert!(folders(&scratch).iter().all(|folder| living.contains(folder)) && living.iter().all(|own| own.exists()));
    drop(next);
    assert_eq!(test.run("neighbor::fine", json!({})).await.state, RunState::Completed);
}

/// The folders in a folder.
fn folders(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
}

/// Waits until that is so.
async fn until(mut is_so: impl FnMut() -> bool) {
    in_time(async {
        while !is_so() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn in_the_sandbox_of_a_server_a_package_gets_what_it_needs_if_that_is_allowed() {
    let needs = "#define NEEDS \",\\\"needs\\\":{\\\"read\\\":[\\\"/etc/passwd\\\"],\\\"net\\\":true}\"";
    let test = engine(|builder| {
        let allowed = ["needy=net", "nee*=read:/etc"].map(|text| text.parse().unwrap());
        builder.sandbox(Sandbox::Server, false).allow_needs(allowed)
    })
    .await;
    let error = test.engine.registry().register_workflow(fatal(&test, "greedy", needs)).await.unwrap_err();
    assert_eq!((error.code(), error.to_string().contains("net, read:/etc/passwd")), ("ISO0008", true), "{error}");
    let flags = "to allow it: --allow-need 'greedy=net' --allow-need 'greedy=read:/etc/passwd'";
    assert_eq!(error.hints()[0], flags);
    assert!(!test.engine.registry().list().iter().any(|package| package.name == "greedy"));
    test.register(&fatal(&test, "needy", needs)).await;
    let report = test.run("needy::tries", json!({})).await;
    let errno = |what: &str| report.context.get(what).and_then(|errno| errno.as_i64()).unwrap();
    assert_eq!((errno("read"), errno("socket"), errno("fork")), (0, 0, 1), "{:?}", report.context);
}

#[tokio::test]
async fn the_command_line_names_the_options_that_allow_what_a_package_needs() {
    let test = TestEngine::start().await;
    let folder = test.folder.path();
    let needs = "#define NEEDS \",\\\"needs\\\":{\\\"read\\\":[\\\"/etc/passwd\\\"],\\\"net\\\":true}\"";
    std::fs::write(folder.join("greedy.cloacina"), fatal(&test, "greedy", needs)).unwrap();
    let ctl = |arguments: &[&str]| {
        let mut command = std::process::Command::new(crate::cmd::program());
        let output = command.args(arguments).args(["--database", "other.db"]).current_dir(folder).output().unwrap();
        let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        (output.status.success(), format!("{stdout}{stderr}"))
    };
    let run = ["run", "greedy.cloacina", "--workflow", "fine", "--sandbox", "server"];
    let options = ["--allow-need", "greedy=net", "--allow-need", "greedy=read:/etc/passwd"];
    let (is_done, said) = ctl(&run);
    assert!(!is_done && said.contains("error[ISO0008]"), "{said}");
    assert!(said.contains("--allow-need 'greedy=net' --allow-need 'greedy=read:/etc/passwd'"), "{said}");
    let (is_done, said) = ctl(&[run.as_slice(), &options].concat());
    assert!(is_done && said.contains("completed public::greedy::fine"), "{said}");
    // Registered as it is, it waits for an engine that allows it.
    let create = ["runs", "create", "--workflow", "greedy::fine"];
    let (is_done, said) = ctl(&create);
    assert!(is_done, "{said}");
    let start = ["runs", "start", "latest", "--sandbox", "server", "--timeout", "1"];
    let (is_done, said) = ctl(&start);
    let note =
        "the run waits: the engine cannot use the package: ISO0008: the package greedy has needs that are not allowed";
    assert!(!is_done && said.contains(note) && said.contains("error[CTL0013]"), "{said}");
    assert!(said.contains("--allow-need 'greedy=net' --allow-need 'greedy=read:/etc/passwd'"), "{said}");
    let (is_done, said) = ctl(&[&["runs", "execute", "latest", "--sandbox", "server"], options.as_slice()].concat());
    assert!(is_done && said.contains("state     completed"), "{said}");
    for verb in [["package", "show", "greedy"], ["package", "register", "greedy.cloacina"]] {
        let (is_done, said) = ctl(&verb);
        let needs = said.lines().find(|line| line.trim_start().starts_with("needs ")).unwrap_or_default();
        assert!(is_done && needs.ends_with("net, read:/etc/passwd"), "{said}");
    }
    let (is_done, said) = ctl(&[run.as_slice(), &["--allow-need", "greedy=network"]].concat());
    assert!(!is_done && said.contains("is not SCOPE=NEED"), "{said}");
}

#[tokio::test]
async fn a_host_that_sends_nonsense_is_killed_and_named() {
    let test = engine(|builder| builder).await;
    let error = error_of(&test.run("fatal::babbles", json!({})).await);
    assert!(error.message().contains("it sent a frame of the unknown kind"), "{error:?}");
    assert_eq!(test.run("neighbor::fine", json!({})).await.state, RunState::Completed);
}

#[tokio::test]
async fn a_process_is_replaced_after_so_many_calls_and_no_call_notices() {
    let test =
        engine(|builder| builder.host_limits(HostLimits { replace_calls: Some(5), ..HostLimits::default() })).await;
    let mut processes = std::collections::BTreeSet::new();
    for _ in 0..12 {
        let report = test.run("fatal::fine", json!({})).await;
        assert_eq!((report.state, report.task("t").unwrap().attempt), (RunState::Completed, Some(1)));
        let packages = test.engine.registry().list();
        processes
            .extend(packages.iter().filter(|p| p.name == "fatal").flat_map(|p| &p.running.hosts).map(|host| host.pid));
    }
    assert!((2..=4).contains(&processes.len()), "{processes:?}");
}

#[tokio::test]
async fn what_an_attempt_used_up_stands_with_its_end() {
    let test = engine(|builder| builder).await;
    let report = test.run("fatal::works", json!({})).await;
    let run = test.engine.run(report.id).await.unwrap();
    let of_kind = |events: Vec<RunEvent>, kind: &str| events.into_iter().find(|event| event.kind == kind).unwrap();
    let end = of_kind(run.events().await.unwrap(), "task_completed");
    assert!(end.cpu.unwrap() >= Duration::from_millis(20), "{end:?}");
    assert!((1 << 20..MEMORY_MIB << 20).contains(&end.peak_bytes.unwrap()), "{end:?}");
    let report = test.run("fatal::allocates", json!({})).await;
    let run = test.engine.run(report.id).await.unwrap();
    let end = of_kind(run.events().await.unwrap(), "task_failed");
    assert!(end.peak_bytes.unwrap() > (MEMORY_MIB / 2) << 20, "{end:?}");
    let peak = end.peak_bytes;

    let usage = run.usage().await.unwrap();
    let task = &usage.tasks[0];
    assert_eq!((usage.total, task.total.n_attempts, task.total.peak_bytes), (task.total, 1, peak), "{usage:?}");
    assert_eq!((task.calls[0].attempt, task.calls[0].end, task.calls[0].peak_bytes), (Some(1), "task_failed", peak));
    let filter = UsageFilter { package: Some("fatal@1.0.0".to_owned()), ..UsageFilter::default() };
    let packages = test.engine.package_usage(&filter).await.unwrap();
    let [package] = packages.as_slice() else { panic!("{packages:?}") };
    assert_eq!((package.n_runs, package.total.n_attempts, package.total.n_cpu), (2, 2, 2), "{package:?}");
    // The successful task runs long enough for a measurement of its process.
    assert_eq!((package.total.n_peak, package.total.peak_bytes), (2, peak), "{package:?}");
    assert!(package.total.cpu.unwrap() >= Duration::from_millis(20), "{package:?}");
    let workflows: Vec<&str> = package.tasks.iter().map(|task| task.workflow.as_str()).collect();
    assert_eq!(workflows, ["allocates", "works"]);
    let unknown = UsageFilter { package: Some("fatl".to_owned()), ..UsageFilter::default() };
    let error = test.engine.package_usage(&unknown).await.unwrap_err();
    assert_eq!(error.code(), "REG0004", "{error}");

    // What a version used up is known for as long as its runs are.
    test.engine.registry().remove("fatal@1.0.0", "ada").await.unwrap();
    let filter = UsageFilter { package: Some(package.digest.to_string()), ..UsageFilter::default() };
    let removed = test.engine.package_usage(&filter).await.unwrap();
    let [removed] = removed.as_slice() else { panic!("{removed:?}") };
    assert_eq!((&removed.version, &removed.name, removed.total), (&None, &package.name, package.total), "{removed:?}");
}

#[tokio::test]
async fn what_processes_used_up_is_kept_beyond_their_end() {
    let test = engine(|builder| builder).await;
    let scheduler = test.engine.scheduler();
    let mut runs = Vec::new();
    for _ in 0..4 {
        runs.push(scheduler.schedule_workflow("fatal::works", Context::new()).await.unwrap());
    }
    for run in &runs {
        assert_eq!(in_time(run.wait()).await.unwrap().state, RunState::Completed);
    }
    let filter = UsageFilter { package: Some("fatal".to_owned()), ..UsageFilter::default() };
    let of = |packages: Vec<PackageUsage>| packages.first().unwrap().hosts;
    let living = of(test.engine.package_usage(&filter).await.unwrap());
    assert_eq!((living.n_hosts, living.n_crashed, living.n_calls, living.n_cpu), (1, 0, 4, 1), "{living:?}");
    assert!(living.cpu.unwrap() >= Duration::from_millis(20) && living.peak_bytes.unwrap() > 1 << 20, "{living:?}");

    error_of(&test.run("fatal::segfaults", json!({})).await);
    assert_eq!(test.run("fatal::fine", json!({})).await.state, RunState::Completed);
    let crashed = of(test.engine.package_usage(&filter).await.unwrap());
    assert_eq!((crashed.n_hosts, crashed.n_crashed, crashed.n_calls), (2, 1, 6), "{crashed:?}");
    assert!(crashed.cpu > living.cpu, "{living:?} {crashed:?}");

    // Beside a running engine, and without one.
    let database = test.folder.path().join("cloacina.db").display().to_string();
    let stored = || of(Records::open(&database).unwrap().package_usage(&filter).unwrap());
    assert_eq!((stored().n_hosts, stored().n_calls), (2, 6), "{:?}", stored());
    in_time(test.engine.shutdown_within(Duration::ZERO)).await.unwrap();
    let last = stored();
    assert_eq!((last.n_hosts, last.n_crashed, last.n_calls, last.n_cpu), (2, 1, 6, 2), "{last:?}");
    assert!(last.cpu >= crashed.cpu && last.peak_bytes >= crashed.peak_bytes, "{crashed:?} {last:?}");
    let before = UsageFilter { created_before: Some(cloacina::Timestamp::from_unix_micros(1)), ..filter.clone() };
    assert_eq!(Records::open(&database).unwrap().package_usage(&before).unwrap(), []);
}

#[test]
fn what_an_engine_holds_is_not_taken_for_what_a_package_held() {
    let folder = tempfile::tempdir().unwrap();
    let source = format!("#define PACKAGE \"fatal\"\n#define TRACE \"\"\n{FATAL}");
    let archive = folder.path().join("fatal.cloacina");
    std::fs::write(&archive, library::pack(&library::compile(folder.path(), "fatal", &source))).unwrap();
    let mut heavy = std::process::Command::new(env!("CARGO_BIN_EXE_heavy"));
    heavy.arg(folder.path()).args([env!("CARGO_BIN_EXE_package_host"), "512"]).arg(&archive);
    let told = heavy.args(["fatal::segfaults", "fatal::aborts"]).output().unwrap();
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    let told = String::from_utf8(told.stdout).unwrap();
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(lines.len(), 2, "{told}");
    for (line, signal) in lines.into_iter().zip(["SIGSEGV", "SIGABRT"]) {
        let (state, rest) = line.split_once(' ').unwrap();
        let (peak, error) = rest.split_once(' ').unwrap();
        assert!(state == "failed" && error.contains(signal), "{line}");
        assert!(peak == "unknown" || peak.parse::<u64>().unwrap() < 256 << 20, "{line}");
    }
}

#[tokio::test]
async fn a_value_that_was_not_measured_is_unknown_and_not_zero() {
    let test = TestEngine::start().await;
    test.register(&fatal(&test, "inline", "")).await;
    // It completes on a thread of the engine's without being marked as one that works there.
    let report = test.run("inline::fine", json!({})).await;
    let usage = test.engine.run(report.id).await.unwrap().usage().await.unwrap();
    assert_eq!((usage.total.n_attempts, usage.total.n_time, usage.total.n_cpu), (1, 1, 0), "{usage:?}");
    assert!(usage.total.time.is_some(), "{usage:?}");
    assert_eq!((usage.total.cpu, usage.total.peak_bytes), (None, None), "{usage:?}");
    // The same beside the running engine, as any other process sees it.
    let mut records = Records::open(&test.folder.path().join("cloacina.db").display().to_string()).unwrap();
    assert_eq!(records.usage(report.id).unwrap(), usage);
    let packages = records.package_usage(&UsageFilter::default()).unwrap();
    assert_eq!(packages.iter().map(|package| package.total).collect::<Vec<_>>(), [usage.total]);
}

#[tokio::test]
async fn what_runs_a_package_is_shown_beside_its_engine() {
    let test = engine(|builder| builder.sandbox(Sandbox::Server, false)).await;
    assert_eq!(test.run("fatal::fine", json!({})).await.state, RunState::Completed);
    let info = test.engine.registry().get("fatal").unwrap();
    let [host] = info.running.hosts.as_slice() else { panic!("{info:?}") };

    let database = test.folder.path().join("cloacina.db").display().to_string();
    let mut client = Client::connect(&database).await.unwrap().unwrap();
    let packages = client.packages().await.unwrap();
    let told = packages.iter().find(|package| package.name == "fatal").unwrap();
    assert_eq!(
        (told.running.isolation.as_deref(), told.running.sandbox.as_deref()),
        (Some("process"), Some("server")),
        "{told:?}"
    );
    let [process] = told.running.hosts.as_slice() else { panic!("{told:?}") };
    assert_eq!((process.pid, process.n_calls, process.n_open_calls), (host.pid, 1, 0), "{told:?}");
    assert!(process.resident_bytes.unwrap() > 0 && process.cpu.is_some(), "{told:?}");
    let steps: Vec<&String> = process.in_force.iter().chain(&process.missing).collect();
    for step in ["limits", "no_new_privs", "landlock", "seccomp"] {
        assert!(steps.iter().any(|shown| shown.starts_with(step)), "{step}: {told:?}");
    }
    assert_eq!(process.in_force, host.in_force);

    let shown = shown(&["show", "fatal"], &database).await;
    let (engine, running) = (&shown["engine"], &shown["package"]["running"]);
    assert_eq!((&engine["alive"], &engine["pid"]), (&json!(true), &json!(std::process::id())), "{shown}");
    assert_eq!((&running["isolation"], &running["hosts"][0]["pid"]), (&json!("process"), &json!(host.pid)), "{shown}");
    let listed = self::shown(&["list"], &database).await;
    assert_eq!(listed["packages"][0]["running"]["hosts"][0]["in_force"], json!(process.in_force), "{listed}");

    in_time(test.engine.shutdown_within(Duration::ZERO)).await.unwrap();
    let shown = self::shown(&["show", "fatal"], &database).await;
    assert_eq!((&shown["engine"]["alive"], &shown["package"]["running"]), (&json!(false), &json!(null)), "{shown}");
}

/// What the command line shows of packages, as programs get it.
async fn shown(arguments: &[&str], database: &str) -> serde_json::Value {
    let mut command = std::process::Command::new(program());
    command.arg("package").args(arguments).args(["--database", database, "--output", "json"]);
    // The engine, which it asks, lives in this process.
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test]
async fn a_package_that_crashes_in_its_constructor_is_refused() {
    let test = engine(|builder| builder).await;
    let archive = fatal(&test, "unborn", "#define CRASH_IN_CONSTRUCTOR");
    let error = test.engine.registry().register_workflow(archive).await.unwrap_err();
    assert_eq!((error.code(), error.to_string().contains("SIGABRT")), ("ISO0002", true), "{error}");
    assert_eq!(test.engine.registry().list().len(), 2);
    assert_eq!(test.run("neighbor::fine", json!({})).await.state, RunState::Completed);
}

#[tokio::test]
async fn a_crash_in_a_constructor_ends_no_engine_that_would_load_it_inline() {
    let test =
        engine(|builder| builder.isolation_of("unborn", Isolation::Inline).isolation_of("calm", Isolation::Inline))
            .await;
    let archive = fatal(&test, "unborn", "#define CRASH_IN_CONSTRUCTOR");
    let registry = test.engine.registry();
    let error = registry.register_workflow(archive.clone()).await.unwrap_err();
    assert_eq!((error.code(), error.to_string().contains("SIGABRT")), ("ISO0002", true), "{error}");
    assert_eq!(registry.list().len(), 2);
    // Nor when it is activated later.
    let later = Upload { activation: Activation::Later, ..Upload::new(archive) };
    registry.register(later).await.unwrap();
    let error = registry.activate("unborn@1.0.0", None, "ann").await.unwrap_err();
    assert_eq!((error.code(), error.to_string().contains("SIGABRT")), ("ISO0002", true), "{error}");
    assert_eq!(registry.get("unborn@1.0.0").unwrap().state, PackageState::Registered);
    // One that can be loaded is, here.
    test.register(&fatal(&test, "calm", "")).await;
    let calm = registry.get("calm").unwrap();
    let calm = calm.running;
    assert_eq!((calm.isolation.as_deref(), calm.is_loaded, calm.hosts.len()), (Some("inline"), true, 0));
    assert_eq!(test.run("calm::fine", json!({})).await.state, RunState::Completed);
}

#[tokio::test]
async fn a_program_other_than_a_package_host_is_named() {
    let program = HostProgram::new("/bin/true", "package-host");
    let test = TestEngine::start_with(|builder: Builder| builder.package_host(program)).await;
    let error = test.engine.registry().register_workflow(fatal(&test, "fatal", "")).await.unwrap_err();
    assert_eq!(error.code(), "ISO0003", "{error}");
    let program = HostProgram::new("/nowhere/host", "package-host");
    let test = TestEngine::start_with(|builder: Builder| builder.package_host(program)).await;
    let error = test.engine.registry().register_workflow(fatal(&test, "fatal", "")).await.unwrap_err();
    assert_eq!(error.code(), "ISO0001", "{error}");
}

#[tokio::test]
async fn processes_end_with_their_engine() {
    let test = engine(|builder| builder).await;
    assert_eq!(test.run("fatal::forks", json!({})).await.state, RunState::Completed);
    let packages = test.engine.registry().list();
    let hosts: Vec<u32> = packages.iter().flat_map(|package| &package.running.hosts).map(|host| host.pid).collect();
    assert_eq!(hosts.len(), 2);
    in_time(test.engine.shutdown_within(Duration::ZERO)).await.unwrap();
    // Neither they nor what they left behind runs any more; the latter may be yet to be reaped, by others than us.
    let left: Vec<String> =
        processes().into_iter().filter(|(_, group)| hosts.contains(group)).map(|(p, _)| p).collect();
    assert_eq!(left, Vec::<String>::new());
}

/// All processes of the machine that run, with the groups that they belong to.
fn processes() -> Vec<(String, u32)> {
    let folders = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let stats = folders.filter_map(|folder| std::fs::read_to_string(folder.path().join("stat")).ok());
    let group = |stat: String| {
        let after_name = stat.rsplit_once(") ")?.1;
        let mut words = after_name.split(' ');
        let runs = words.next()? != "Z";
        let group = words.nth(1)?.parse().ok()?;
        runs.then_some((stat, group))
    };
    stats.filter_map(group).collect()
}
