//! What one call costs more in a process of its own than inline, beside the bare round trip of a pair of sockets.
//!
//! ```text
//! limit:    1 KiB through a pair of sockets to another thread, and a few bytes back
//! inline:   a call of a task that does nothing, with a context of 1 KiB, and its end
//! process:  the same call, of the same library in a package host
//! ```
//! One after the other in the same round, each many times, one call at a time; medians over the calls. The socket's other
//! end is a thread, which is no further away than a process.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use cloacina::HostProgram;
use cloacina::testing::Probe;
use serde::Serialize;
use utoipa::ToSchema;

use super::clock::Stopwatch;
use super::measure::{Bench, of};
use super::plan::{KIB, Plan, SINGLE};
use super::ratio::median;
use super::report::tenths;
use crate::error::Error;
use crate::isolation::PACKAGE_HOST;
use crate::output::{Output, Paint};

/// What it is called where only a part of everything is measured.
pub(super) const WHAT: &str = "a call in a process of its own";
/// Calls of each kind in one round.
const CALLS: usize = 2_000;
/// What comes back: the frame of a completion without an output.
const ANSWER_BYTES: usize = 64;

/// What a call costs; medians.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Calls {
    /// The round trip of a bare pair of sockets, in microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    socket_us: Option<f64>,
    /// A call in the process of the engine, in microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    inline_us: Option<f64>,
    /// A call in a separate process, in microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    process_us: Option<f64>,
    /// What a separate process adds to the time of a call, in microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    added_us: Option<f64>,
    #[serde(skip)]
    pub(super) ratio: Option<f64>,
}

impl Calls {
    /// The table for people.
    pub(super) fn text(&self, paint: Paint) -> String {
        let number = |number: Option<f64>| number.map_or_else(|| "-".to_owned(), |number| format!("{number:.1} µs"));
        let rows = [
            vec![paint.bold(WHAT), paint.bold("median")],
            vec!["round trip of a socket".to_owned(), number(self.socket_us)],
            vec!["inline".to_owned(), number(self.inline_us)],
            vec!["process".to_owned(), number(self.process_us)],
            vec!["added".to_owned(), number(self.added_us)],
        ];
        paint.columns(rows, "")
    }
}

/// Measures it; absent if there is no package.
pub(super) fn measure(bench: &Bench<'_>, plan: &Plan<'_>, output: &Output) -> Result<Option<Calls>, Error> {
    let Some(packaged) = bench.packaged else { return Ok(None) };
    let other = |error: cloacina::testing::ProbeError| failed(std::io::Error::other(error));
    let n_calls = if plan.tiny { 20 } else { CALLS };
    let package = Probe::read(&packaged.archive).map_err(other)?;
    let library = Probe::unpack(&package, bench.folder).map_err(other)?;
    let inline = Probe::open(&package, &library, 1).map_err(other)?;
    let process = Probe::open_process(&package, &library, HostProgram::this(PACKAGE_HOST)).map_err(other)?;
    let workflow = packaged.workflow(SINGLE);
    let workflow = workflow.as_deref().and_then(|name| name.rsplit("::").next()).unwrap_or_default();
    let mut rounds = Vec::with_capacity(plan.rounds);
    for round in 0..plan.rounds {
        bench.stop_if_interrupted()?;
        output.note(&format!("round {} of {}: {WHAT}", round + 1, plan.rounds));
        let socket = socket(n_calls).map_err(failed)?;
        let inline = calls(&inline, workflow, n_calls).map_err(other)?;
        let process = calls(&process, workflow, n_calls).map_err(other)?;
        rounds.push((socket, inline, process));
    }
    inline.close();
    process.close();
    let added = |(_, inline, process): &(f64, f64, f64)| process - inline;
    Ok(Some(Calls {
        socket_us: median(rounds.iter().map(|round| tenths(round.0))),
        inline_us: median(rounds.iter().map(|round| tenths(round.1))),
        process_us: median(rounds.iter().map(|round| tenths(round.2))),
        added_us: median(rounds.iter().map(|round| tenths(added(round)))),
        ratio: median(rounds.iter().map(|round| added(round) / round.0)),
    }))
}

/// The round trip of a pair of sockets.
fn socket(n_calls: usize) -> std::io::Result<f64> {
    let (mut ours, mut theirs) = UnixStream::pair()?;
    let echo = thread::Builder::new().name("cloacina-echo".to_owned()).spawn(move || {
        let (mut call, answer) = ([0; KIB], [0; ANSWER_BYTES]);
        while theirs.read_exact(&mut call).and_then(|()| theirs.write_all(&answer)).is_ok() {}
    })?;
    let (call, mut answer) = ([0; KIB], [0; ANSWER_BYTES]);
    let mut times = Vec::with_capacity(n_calls);
    for _ in 0..n_calls {
        let clock = Stopwatch::start();
        ours.write_all(&call)?;
        ours.read_exact(&mut answer)?;
        times.push(us(clock.elapsed()));
    }
    drop(ours);
    echo.join().map_err(|_| std::io::Error::other("the echo panicked"))?;
    Ok(median(times).unwrap_or_default())
}

/// Calls of the only task of that workflow.
fn calls(probe: &Probe, workflow: &str, n_calls: usize) -> Result<f64, cloacina::testing::ProbeError> {
    let task = probe.first_task(workflow).ok_or("the package has no such workflow")?;
    let payload = format!("{{\"values\":{{\"filling\":\"{}\"}}}}", "x".repeat(KIB - 40));
    let (sender, ended) = mpsc::channel();
    let mut times = Vec::with_capacity(n_calls);
    for _ in 0..n_calls {
        let clock = Stopwatch::start();
        probe.start(task, payload.as_bytes(), &sender)?;
        if !ended.recv()? {
            return Err("the task failed".into());
        }
        times.push(us(clock.elapsed()));
    }
    Ok(median(times).unwrap_or_default())
}

fn us(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

fn failed(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    of(WHAT)(std::io::Error::other(error).into())
}
