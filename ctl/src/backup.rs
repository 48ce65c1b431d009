//! `backup`: a copy of the database in one file.
//!
//! The database is only looked at, so that it does not matter whether an engine drives it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use cloacina::{Backup, BackupProgress, Records};
use serde::Serialize;
use utoipa::ToSchema;

use crate::cli::BackupArgs;
use crate::config::Config;
use crate::document::Document;
use crate::error::Error;
use crate::exit;
use crate::output::{Output, size};
use crate::place::Place;
use crate::run::{Interrupt, Interrupts};
use crate::runs::runtime;

const PROGRESS: &str = "  {spinner} {msg} {elapsed}";

/// A copy of a database.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Made {
    /// The database that was copied.
    database: String,
    /// The file of the copy.
    file: String,
    /// The size of the copy, in bytes.
    bytes: u64,
    /// How many runs the copy holds.
    runs: u64,
    /// Whether the copy was read again and is valid.
    verified: bool,
}

impl Document for Made {}

/// Copies the database.
pub(crate) fn backup(arguments: &BackupArgs, output: &Output, config: &Config) -> Result<u8, Error> {
    let database = Place::database(&arguments.database, config)?;
    let shown = cloacina::database_shown(&database.url);
    if database.is_on_a_server() {
        return Err(Error::ServerBackup { database: shown, file: arguments.file.clone() });
    }
    let records = Records::open(&database.url)?;
    let made = copy(records, &arguments.file, output)?;
    let made = Made {
        database: shown,
        file: arguments.file.display().to_string(),
        bytes: made.n_bytes,
        runs: made.n_runs,
        verified: true,
    };
    output.answer(&made, |_| made.text())?;
    Ok(exit::SUCCESS)
}

/// Makes the copy; Ctrl-C ends it and leaves nothing behind.
fn copy(records: Records, file: &Path, output: &Output) -> Result<Backup, Error> {
    let live = output.live(PROGRESS);
    let is_stopped = Arc::new(AtomicBool::new(false));
    let (stopped, to) = (Arc::clone(&is_stopped), file.to_owned());
    let told = move |progress: BackupProgress| {
        live.set(format!("{} of {} copied", size(progress.n_written), size(progress.n_bytes)));
        !stopped.load(Ordering::Relaxed)
    };
    runtime()?.block_on(async {
        let mut interrupts = Interrupts::listen()?;
        let mut copying = tokio::task::spawn_blocking(move || records.backup(&to, told));
        loop {
            tokio::select! {
                made = &mut copying => match made {
                    Ok(Err(_)) if is_stopped.load(Ordering::Relaxed) => {
                        return Err(Error::BackupInterrupted { file: file.to_owned() });
                    }
                    Ok(made) => return Ok(made?),
                    Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
                },
                // A copy is of use whether or not somebody reads that it was made.
                why = interrupts.next() => {
                    is_stopped.fetch_or(why == Interrupt::Asked, Ordering::Relaxed);
                }
            }
        }
    })
}

impl Made {
    fn text(&self) -> String {
        let Self { database, file, bytes, runs, .. } = self;
        format!("copied {database} to {file}: {}, {runs} runs, verified\n", size(*bytes))
    }
}
