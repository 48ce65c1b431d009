//! What the HTTP interface costs beside the library: the same engine, asked both ways.
//!
//! ```text
//! library ──────────────────────────────────────────────────────────┐
//! 64 clients ── connections on loopback ── server of this process ──┴──> engine ── database
//! ```
//! Each round has a new database, an engine and a server. Ways take turns within a round, and a ratio is one of a round. The
//! clients, the server and the engine share the cores of the machine, as they would on a small one. A submission counts when it
//! is acknowledged; the runs go on meanwhile, and have ended before the next way begins.

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cloacina::{Engine, RunId, RunState};
use cloacina_client::{Client, Item, NewRun, Outcome};
use cloacina_server::{Access, Listener, Options, RequestRates, Server};
use cloacina_workflow::__private::v1::Workflow;
use serde::Serialize;
use tokio::runtime::Builder;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use utoipa::ToSchema;

use super::cell::Backend;
use super::clock::Stopwatch;
use super::measure::{Bench, GRACE, embedded_name, of};
use super::plan::{Plan, SINGLE};
use super::ratio::{Goal, median};
use super::report::tenths;
use super::workload;
use crate::error::Error;
use crate::output::{Output, Paint};

/// What it is called where only a part of everything is measured.
pub(super) const WHAT: &str = "the HTTP interface";

/// Its ratios, behind the name of the database.
pub(super) const RATIOS: [(&str, Goal); 4] = [
    ("http_submit_to_library", Goal::AtLeast(0.5)),
    ("http_list_to_library", Goal::AtLeast(0.8)),
    ("http_get_to_empty", Goal::AtLeast(0.5)),
    ("http_run1_p50_to_library", Goal::AtMost(1.0)),
];

/// Clients that submit at once.
const CLIENTS: usize = 64;
/// Runs in a list that is submitted.
const LIST: usize = 100;
/// What a run may take longer over HTTP, beside twice the time that it takes with the library.
const RUN_EXTRA: Duration = Duration::from_millis(1);

/// How much is asked in one round.
#[derive(Clone, Copy)]
struct Amount {
    submitted: usize,
    asked: usize,
    alone: usize,
}

const AMOUNT: Amount = Amount { submitted: 12_800, asked: 1_000, alone: 200 };
const AMOUNT_TINY: Amount = Amount { submitted: 200, asked: 5, alone: 3 };

/// What the HTTP interface costs; medians of the rounds.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Http {
    /// Runs of one task that the library acknowledged in a second, of 64 callers.
    library_submissions_per_second: f64,
    /// The same of requests over 64 connections, each with one run.
    http_submissions_per_second: f64,
    /// The same of requests with 100 runs each.
    http_list_submissions_per_second: f64,
    /// A request for a run, in microseconds.
    get_us: f64,
    /// A request that reads nothing of the database, in microseconds.
    empty_us: f64,
    /// A run of one task with the library, from before its submission to when its end is known, in microseconds.
    library_run_us: f64,
    /// The same over HTTP, with its events as a stream, in microseconds.
    http_run_us: f64,
    #[serde(skip)]
    pub(super) ratios: [Option<f64>; 4],
}

/// What one round took.
#[derive(Debug, Clone, Copy)]
struct Round {
    library: f64,
    single: f64,
    list: f64,
    get: f64,
    empty: f64,
    library_run: f64,
    http_run: f64,
}

/// By which way runs are submitted.
#[derive(Clone)]
enum Way {
    Library(Engine),
    Single(Client),
    List(Client),
}

impl Http {
    fn new(rounds: &[Round]) -> Self {
        let of = |figure: fn(&Round) -> f64| median(rounds.iter().map(figure));
        let shown = |figure| tenths(of(figure).unwrap_or_default());
        let limit = |round: &Round| 2.0 * round.library_run + RUN_EXTRA.as_secs_f64() * 1e6;
        Self {
            library_submissions_per_second: shown(|round| round.library),
            http_submissions_per_second: shown(|round| round.single),
            http_list_submissions_per_second: shown(|round| round.list),
            get_us: shown(|round| round.get),
            empty_us: shown(|round| round.empty),
            library_run_us: shown(|round| round.library_run),
            http_run_us: shown(|round| round.http_run),
            ratios: [
                of(|round| round.single / round.library),
                of(|round| round.list / round.library),
                of(|round| round.empty / round.get),
                median(rounds.iter().map(|round| round.http_run / limit(round))),
            ],
        }
    }

