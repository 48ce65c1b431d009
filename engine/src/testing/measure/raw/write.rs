//! The loop: transactions of so many changes, one after the other, each durable before the next begins.

use std::time::{Duration, Instant};

use super::{postgres::Postgres, sqlite::Sqlite};
use crate::{
    store::{Commit, Database},
    testing::measure::{Load, MeasureError, Measured, store},
};

/// Writes the load without the store.
///
/// # Errors
/// What the database says.
pub fn measure_raw(address: &str, load: &Load) -> Result<Measured, MeasureError> {
    let (store, workflow, epoch) = store::open(address, Box::new(|_| {}))?;
    store.close();
    let runs = load.commits(workflow, epoch);
    let transactions = transactions(&runs, load);
    match Database::parse(address)? {
        Database::Sqlite(path) => {
            let connection = Sqlite::open(&path)?;
            let mut statements = connection.prepare_all()?;
            timed(&transactions, |commits| statements.write(commits))
        }
        Database::Postgres(server) => {
            let mut connection = Postgres::open(&server)?;
            connection.prepare_all()?;
            timed(&transactions, |commits| connection.write(commits))
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a measurement reads the clock")]
fn timed(
    transactions: &[Vec<&Commit>],
    mut write: impl FnMut(&[&Commit]) -> Result<(), MeasureError>,
) -> Result<Measured, MeasureError> {
    let mut latencies = Vec::with_capacity(transactions.len());
    let begin = Instant::now();
    let mut before = Duration::ZERO;
    for commits in transactions {
        write(commits)?;
        let now = begin.elapsed();
        latencies.push(now - before);
        before = now;
    }
    Ok(Measured { elapsed: before, latencies, n_transactions: transactions.len() as u64 })
}

/// The commits in the order in which they come about, as transactions of at least so many changes.
fn transactions<'a>(runs: &'a [Vec<Commit>], load: &Load) -> Vec<Vec<&'a Commit>> {
    let mut transactions = Vec::new();
    let (mut commits, mut n_changes) = (Vec::new(), 0);
    for group in runs.chunks(load.at_once.max(1)) {
        let n_steps = group.iter().map(Vec::len).max().unwrap_or(0);
        for commit in (0..n_steps).flat_map(|step| group.iter().filter_map(move |run| run.get(step))) {
            n_changes += commit.n_rows();
            commits.push(commit);
            if n_changes >= load.changes_per_transaction {
                transactions.push(std::mem::take(&mut commits));
                n_changes = 0;
            }
        }
    }
    if !commits.is_empty() {
        transactions.push(commits);
    }
    transactions
}
