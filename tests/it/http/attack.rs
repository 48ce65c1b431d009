//! Attacks on a server from one machine: clients that are slow, many, large, or speak no proper HTTP.
//!
//! During each attack another client is answered on the connection that it has, and the memory of the server stays below a
//! limit. What is HTTP is refused with a problem document; what is not is refused with a bare status, or the connection is
//! closed. All attacks are on a server of the test, and bounded in count and in time.

use std::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use rustix::process::{Resource, getrlimit};

use super::{
    client::Served,
    raw::{Raw, is_alive},
};
use crate::{sharing::wait_until, steer::Place};

const MIB: usize = 1 << 20;

/// Much more than any body may have.
const LARGE: usize = 100 * MIB;

/// The connections of the largest attack, if the system allows so many open files.
const CROWD: usize = 10_000;

/// The begin of a request with a body of JSON.
const POST: &str = "POST /api/v1/runs HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n";

/// Tells the other client that the attack is over.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Attacks a server, while another client asks it all the time. Its memory may grow by so many MiB meanwhile.
fn attack(served: &Served, grows_mib: usize, attack: impl FnOnce()) {
    let before = served.memory();
    served.forget_peak();
    let (is_over, n_answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    let other = Raw::connect(served);
    other.ask_live();
    thread::scope(|scope| {
        let asking = scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                other.ask_live();
                n_answered.fetch_add(1, Ordering::Relaxed);
                // Every few milliseconds is enough, and leaves the machine to the attack.
                thread::park_timeout(Duration::from_millis(5));
            }
        });
        // A test that fails ends too.
        let _over = Over(&is_over);
        attack();
        wait_until("the other client is answered", || n_answered.load(Ordering::Relaxed) > 0 || asking.is_finished());
    });
    let grown = served.peak_memory().saturating_sub(before) / MIB;
    assert!(grown <= grows_mib, "the server grew by {grown} MiB");
    drop(other);
    wait_until("new clients are answered", || is_alive(served));
}

/// What the server answers to these bytes; one answer, and then the end of the connection.
fn refused(served: &Served, bytes: &[u8]) -> String {
    let answer = Raw::exchange(served, bytes);
    let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(200)]).into_owned();
    assert!(answer.matches("HTTP/1.1 ").count() <= 1, "{shown:?}: more than one answer: {answer}");
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{shown:?}: {answer}");
    assert!(!answer.contains("root:"), "{shown:?}: {answer}");
    answer
}

/// The answer is a problem document with that status and code.
fn check_problem(answer: &str, status: &str, code: &str) {
    assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{status} {code}: {answer}");
    assert!(answer.contains("content-type: application/problem+json"), "{status} {code}: {answer}");
    assert!(answer.contains(&format!("\"code\":\"{code}\"")), "{status} {code}: {answer}");
}

#[test]
fn many_slow_clients_are_given_up() {
    let place = Place::new();
    let served = Served::start(&place);
    let begins = [
        "GET /live HTTP/1.1\r\nhost: localhost\r\nx-".to_owned(),
        format!("{POST}content-length: 1000000\r\n\r\n{{"),
        format!("{POST}transfer-encoding: chunked\r\n\r\nFFFF\r\n{{"),
    ];
    attack(&served, 64, || {
        let mut slow: Vec<Raw> = begins
            .iter()
            .cycle()
            .take(300)
            .map(|begin| {
                let raw = Raw::connect(&served);
                assert!(raw.send(begin.as_bytes()));
                raw
            })
            .collect();
        // Each sends a byte now and then, so that it is never silent for long.
        wait_until("all slow clients are given up", || {
            slow.retain(|raw| raw.send(b"x"));
            slow.is_empty()
        });
    });
}

