//! Keeps the accounts of what processes of packages use up: in the database, a while after something has changed, and for
//! the last time when the engine ends.
//!
//! An engine that is killed loses what its living processes used up since then, and nothing else. Without processes, or
//! while none of them works, nothing is done.

use std::{sync::Arc, time::Duration};

use crate::{
    isolation::{End, Reading, Tally},
    store::{self, Connection, Error as StoreError, HostEnd, HostRow, Store},
};

/// Between two writes at least, while processes work.
const EVERY: Duration = Duration::from_secs(10);

/// Writes what has changed, again and again. Ends with the engine.
pub(super) async fn keep(tally: Arc<Tally>, store: Store) {
    let mut pace = tokio::time::interval(EVERY);
    loop {
        tally.changed().await;
        pace.reset();
        pace.tick().await;
        match write(&tally, &store).await {
            Ok(()) => {}
            Err(StoreError::Closed) => return,
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "the usage of package processes could not be stored");
            }
        }
    }
}

/// Writes what has changed.
pub(super) async fn write(tally: &Tally, store: &Store) -> Result<(), StoreError> {
    let readings = tally.readings();
    if readings.is_empty() {
        return Ok(());
    }
    store.write(DOING, put(&readings)).await?;
    tally.kept(&readings);
    Ok(())
}

/// Writes everything for the last time, as long as the store is open. What packages use up while they shut down is not
/// counted.
pub(super) fn write_last(tally: &Tally, store: &Store) {
    let readings = tally.last_readings();
    if readings.is_empty() {
        return;
    }
    if let Err(error) = store.write_blocking(DOING, put(&readings)) {
        let error = &error as &dyn std::error::Error;
        tracing::warn!(error, "the last usage of package processes could not be stored");
    }
}

const DOING: &str = "writing the usage of package processes";

fn put(readings: &[Reading]) -> impl FnMut(&mut Connection) -> diesel::QueryResult<()> + Send + use<> {
    let rows: Vec<HostRow> = readings.iter().map(row).collect();
    move |connection| store::host_put_in_txn(connection, &rows)
}

fn row(reading: &Reading) -> HostRow {
    let Reading { id, owner, began_at, read_at, end, used } = reading;
    let whole = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let cpu_us = used.cpu.map(|cpu| i64::try_from(cpu.as_micros()).unwrap_or(i64::MAX));
    HostRow {
        id: *id,
        tenant: owner.tenant.clone(),
        digest: owner.digest,
        began_at: *began_at,
        read_at: *read_at,
        end: end.map(|end| match end {
            End::Released => HostEnd::Released,
            End::Crashed => HostEnd::Crashed,
        }),
        n_calls: whole(used.n_calls),
        cpu_us,
        peak_bytes: used.peak_bytes.map(whole),
    }
}
