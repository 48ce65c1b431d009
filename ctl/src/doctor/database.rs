//! The database: whether it can be reached and written, whether its schema fits, how long a durable commit takes, and
//! whether its server's clock agrees with this machine's.

use std::time::Duration;

use cloacina::{Clock, DatabaseTrial, StoreError, SystemClock};

use super::check::Check;
use crate::database::Database;
use crate::error::Error;

/// How many commits are timed. The middle one counts.
const COMMITS: usize = 11;

/// A commit that takes longer makes every run feel slow.
const SLOW_COMMIT: Duration = Duration::from_millis(20);

/// Clocks that differ by more make the times of a history hard to read.
const CLOCK_DIFFERENCE_MAX: Duration = Duration::from_secs(1);

pub(super) fn checks(database: &Database) -> Vec<Check> {
    let mut trial = match DatabaseTrial::open(&database.url).map_err(|error| Error::from(cloacina::Error::from(error)))
    {
        Ok(trial) => trial,
        Err(error) => return vec![Check::of_error("database", &error)],
    };
    let looks: [(&'static str, Look); 4] =
        [("database", product), ("schema", schema), ("commit", commit), ("clock", clock)];
    looks.map(|(name, look)| look(&mut trial, database).unwrap_or_else(|error| Check::of_error(name, &error))).into()
}

type Look = fn(&mut DatabaseTrial, &Database) -> Result<Check, Error>;

fn product(trial: &mut DatabaseTrial, database: &Database) -> Result<Check, Error> {
    let product = trial.product().map_err(cloacina::Error::from)?;
    Ok(Check::ok("database", format!("{product}, {}", database.shown())))
}

fn schema(_: &mut DatabaseTrial, database: &Database) -> Result<Check, Error> {
    match database.records_if_any() {
        Ok(Some(_)) => Ok(Check::ok("schema", "fits this program")),
        Ok(None) => Ok(Check::ok("schema", "nothing is there yet; the first engine makes it")),
        Err(error @ Error::Engine(cloacina::Error::Store(StoreError::Migrate { .. }))) => Ok(Check::warn(
            "schema",
            error.to_string(),
            "the next engine brings it up to date; copy the database before",
        )),
        Err(error) => Err(error),
    }
}

fn commit(trial: &mut DatabaseTrial, _: &Database) -> Result<Check, Error> {
    let mut times = Vec::with_capacity(COMMITS);
    for _ in 0..COMMITS {
        let began = SystemClock.now();
        trial.commit().map_err(cloacina::Error::from)?;
        times.push(since(began.unix_micros()));
    }
    times.sort();
    let median = times[COMMITS / 2];
    let found = format!("{:.2} ms until a commit is on the disk", median.as_secs_f64() * 1e3);
    if median <= SLOW_COMMIT {
        return Ok(Check::ok("commit", found));
    }
    let remedy =
        "each step of a run waits for such a commit; put the database on a faster disk, or nearer to this machine";
    Ok(Check::warn("commit", found, remedy))
}

fn clock(trial: &mut DatabaseTrial, _: &Database) -> Result<Check, Error> {
    let began = SystemClock.now().unix_micros();
    let Some(server) = trial.server_time().map_err(cloacina::Error::from)? else {
        return Ok(Check::ok("clock", format!("{} by this machine", SystemClock.now())));
    };
    let middle = began + u64::try_from((since(began) / 2).as_micros()).unwrap_or_default();
    let difference = Duration::from_micros(server.unix_micros().abs_diff(middle));
    let direction = if server.unix_micros() > middle { "ahead of" } else { "behind" };
    let found = format!("the server's is {:.0} ms {direction} this machine's", difference.as_secs_f64() * 1e3);
    if difference <= CLOCK_DIFFERENCE_MAX {
        return Ok(Check::ok("clock", found));
    }
    Ok(Check::warn("clock", found, "synchronize both clocks, with `chrony` or `systemd-timesyncd`"))
}

fn since(began: u64) -> Duration {
    Duration::from_micros(SystemClock.now().unix_micros().saturating_sub(began))
}
