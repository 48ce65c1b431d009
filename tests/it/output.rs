//! What packages print in processes of their own: which attempt has the line, that no output is lost, and that no secret of
//! any run is told, however it is printed.

use std::{fs, time::Duration};

use cloacina::{Context, LogFilter, RunHandle, RunReport, RunRequest, RunState};
use cloacina_tests::{
    archive,
    engine::{TestEngine, in_time},
    library,
};
use serde_json::json;

use crate::isolation::host_program;

const SECRET: &str = "correct-horse-battery-staple";

/// The longest message that is one line of a log.
const LINE_BYTES: usize = 16 << 10;

/// Tasks that print what a file says: a number of four bytes, so many bytes, and so on. Before each piece but the first
/// they wait until the engine has read the one before.
const PRINTS: &str = r#"
#define _GNU_SOURCE
#include "fixture.h"
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>
#define TASK(id, index, more) "{\"id\":\"" id "\",\"index\":" #index ",\"blocking\":true" more "}"
FIXTURE("{\"format\":1,\"abi\":\"1.0\",\"package\":\"prints\",\"version\":\"1.0.0\",\"workflows\":["
        "{\"name\":\"replay\",\"tasks\":[" TASK("replay", 0, "") "]},"
        "{\"name\":\"two\",\"tasks\":[" TASK("p1", 1, "") "," TASK("p2", 2, ",\"dependencies\":[\"p1\"]") "]},"
        "{\"name\":\"first\",\"tasks\":[" TASK("t", 3, "") "]},{\"name\":\"second\",\"tasks\":[" TASK("t", 4, "") "]}]}");
static int n_there;
static void await_file(const char *path) { while (access(path, F_OK) != 0) usleep(1000); }
static int32_t start(const clcn_start *call) {
    clcn_result result = CLCN_RESULT_INIT;
    if (call->task == 0) {
        static unsigned char bytes[1 << 20];
        FILE *script = fopen(FOLDER "/script", "rb");
        uint32_t length;
        while (script && fread(&length, sizeof length, 1, script) == 1) {
            int n_waiting = 1;
            while (ioctl(1, FIONREAD, &n_waiting) == 0 && n_waiting > 0) usleep(50);
            size_t n_bytes = fread(bytes, 1, length, script);
            for (size_t n_out = 0; n_out < n_bytes;) {
                ssize_t n = write(1, bytes + n_out, n_bytes - n_out);
                if (n > 0) n_out += (size_t)n;
            }
        }
        if (script) fclose(script);
    }
    /* What C has in its own buffer counts as well. */
    if (call->task == 1) printf("P1 without end");
    if (call->task == 2) printf(" P2 line\n");
    if (call->task >= 3) {
        __atomic_add_fetch(&n_there, 1, __ATOMIC_SEQ_CST);
        while (__atomic_load_n(&n_there, __ATOMIC_SEQ_CST) < 2) usleep(1000);
    }
    if (call->task == 3) printf("the first has correct-horse-battery-staple");
    if (call->task == 4) { await_file(FOLDER "/go"); printf(" and the second\n"); }
    host->complete(host->ctx, call->call_id, &result);
    return CLCN_OK;
}
"#;

async fn engine() -> TestEngine {
    let test =
        TestEngine::start_with(|builder| builder.package_host(host_program()).stop_grace(Duration::from_millis(500)))
            .await;
    let source = format!("#define FOLDER {:?}\n{PRINTS}", test.folder.path());
    test.register(&library::pack(&library::compile(test.folder.path(), "prints", &source))).await;
    test
}

async fn submit(test: &TestEngine, workflow: &str, secret: Option<&str>) -> RunHandle {
    let mut request = RunRequest::new(workflow, Context::new());
    if let Some(secret) = secret {
        request = request.secret("password", json!(secret));
    }
    test.engine.scheduler().submit(request).await.unwrap()
}

async fn ended(run: &RunHandle) -> RunReport {
    let report = in_time(run.wait()).await.unwrap();
    assert_eq!(report.state, RunState::Completed, "{report:?}");
    report
}