    /// The table for people.
    pub(super) fn text(&self, database: &str, paint: Paint) -> String {
        let rate = |per_second: f64| format!("{per_second:.0} runs/s");
        let time = |us: f64| format!("{us:.0} µs");
        let row = |what: &str, library: String, http: String| vec![what.to_owned(), library, http];
        let header = [&*format!("{WHAT} on {database}"), "library", "http"].map(|title| paint.bold(title)).to_vec();
        let library = rate(self.library_submissions_per_second);
        let rows = [
            header,
            row("submissions at 64 at once", library.clone(), rate(self.http_submissions_per_second)),
            row("submissions in lists of 100", library, rate(self.http_list_submissions_per_second)),
            row("a run of one task", time(self.library_run_us), time(self.http_run_us)),
            row("reading a run", "-".to_owned(), time(self.get_us)),
            row("a request that reads nothing", "-".to_owned(), time(self.empty_us)),
        ];
        paint.columns(rows, "")
    }
}

/// Measures it on that database.
pub(super) fn measure(
    bench: &mut Bench<'_>,
    backend: Backend,
    plan: &Plan<'_>,
    output: &Output,
) -> Result<Http, Error> {
    let amount = if plan.tiny { AMOUNT_TINY } else { AMOUNT };
    let threads = |source| Error::Io { action: "start threads for", path: "the benchmark".into(), source };
    let workflow = *bench.workflows.entry(SINGLE.to_string()).or_insert_with(|| workload::workflow(SINGLE));
    let mut rounds = Vec::new();
    for round in 0..plan.long_rounds() {
        bench.stop_if_interrupted()?;
        output.note(&format!("{WHAT} on {}: round {}", backend.as_str(), round + 1));
        let scratch = bench.scratch(backend).map_err(of(backend.as_str()))?;
        let runtime = Builder::new_multi_thread().enable_all().build().map_err(threads)?;
        rounds.push(runtime.block_on(one_round(scratch.address(), bench.folder, workflow, amount))?);
    }
    Ok(Http::new(&rounds))
}

/// A round, with an engine and a server of its own.
async fn one_round(database: &str, folder: &Path, workflow: Workflow, amount: Amount) -> Result<Round, Error> {
    let engine = Engine::builder().database(database).data_dir(folder).workflow(workflow).start().await?;
    let measured = served(&engine, amount).await;
    let grace = if measured.is_ok() { GRACE } else { Duration::ZERO };
    let stopped = engine.shutdown_within(grace).await;
    let measured = measured?;
    stopped?;
    Ok(measured)
}

async fn served(engine: &Engine, amount: Amount) -> Result<Round, Error> {
    let server = server(engine)?;
    let client = Client::new(&server.url(), cloacina_client::Options::default())?;
    let (end, ended) = oneshot::channel::<()>();
    let serving = server.run(async {
        // The sender is dropped when everything is measured.
        ended.await.ok();
    });
    let measuring = async {
        let round = round(engine, &client, amount).await;
        drop((client, end));
        round
    };
    let (served, round) = tokio::join!(serving, measuring);
    let round = round?;
    served?;
    Ok(round)
}

fn server(engine: &Engine) -> Result<Server, Error> {
    let listener = Listener::bind(Options {
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        access: Access::Loopback { actor: "bench".to_owned() },
        tls: None,
        cors_origins: Vec::new(),
        rates: RequestRates::UNLIMITED,
        connections_max: 2 * CLIENTS,
        drain: GRACE,
        pages: &[],
    })?;
    Ok(listener.serve(engine.clone())?)
}

