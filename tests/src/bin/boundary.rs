//! What the C ABI and loading cost: `cargo run --release -p cloacina-tests --bin boundary [-- --output json]`.
//!
//! Every figure stands beside a limit that is taken in the same round by the same number of threads, and is given as a
//! ratio to it; the rounds interleave, and medians are shown. A benchmark, not a test: nothing here fails for being slow.
//!
//! A call is: copy the context, hand it to the package, decode what the task reads, run it, write its delta, bring it
//! back and check it. Its limit is the same bytes through two channels and another thread: one hand-over each way, with
//! nothing done in between. Loading is: check the archive, write the library durably, open it. Its limit is what no loader
//! can leave out: hash and inflate the archive, write and sync the library, dlopen a copy of it.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a benchmark is a program that prints")]
#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

use std::{
    error::Error,
    fs::{self, File},
    io::{Read, Write},
    path::Path,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use cloacina::testing::Probe;
use cloacina_packager::Digest;
use cloacina_tests::archive;
use flate2::read::GzDecoder;
use serde_json::{Value, json};

const ROUNDS: usize = 7;
/// Calls in a row in one round.
const CALLS: usize = 2_000;
/// Calls at once where throughput is measured.
const CONCURRENCY: usize = 64;
const SIZES: [(&str, usize); 2] = [("1 KiB", 1 << 10), ("100 KiB", 100 << 10)];

fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let as_json = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => false,
        ["--output", "json"] => true,
        ["--output", "human"] => false,
        _ => return Err("usage: boundary [--output human|json]".into()),
    };
    eprintln!("building the package that does nothing ...");
    let archive = archive::fixture("noop");
    let folder = tempfile::tempdir()?;
    let mut rows = Vec::new();
    let package = Probe::read(&archive)?;
    let library = Probe::unpack(&package, folder.path())?;
    let probe = Probe::open(&package, &library, 0)?;
    for (size, bytes) in SIZES {
        eprintln!("calls with a context of {size} ...");
        for (kind, workflow) in [("async fn", "single"), ("fn", "single_blocking")] {
            let task = probe.task(workflow, "touch").ok_or("the package has no such task")?;
            rows.push(call_row(&probe, kind, task, size, &payload(bytes))?);
        }
    }
    probe.close();
    eprintln!("loading ...");
    rows.push(load_row(&archive)?);
    if as_json {
        println!("{}", json!({ "rows": rows }));
    } else {
        print_table(&rows);
    }
    Ok(())
}

/// A context of about that many bytes: one large value that the task does not read, and a few small ones.
fn payload(bytes: usize) -> Vec<u8> {
    let filling = "x".repeat(bytes.saturating_sub(120));
    json!({ "values": { "filling": filling, "a": 1, "b": [1, 2, 3], "c": { "d": true } }, "producer": { "a": "before" } })
        .to_string()
        .into_bytes()
}

fn call_row(
    probe: &Probe,
    kind: &str,
    task: u32,
    size: &str,
    payload: &[u8],
) -> Result<Value, Box<dyn Error + Send + Sync>> {
    let (mut limits, mut latencies, mut throughputs) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        limits.push(echo(payload)?);
        latencies.push(one_by_one(probe, task, payload)?);
        throughputs.push(many_at_once(probe, task, payload)?);
    }
    let (limit, latency, throughput) = (median(limits), median(latencies), median(throughputs));
    Ok(json!({
        "what": format!("call of {kind} at {size}"),
        "limit_us": micros(limit),
        "one_by_one_us": micros(latency),
        "ratio": latency.as_secs_f64() / limit.as_secs_f64(),
        "per_call_at_64_us": micros(throughput),
    }))
}

/// The mean time of one call, each after the one before.
fn one_by_one(probe: &Probe, task: u32, payload: &[u8]) -> Result<Duration, Box<dyn Error + Send + Sync>> {
    let (sender, ended) = mpsc::channel();
    let begin = Instant::now();
    for _ in 0..CALLS {
        probe.start(task, payload, &sender)?;
        if !ended.recv()? {
            return Err("the task failed".into());
        }
    }
    Ok(begin.elapsed() / CALLS as u32)
}

/// The mean time per call with 64 of them under way.
fn many_at_once(probe: &Probe, task: u32, payload: &[u8]) -> Result<Duration, Box<dyn Error + Send + Sync>> {
    let (sender, ended) = mpsc::channel();
    let begin = Instant::now();
    for _ in 0..CONCURRENCY {
        probe.start(task, payload, &sender)?;
    }
    for number in 0..CALLS {
        if !ended.recv()? {
            return Err("the task failed".into());
        }
        if number + CONCURRENCY < CALLS {
            probe.start(task, payload, &sender)?;
        }
    }
    Ok(begin.elapsed() / CALLS as u32)
}

