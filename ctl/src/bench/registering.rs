//! The cost of registering a package, from its bytes to a workflow that can run, compared with the unavoidable work.
//!
//! ```text
//! limit:     hash ── gunzip ── write and sync the library ── dlopen
//! measured:  Registry::register_workflow, on a running engine
//! parts:     check ── unpack ── open, each by itself; the rest of the whole is the commit and the bookkeeping
//! ```
//! Each round has content of its own: a library is mapped once per process, so the same would be found loaded. A byte
//! more behind the end of the library makes other content and changes nothing for the linker.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::Path;
use std::time::Duration;

use cloacina::Engine;
use cloacina::testing::Probe;
use cloacina_packager::{Digest, Input, InputLibrary, Limits, read, write};
use flate2::read::GzDecoder;
use serde::Serialize;
use utoipa::ToSchema;

use super::cell::Backend;
use super::clock::Stopwatch;
use super::measure::{Bench, GRACE, of};
use super::ratio::{known, median};
use super::report::tenths;
use crate::error::Error;
use crate::output::{Output, Paint, size};

/// What it is called where only a part of everything is measured.
pub(super) const WHAT: &str = "registering a package";

/// What it costs to register a package; medians of the rounds.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Registering {
    /// The size of the archive, in bytes.
    archive_bytes: usize,
    /// The size of its library, in bytes.
    library_bytes: usize,
    /// The limit that the machine sets: inflating, writing and syncing the same bytes, in microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    limit_us: Option<f64>,
    /// The whole of registering, in microseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    registered_us: Option<f64>,
    /// The parts of the limit, in microseconds.
    #[schema(value_type = BTreeMap<String, f64>)]
    #[serde(serialize_with = "known")]
    limit_parts: Parts,
    /// The parts of registering, in microseconds; `commit_and_rest_us` is what the others leave of the whole.
    #[schema(value_type = BTreeMap<String, f64>)]
    #[serde(serialize_with = "known")]
    parts: Parts,
    #[serde(skip)]
    pub(super) ratio: Option<f64>,
}

/// Names with medians.
type Parts = BTreeMap<&'static str, Option<f64>>;