async fn round(engine: &Engine, client: &Client, amount: Amount) -> Result<Round, Error> {
    let ways = [Way::Library(engine.clone()), Way::Single(client.clone()), Way::List(client.clone())];
    let mut rates = [0.0; 3];
    for (way, rate) in ways.iter().zip(&mut rates) {
        submitted(engine, way, amount.submitted / 8).await?;
        *rate = submitted(engine, way, amount.submitted).await?;
    }
    let mut run = None;
    let (mut library_runs, mut http_runs) = (Vec::new(), Vec::new());
    for _time in 0..amount.alone {
        library_runs.push(timed(alone(engine)).await?.0);
        let (taken, ended) = timed(followed(client)).await?;
        http_runs.push(taken);
        run = Some(ended);
    }
    let (mut gets, mut empties) = (Vec::new(), Vec::new());
    if let Some(run) = run {
        for _time in 0..amount.asked {
            gets.push(timed(async { Ok(client.run(run).await?) }).await?.0);
            empties.push(timed(async { Ok(client.whoami().await?) }).await?.0);
        }
    }
    let middle = |times: Vec<f64>| median(times).unwrap_or_default();
    Ok(Round {
        library: rates[0],
        single: rates[1],
        list: rates[2],
        get: middle(gets),
        empty: middle(empties),
        library_run: middle(library_runs),
        http_run: middle(http_runs),
    })
}

/// How long it took, in microseconds, and what came of it.
async fn timed<T>(asked: impl Future<Output = Result<T, Error>>) -> Result<(f64, T), Error> {
    let stopwatch = Stopwatch::start();
    let answer = asked.await?;
    Ok((stopwatch.elapsed().as_secs_f64() * 1e6, answer))
}

/// Submits so many runs, and waits for their ends; how many were acknowledged in a second.
async fn submitted(engine: &Engine, way: &Way, n_runs: usize) -> Result<f64, Error> {
    let left = Arc::new(AtomicUsize::new(n_runs.div_ceil(way.n_at_once())));
    let mut clients = JoinSet::new();
    let stopwatch = Stopwatch::start();
    for _ in 0..CLIENTS {
        clients.spawn(submit_all(way.clone(), Arc::clone(&left)));
    }
    let mut runs = Vec::with_capacity(n_runs);
    while let Some(ended) = clients.join_next().await {
        runs.extend(ended.map_err(|_| not_completed("panicked"))??);
    }
    let elapsed = stopwatch.elapsed();
    for run in &runs {
        let report = engine.run(*run).await?.wait().await?;
        if report.state != RunState::Completed {
            return Err(not_completed(report.state.as_str()));
        }
    }
    Ok(runs.len() as f64 / elapsed.as_secs_f64())
}

/// One request after the other, until none is left.
async fn submit_all(way: Way, left: Arc<AtomicUsize>) -> Result<Vec<RunId>, Error> {
    let mut runs = Vec::new();
    while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
        way.submit(&mut runs).await?;
    }
    Ok(runs)
}

impl Way {
    fn n_at_once(&self) -> usize {
        match self {
            Self::Library(_) | Self::Single(_) => 1,
            Self::List(_) => LIST,
        }
    }

    async fn submit(&self, runs: &mut Vec<RunId>) -> Result<(), Error> {
        let workflow = embedded_name(SINGLE);
        match self {
            Self::Library(engine) => {
                runs.push(engine.scheduler().schedule_workflow(&workflow, workload::context(0)).await?.id());
            }
            Self::Single(client) => runs.push(client.submit(&NewRun::new(&workflow)).await?),
            Self::List(client) => {
                for outcome in client.submit_all(&vec![NewRun::new(&workflow); LIST]).await? {
                    match outcome {
                        Outcome::Submitted { run } => runs.push(run),
                        _ => return Err(not_completed("refused")),
                    }
                }
            }
        }
        Ok(())
    }
}

/// A run with nothing else under way, with the library.
async fn alone(engine: &Engine) -> Result<RunId, Error> {
    let run = engine.scheduler().schedule_workflow(&embedded_name(SINGLE), workload::context(0)).await?;
    run.wait().await?;
    Ok(run.id())
}

/// The same over HTTP: submitted by one request, and followed by another until its end is told.
async fn followed(client: &Client) -> Result<RunId, Error> {
    let run = client.submit(&NewRun::new(&embedded_name(SINGLE))).await?;
    let mut items = client.follow(run);
    while let Some(item) = items.next().await? {
        if let Item::Ended(_) = item {
            break;
        }
    }
    Ok(run)
}

fn not_completed(state: &'static str) -> Error {
    Error::MeasuredRun { what: embedded_name(SINGLE), state }
}