#[test]
fn as_many_half_open_connections_as_the_system_allows() {
    let n_files = getrlimit(Resource::Nofile).current.map_or(usize::MAX, |most| usize::try_from(most).unwrap());
    // The test leaves files to the tests beside it, as the server does to its engine.
    let n_connections = CROWD.min(n_files / 2);
    let place = Place::new();
    let served = Served::start_with_login_and(&place, &["--connections", &n_connections.to_string()]).0;
    attack(&served, 512, || {
        let half_open = || {
            let raw = Raw::connect(&served);
            raw.send(b"GET /live HTTP/1.1\r\nhost: local");
            raw
        };
        let crowd: Vec<Raw> = (0..n_connections + 100).map(|_| half_open()).collect();
        let another = Raw::exchange(&served, b"GET /live HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        // A slow machine has given up the first ones before the last ones are there, and has places again.
        if !another.starts_with("HTTP/1.1 204") {
            check_problem(&another, "503", "SRV0024");
        }
        drop(crowd);
    });
}

#[test]
fn bodies_that_are_far_too_large() {
    let place = Place::new();
    let served = Served::start(&place);
    let part = vec![b' '; MIB];
    let send = |head: String, chunk: &str| {
        let raw = Raw::connect(&served);
        let mut goes_on = raw.send(head.as_bytes());
        for _ in 0..LARGE / MIB {
            goes_on = goes_on && raw.send(chunk.as_bytes()) && raw.send(&part);
            goes_on = goes_on && (chunk.is_empty() || raw.send(b"\r\n"));
        }
        check_problem(&raw.rest(), "413", "SRV0004");
        assert!(!goes_on, "the server took the whole body");
    };
    let chunk = format!("{MIB:x}\r\n");
    let archive = POST.replace("/runs", "/packages").replace("application/json", "application/octet-stream");
    let login = POST.replace("/api/v1/runs", "/auth/login");
    attack(&served, 256, || {
        thread::scope(|scope| {
            for head in [POST, &archive, &login] {
                scope.spawn(move || send(format!("{head}content-length: {LARGE}\r\n\r\n"), ""));
            }
            scope.spawn(|| send(format!("{POST}transfer-encoding: chunked\r\n\r\n"), &chunk));
        });
    });
}

#[test]
fn json_that_is_deep_or_not_utf_8() {
    let place = Place::new();
    let served = Served::start(&place);
    let post = |body: &[u8]| {
        let head = format!("{POST}connection: close\r\ncontent-length: {}\r\n\r\n", body.len());
        refused(&served, &[head.as_bytes(), body].concat())
    };
    attack(&served, 128, || {
        let inside = format!("{{\"workflow\":\"w\",\"input\":{{\"a\":{}", "[".repeat(15 * MIB));
        check_problem(&post(inside.as_bytes()), "400", "SRV0001");
        // Nothing of that begins as a run does, so it is not read to its depth.
        for body in ["[".repeat(15 * MIB), "{\"a\":".repeat(3 * MIB)] {
            check_problem(&post(body.as_bytes()), "422", "SRV0002");
        }
        for body in [
            &b"{\"workflow\": \"\xff\"}"[..],
            b"\xff\xfe{\x00",
            b"{\"workflow\": \"\xed\xa0\x80\"}",
            b"\x00",
            b"{\"workflow\": \"\\ud800\"}",
        ] {
            check_problem(&post(body), "400", "SRV0001");
        }
    });
}

#[test]
fn heads_that_are_too_large() {
    let place = Place::new();
    let served = Served::start(&place);
    let get = "GET /live HTTP/1.1\r\nhost: localhost\r\n";
    let long = "a".repeat(MIB);
    attack(&served, 64, || {
        for head in [
            format!("{get}{}\r\n", "x-a: b\r\n".repeat(10_000)),
            format!("{get}{}\r\n", "x-a: b\r\n".repeat(101)),
            format!("{get}x-long: {long}\r\n\r\n"),
            format!("{get}{long}: x\r\n\r\n"),
            format!("GET /{long} HTTP/1.1\r\nhost: localhost\r\n\r\n"),
            format!("{long} / HTTP/1.1\r\nhost: localhost\r\n\r\n"),
            format!("{get}{}", "x-endless: b\r\n".repeat(MIB / 10)),
        ] {
            let answer = refused(&served, head.as_bytes());
            let status = answer.get(9..12).unwrap_or("");
            assert!(["400", "414", "431"].contains(&status), "{answer}");
        }
    });
}

#[test]
fn paths_that_lead_elsewhere() {
    const NOWHERE: &[&str] = &[
        "/../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/..%2f..%2fetc%2fpasswd",
        "//etc/passwd",
        "//live",
        "/./live",
        "/live/",
        "/live/../live",
        "/live%00",
        "/live%0d%0ax-header:%20x",
        "/LIVE",
        "/live;x",
        "/errors/../../Cargo.toml",
        "/errors/..%2f..%2fetc%2fpasswd",
        "/errors/%00",
        "/errors/%ff",
        "/api/v1/workflows/..%2f..%2fruns",
        "/api/v1/packages/%2e%2e%2f%2e%2e",
        "/api/v1/packages/a%2fb",
        "/api/v1/packages/%00",
        "/api/v1/packages/%ff%fe",
        "/api/v1/runs/%2e%2e",
        "/api/v1/runs?cursor=%ff",
        "/api/v1/runs?state=%00",
        "/api/v1/%72uns/..",
    ];
    // The pages come with a crate that answers without a document.
    const NO_PAGES: &[&str] = &[
        "/swagger-ui/../../../../etc/passwd",
        "/swagger-ui/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
        "/swagger-ui/..%2f..%2f..%2fetc%2fpasswd",
        "/swagger-ui//etc/passwd",
    ];
    let place = Place::new();
    let served = Served::start(&place);
    attack(&served, 64, || {
        let get = |path: &str| {
            let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
            refused(&served, request.as_bytes())
        };
        for path in NO_PAGES {
            assert!(get(path).starts_with("HTTP/1.1 404"), "{path}");
        }
        for path in NOWHERE {
            let answer = get(path);
            assert!(answer.contains("content-type: application/problem+json"), "{path}: {answer}");
        }
    });
}

#[test]
fn what_is_not_http() {
    let place = Place::new();
    let served = Served::start(&place);
    let get = "GET /live HTTP/1.1\r\nhost: localhost\r\n";
    let no_http: Vec<Vec<u8>> = [
        "\r\n\r\n\r\nhello\r\n\r\n",
        "GET\r\n\r\n",
        "GET /live\r\n\r\n",
        "GET /live HTTP/9.9\r\nhost: localhost\r\n\r\n",
        "GET /live HTTP/2.0\r\nhost: localhost\r\n\r\n",
        "GET /li ve HTTP/1.1\r\nhost: localhost\r\n\r\n",
        "GET /live\0 HTTP/1.1\r\nhost: localhost\r\n\r\n",
        "G\0T /live HTTP/1.1\r\nhost: localhost\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        &format!("{get}no colon\r\n\r\n"),
        &format!("{get}: no name\r\n\r\n"),
        &format!("{get}x y: z\r\n\r\n"),
        &format!("{get}x-nul: a\0b\r\n\r\n"),
        &format!("{get}x-folded: a\r\n b\r\n\r\n"),
        &format!("{get}content-length: -1\r\n\r\n"),
        &format!("{get}content-length: +1\r\n\r\nx"),
        &format!("{get}content-length: 1 2\r\n\r\nx"),
        &format!("{get}content-length: 99999999999999999999999\r\n\r\n"),
        &format!("{get}transfer-encoding: gzip\r\n\r\n"),
        "GET http://[::1 HTTP/1.1\r\nhost: localhost\r\n\r\n",
        "GET /live HTTP/1.1\r\n\r\n",
    ]
    .iter()
    .map(|text| text.as_bytes().to_vec())
    .chain([
        // The begin of TLS, and bytes of every value.
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
        (0..=255).cycle().take(4_096).collect(),
        b"GET /\xff\xfe HTTP/1.1\r\nhost: \xff\r\nconnection: close\r\n\r\n".to_vec(),
    ])
    .collect();
    attack(&served, 64, || {
        thread::scope(|scope| {
            for bytes in &no_http {
                scope.spawn(|| refused(&served, bytes));
            }
        });
        for chunk in ["x\r\n", "-1\r\n", "FFFFFFFFFFFFFFFFF\r\n", "1\r\nab\r\n", &format!("1;{}\r\n", "x".repeat(MIB))]
        {
            let answer = refused(&served, format!("{POST}transfer-encoding: chunked\r\n\r\n{chunk}").as_bytes());
            check_problem(&answer, "400", "SRV0005");
        }
    });
}

#[test]
fn requests_with_another_one_inside() {
    const INSIDE: &str = "GET /api/v1/runs HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let place = Place::new();
    let served = Served::start(&place);
    let n_bytes = INSIDE.len();
    attack(&served, 64, || {
        let shapes = [
            ("content-length: 1\r\ncontent-length: 2".to_owned(), "{}"),
            ("content-length: 1, 2".to_owned(), "{}"),
            ("content-length: 0\r\ntransfer-encoding: chunked".to_owned(), "0\r\n\r\n"),
            ("transfer-encoding: chunked\r\ncontent-length: 0".to_owned(), "0\r\n\r\n"),
            (format!("transfer-encoding: chunked\r\ncontent-length: {}", n_bytes + 5), "0\r\n\r\n"),
            ("transfer-encoding: chunked\r\ntransfer-encoding: identity".to_owned(), "0\r\n\r\n"),
            ("transfer-encoding: identity, chunked".to_owned(), "0\r\n\r\n"),
            ("transfer-encoding: xchunked".to_owned(), "0\r\n\r\n"),
            ("transfer-encoding: chunked, identity".to_owned(), "0\r\n\r\n"),
            ("transfer-encoding : chunked".to_owned(), "0\r\n\r\n"),
            ("transfer-encoding:\u{b}chunked".to_owned(), "0\r\n\r\n"),
            (" transfer-encoding: chunked".to_owned(), "0\r\n\r\n"),
        ];
        thread::scope(|scope| {
            for (headers, body) in &shapes {
                let request = format!("{POST}{headers}\r\n\r\n{body}{INSIDE}");
                let served = &served;
                scope.spawn(move || refused(served, request.as_bytes()));
            }
        });
        let old =
            format!("{}transfer-encoding: chunked\r\n\r\n0\r\n\r\n{INSIDE}", POST.replace("HTTP/1.1", "HTTP/1.0"));
        assert!(!Raw::exchange(&served, old.as_bytes()).contains(" 200 "));
    });
}