/// The mean time of the same bytes to another thread and back.
fn echo(payload: &[u8]) -> Result<Duration, Box<dyn Error + Send + Sync>> {
    let (to_thread, from_main) = mpsc::channel::<Vec<u8>>();
    let (to_main, from_thread) = mpsc::channel();
    let echo = thread::spawn(move || {
        for bytes in from_main {
            if to_main.send(bytes.len()).is_err() {
                return;
            }
        }
    });
    let begin = Instant::now();
    for _ in 0..CALLS {
        to_thread.send(payload.to_vec())?;
        from_thread.recv()?;
    }
    let elapsed = begin.elapsed() / CALLS as u32;
    drop(to_thread);
    echo.join().map_err(|_| "the echo panicked")?;
    Ok(elapsed)
}

fn load_row(archive: &[u8]) -> Result<Value, Box<dyn Error + Send + Sync>> {
    let names = ["check", "unpack", "open"];
    let (mut limits, mut totals) = (Vec::new(), Vec::new());
    let mut steps: [Vec<Duration>; 3] = Default::default();
    for round in 0..ROUNDS {
        // Another file each time: a library is mapped once per process, so the same bytes would be found loaded.
        let archive = renamed(archive, round)?;
        let folder = tempfile::tempdir()?;
        limits.push(load_limit(&archive, folder.path())?);
        let begin = Instant::now();
        let package = Probe::read(&archive)?;
        let checked = begin.elapsed();
        let library = Probe::unpack(&package, folder.path())?;
        let unpacked = begin.elapsed();
        let probe = Probe::open(&package, &library, 1)?;
        let opened = begin.elapsed();
        probe.close();
        totals.push(opened);
        for (step, took) in steps.iter_mut().zip([checked, unpacked - checked, opened - unpacked]) {
            step.push(took);
        }
    }
    let (limit, total) = (median(limits), median(totals));
    let parts: serde_json::Map<_, _> =
        names.into_iter().zip(steps).map(|(name, step)| (format!("{name}_us"), json!(micros(median(step))))).collect();
    Ok(json!({
        "what": "load a package",
        "limit_us": micros(limit),
        "one_by_one_us": micros(total),
        "ratio": total.as_secs_f64() / limit.as_secs_f64(),
        "parts": parts,
    }))
}

/// The same package with another content digest: a byte behind the end of the library changes nothing for the linker.
fn renamed(archive: &[u8], round: usize) -> Result<Vec<u8>, Box<dyn Error + Send + Sync>> {
    let package = Probe::read(archive)?;
    let mut bytes = package.get().library().to_vec();
    bytes.extend(std::iter::repeat_n(0, round + 1));
    let name = package.get().library_name().to_owned();
    let libraries = vec![cloacina_packager::InputLibrary { name, bytes }];
    Ok(cloacina_packager::write(&cloacina_packager::Input { libraries, ..Default::default() })?)
}

/// What no loader can leave out.
fn load_limit(archive: &[u8], folder: &Path) -> Result<Duration, Box<dyn Error + Send + Sync>> {
    let package = Probe::read(archive)?;
    let expected = package.get().library().to_vec();
    let begin = Instant::now();
    let digest = Digest::of(archive);
    let mut inflated = Vec::new();
    GzDecoder::new(archive).read_to_end(&mut inflated)?;
    let path = folder.join(format!("{}.so", digest.short()));
    let mut file = File::create(&path)?;
    file.write_all(&expected)?;
    file.sync_all()?;
    drop(file);
    Probe::map(&path)?;
    let elapsed = begin.elapsed();
    fs::remove_file(path)?;
    Ok(elapsed)
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn micros(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e7).round() / 10.0
}

fn print_table(rows: &[Value]) {
    println!("{:<28} {:>10} {:>12} {:>7} {:>14}", "", "limit µs", "measured µs", "ratio", "64 at once µs");
    for row in rows {
        let number = |name: &str| row[name].as_f64().map_or_else(String::new, |number| format!("{number:.1}"));
        println!(
            "{:<28} {:>10} {:>12} {:>7} {:>14}",
            row["what"].as_str().unwrap_or_default(),
            number("limit_us"),
            number("one_by_one_us"),
            number("ratio"),
            number("per_call_at_64_us"),
        );
        if let Some(parts) = row["parts"].as_object() {
            for (name, time) in parts {
                println!("  {:<26} {:>10} {:>12}", name.trim_end_matches("_us"), "", time);
            }
        }
    }
}