/// One round.
struct Round {
    limit: [(&'static str, Duration); 4],
    parts: [(&'static str, Duration); 3],
    registered: Duration,
}

impl Registering {
    /// The table for people.
    pub(super) fn text(&self, paint: Paint) -> String {
        let number = |number: Option<f64>| number.map_or_else(|| "-".to_owned(), |number| format!("{number:.0} µs"));
        let row = |name: &str, time: Option<f64>| vec![name.to_owned(), number(time)];
        let part = |(name, time): (&&str, &Option<f64>)| row(&format!("  {}", name.trim_end_matches("_us")), *time);
        let title = format!("{WHAT} of {}", size(self.archive_bytes as u64));
        let rows = [vec![paint.bold(&title), paint.bold("median")], row("limit", self.limit_us)].into_iter();
        let rows = rows.chain(self.limit_parts.iter().map(part)).chain([row("registered", self.registered_us)]);
        paint.columns(rows.chain(self.parts.iter().map(part)), "")
    }
}

/// Measures it; absent if there is no package.
pub(super) fn measure(bench: &Bench<'_>, n_rounds: usize, output: &Output) -> Result<Option<Registering>, Error> {
    let Some(packaged) = bench.packaged else { return Ok(None) };
    let mut rounds = Vec::with_capacity(n_rounds);
    let (mut archive_bytes, mut library_bytes) = (0, 0);
    for round in 0..n_rounds {
        bench.stop_if_interrupted()?;
        output.note(&format!("round {} of {n_rounds}: {WHAT}", round + 1));
        // Three of each, as what is measured and its parts must not find each other's libraries loaded.
        let archives = [0, 1, 2].map(|place| another(&packaged.archive, 3 * round + place));
        let [to_register, to_take_apart, to_limit] = archives;
        let (to_register, to_take_apart, to_limit) = (to_register?, to_take_apart?, to_limit?);
        library_bytes = read(&to_limit, &Limits::default()).map_err(failed)?.library().len();
        archive_bytes = to_limit.len();
        rounds.push(Round {
            limit: limit(&to_limit, bench.folder)?,
            registered: registered(bench, to_register)?,
            parts: parts(&to_take_apart, bench.folder)?,
        });
    }
    let us = |times: &mut dyn Iterator<Item = Duration>| median(times.map(|time| time.as_secs_f64() * 1e6).map(tenths));
    let sum = |round: &Round| round.limit.iter().map(|(_, time)| *time).sum::<Duration>();
    let part = |place: usize| us(&mut rounds.iter().map(|round| round.parts[place].1));
    let mut parts: Parts = (0..3).filter_map(|place| Some((rounds.first()?.parts[place].0, part(place)))).collect();
    let rest =
        |round: &Round| round.registered.saturating_sub(round.parts.iter().map(|(_, time)| *time).sum::<Duration>());
    parts.insert("commit_and_rest_us", us(&mut rounds.iter().map(rest)));
    let of_limit = |place: usize| us(&mut rounds.iter().map(|round| round.limit[place].1));
    let limit_parts = (0..4).filter_map(|place| Some((rounds.first()?.limit[place].0, of_limit(place))));
    let ratios = rounds.iter().map(|round| round.registered.as_secs_f64() / sum(round).as_secs_f64());
    Ok(Some(Registering {
        archive_bytes,
        library_bytes,
        limit_us: us(&mut rounds.iter().map(sum)),
        registered_us: us(&mut rounds.iter().map(|round| round.registered)),
        limit_parts: limit_parts.collect(),
        parts,
        ratio: median(ratios),
    }))
}

/// The same package with other content.
fn another(archive: &[u8], number: usize) -> Result<Vec<u8>, Error> {
    let package = read(archive, &Limits::default()).map_err(failed)?;
    let mut bytes = package.library().to_vec();
    bytes.extend(std::iter::repeat_n(0, number + 1));
    let libraries = vec![InputLibrary { name: package.library_name().to_owned(), bytes }];
    write(&Input { libraries, ..Input::default() }).map_err(failed)
}

/// The unavoidable work.
fn limit(archive: &[u8], folder: &Path) -> Result<[(&'static str, Duration); 4], Error> {
    let library = read(archive, &Limits::default()).map_err(failed)?.library().to_vec();
    let disk = |source: std::io::Error| failed(source);
    let clock = Stopwatch::start();
    let digest = Digest::of(archive);
    let hashed = clock.elapsed();
    let mut inflated = Vec::new();
    GzDecoder::new(archive).read_to_end(&mut inflated).map_err(disk)?;
    let gunzipped = clock.elapsed();
    let path = folder.join(format!("{}.so", digest.hex()));
    let mut file = File::create(&path).map_err(disk)?;
    file.write_all(&library).and_then(|()| file.sync_all()).map_err(disk)?;
    drop(file);
    let written = clock.elapsed();
    Probe::map(&path).map_err(|error| failed(std::io::Error::other(error)))?;
    let opened = clock.elapsed();
    fs::remove_file(path).map_err(disk)?;
    Ok([
        ("hash_us", hashed),
        ("gunzip_us", gunzipped - hashed),
        ("write_and_sync_us", written - gunzipped),
        ("dlopen_us", opened - written),
    ])
}

/// From the archive's bytes to the end of its registration.
fn registered(bench: &Bench<'_>, archive: Vec<u8>) -> Result<Duration, Error> {
    let scratch = bench.scratch(Backend::Sqlite).map_err(of(WHAT))?;
    bench.runtime.block_on(async {
        let engine = Engine::builder().database(scratch.address()).data_dir(bench.folder).start().await?;
        let clock = Stopwatch::start();
        let registered = engine.registry().register_workflow(archive).await;
        let elapsed = clock.elapsed();
        engine.shutdown_within(GRACE).await?;
        registered?;
        Ok(elapsed)
    })
}

/// The steps by themselves.
fn parts(archive: &[u8], folder: &Path) -> Result<[(&'static str, Duration); 3], Error> {
    let other = |error: cloacina::testing::ProbeError| failed(std::io::Error::other(error));
    let clock = Stopwatch::start();
    let package = Probe::read(archive).map_err(other)?;
    let checked = clock.elapsed();
    let library = Probe::unpack(&package, folder).map_err(other)?;
    let unpacked = clock.elapsed();
    let probe = Probe::open(&package, &library, 0).map_err(other)?;
    let opened = clock.elapsed();
    probe.close();
    Ok([("check_us", checked), ("unpack_us", unpacked - checked), ("open_us", opened - unpacked)])
}

fn failed(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    of(WHAT)(std::io::Error::other(error).into())
}