/// What a run printed: lines that continue one are a part of it.
async fn printed(test: &TestEngine, run: &RunHandle, task: &str) -> Vec<String> {
    // Lines are stored soon, and before the next run's.
    let marker = submit(test, "prints::two", None).await;
    ended(&marker).await;
    let filter = LogFilter::default();
    in_time(async {
        while marker.logs(&filter).await.unwrap().len() < 2 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let mut lines: Vec<String> = Vec::new();
    for line in run.logs(&filter).await.unwrap() {
        assert!(line.message.len() <= LINE_BYTES && line.dropped.is_none());
        if line.task != task {
            continue;
        }
        match lines.last_mut().filter(|_| line.fields.get("continued") == Some(&json!(true))) {
            Some(begun) => begun.push_str(&line.message),
            None => lines.push(line.message),
        }
    }
    lines
}

/// Prints these pieces, and returns the lines.
async fn replayed(test: &TestEngine, pieces: &[&[u8]], secret: Option<&str>) -> Vec<String> {
    let script: Vec<u8> = pieces
        .iter()
        .flat_map(|piece| [&u32::try_from(piece.len()).unwrap().to_ne_bytes()[..], piece].concat())
        .collect();
    fs::write(test.folder.path().join("script"), script).unwrap();
    let run = submit(test, "prints::replay", secret).await;
    ended(&run).await;
    printed(test, &run, "replay").await
}

#[tokio::test]
async fn a_line_without_its_end_is_the_last_one_of_its_attempt() {
    let test = engine().await;
    test.register(&archive::fixture("mischief")).await;
    for workflow in ["prints::two", "mischief::unended"] {
        let run = submit(&test, workflow, None).await;
        ended(&run).await;
        assert_eq!(printed(&test, &run, "p1").await, ["P1 without end"], "{workflow}");
        assert_eq!(printed(&test, &run, "p2").await, [" P2 line"], "{workflow}");
    }
    // Neither the secret of a run that has ended, nor a part of it.
    let told = replayed(&test, &[b"it is ", SECRET.as_bytes()], Some(SECRET)).await;
    assert_eq!(told, ["it is ***"]);
    assert_eq!(replayed(&test, &[b" of nobody\n"], None).await, [" of nobody"]);
    // What a process prints it may have from a run before.
    assert_eq!(replayed(&test, &[SECRET.as_bytes()], None).await, ["***"]);
}

#[tokio::test]
async fn what_attempts_print_beside_each_other_belongs_to_neither_of_them() {
    let test = engine().await;
    let first = submit(&test, "prints::first", Some(SECRET)).await;
    let second = submit(&test, "prints::second", None).await;
    ended(&first).await;
    fs::write(test.folder.path().join("go"), "").unwrap();
    ended(&second).await;
    assert_eq!(printed(&test, &first, "t").await, [""; 0]);
    assert_eq!(printed(&test, &second, "t").await, [" and the second"]);
}

#[tokio::test]
async fn nothing_of_a_long_line_is_lost_and_no_character_is_parted() {
    let test = engine().await;
    let (long, umlauts) = ("x".repeat(8000), "ä".repeat(5000));
    let told = replayed(&test, &[long.as_bytes(), format!("{long}END\n").as_bytes()], None).await;
    assert_eq!(told, [format!("{long}{long}END")]);
    assert_eq!(replayed(&test, &[umlauts.as_bytes()], None).await, [umlauts.as_str()]);
    let (half, rest) = umlauts.as_bytes().split_at(1);
    assert_eq!(replayed(&test, &[half, rest, b"\n\nend"], None).await, [&umlauts, "", "end"]);
    let much = format!("{}\n", "word ".repeat(60_000));
    assert_eq!(replayed(&test, &[much.as_bytes()], None).await, [much.trim_end_matches('\n')]);
}

#[tokio::test]
async fn no_border_parts_a_secret() {
    let test = engine().await;
    for border in [8 << 10, LINE_BYTES] {
        for n_before in [border - SECRET.len() + 1, border - SECRET.len() / 2, border - 1] {
            let text = format!("{}{SECRET} and {SECRET}\n", "x".repeat(n_before));
            let expected = [text.trim_end().replace(SECRET, "***")];
            let (first, rest) = text.as_bytes().split_at(border);
            assert_eq!(replayed(&test, &[text.as_bytes()], Some(SECRET)).await, expected);
            assert_eq!(replayed(&test, &[first, rest], Some(SECRET)).await, expected);
        }
    }
    // Values with blanks around them, and those that are parts of each other.
    for value in ["abcd1234\r\n", "abcd1234\n\n", " abcd1234 "] {
        assert_eq!(replayed(&test, &[b"<abcd", b"1234>"], Some(value)).await, ["<***>"], "{value:?}");
    }
    let request = RunRequest::new("prints::replay", Context::new());
    let values = ["abcd1234", "abcd1234WXYZ9876", "abc123ZZ77", "ZZ77kkkk"];
    fs::write(test.folder.path().join("script"), script_of("abcd1234WXYZ9876, abc123ZZ77kkkk")).unwrap();
    let run = test.engine.scheduler().submit(request.secret("passwords", json!(values))).await.unwrap();
    ended(&run).await;
    assert_eq!(printed(&test, &run, "replay").await, ["***, ***"]);
}

/// A script that prints a text byte by byte.
fn script_of(text: &str) -> Vec<u8> {
    text.bytes().flat_map(|byte| [&1u32.to_ne_bytes()[..], &[byte]].concat()).collect()
}
