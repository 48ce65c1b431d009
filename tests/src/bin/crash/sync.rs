//! Counts how often the disk is waited for, from outside: with `strace`, at the process that writes to it.
//!
//! One run after the other, so that each acknowledgement has a group of its own: the submission, the first task, the two
//! beside each other (in one group at best), and the last task with the end of the run. Each of those needs at least one
//! `fsync` or `fdatasync` before it. On a file the worker itself writes; on a server those processes do that serve the
//! worker, so the server must be on this machine, and we must be allowed to trace its processes.

use std::{
    fs,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

use cloacina::testing::server_processes;

use crate::{
    Failure,
    options::{Options, Sabotaged},
    process::{PATIENCE, Process, Started, application},
    worker::RUNS_IN_A_ROW,
};

/// Groups that cannot be one, in each run.
const GROUPS_OF_A_RUN: u64 = 4;

const TRACED: [&str; 3] = ["-f", "-e", "trace=fsync,fdatasync"];

/// How many acknowledgements the disk was not waited for.
pub(crate) fn count_missing(started: &Started, options: &Options) -> Result<u64, Failure> {
    if Command::new("strace").arg("--version").stdout(Stdio::null()).status().is_err() {
        let missing = "strace was not found: it counts how often the disk is waited for (apt-get install strace)";
        if options.sabotage == Some(Sabotaged::Sync) {
            return Err(missing.into());
        }
        eprintln!("{missing}; going on without");
        return Ok(0);
    }
    let n_syncs = if started.database.starts_with("postgres") { count_server(started)? } else { count_file(started)? };
    let n_groups = RUNS_IN_A_ROW * GROUPS_OF_A_RUN;
    eprintln!("waited for the disk {n_syncs} times in at least {n_groups} groups");
    Ok(n_groups.saturating_sub(n_syncs))
}

fn count_file(started: &Started) -> Result<u64, Failure> {
    let output = started.folder.join("syncs");
    let mut command = Command::new("strace");
    command.args(TRACED).arg("-o").arg(&output).arg(std::env::current_exe()?).args(started.arguments("single"));
    let mut worker = ready(Process::spawn(command)?)?;
    let n_before = count(&fs::read_to_string(&output)?);
    worker.tell("go")?;
    worker.finish()?;
    Ok(count(&fs::read_to_string(&output)?) - n_before)
}

fn count_server(started: &Started) -> Result<u64, Failure> {
    let output = started.folder.join("syncs");
    let mut worker = ready(started.start("single")?)?;
    let processes = server_processes(&started.database, &application())?;
    let mut command = Command::new("strace");
    command.args(TRACED).arg("-o").arg(&output);
    for process in &processes {
        command.arg("-p").arg(process.to_string());
    }
    let mut tracing: Child = command.stderr(Stdio::piped()).spawn()?;
    let mut said = BufReader::new(tracing.stderr.take().ok_or("strace has no output")?).lines();
    for _ in &processes {
        let line = said.next().ok_or("strace ended")??;
        if !line.contains("attached") {
            return Err(format!("strace cannot trace the server's processes: {line}").into());
        }
    }
    worker.tell("go")?;
    worker.finish()?;
    // The traced processes end with their connections.
    tracing.wait()?;
    Ok(count(&fs::read_to_string(&output)?))
}

fn ready(worker: Process) -> Result<Process, Failure> {
    loop {
        match worker.line(PATIENCE) {
            Some(line) if line == "ready" => return Ok(worker),
            Some(_) => {}
            None => return Err("a worker died by itself, or does nothing".into()),
        }
    }
}

/// A call that was interrupted by another thread has two lines.
fn count(trace: &str) -> u64 {
    let calls = trace.lines().filter(|line| line.contains("sync(") && !line.contains("resumed>"));
    u64::try_from(calls.count()).unwrap_or(u64::MAX)
}
