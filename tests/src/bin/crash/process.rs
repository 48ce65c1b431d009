//! A worker as the harness sees it: a child process, what it says, and signals.
//!
//! Every line counts that a worker wrote whole before it was killed; a last one without an end is dropped.

#![expect(clippy::disallowed_methods, reason = "a harness that finds nothing must end, however much is said meanwhile")]

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    time::{Duration, Instant},
};

use cloacina::testing::is_in_transaction;

use crate::{Failure, account::Acknowledged, options::Sabotaged};

/// A worker that says nothing for so long, though it should, is stuck. Far more than a disk takes that others keep busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(240);

/// How long one of two workers is listened to before it is the other one's turn; less than one waits for a lock.
const A_WHILE: Duration = Duration::from_secs(2);

/// The byte of SQLite's shared index that a writer locks.
const WRITE_LOCK: u64 = 120;

/// More tries than are ever needed to stop a worker between two of its writes.
const STOPS_MAX: u32 = 10_000;

/// What all workers are started with.
pub(crate) struct Started {
    pub(crate) database: String,
    pub(crate) folder: PathBuf,
    pub(crate) package: PathBuf,
    pub(crate) sabotage: Option<Sabotaged>,
}

pub(crate) struct Process {
    child: Child,
    lines: Receiver<String>,
}

/// What two workers share that are there at once.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shared {
    File,
    Server,
}

enum Heard {
    Enough,
    NotEnough,
    /// It is gone.
    NothingMore,
}

impl Started {
    pub(crate) fn start(&self, mode: &str) -> Result<Process, Failure> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(self.arguments(mode));
        Process::spawn(command)
    }

    /// What the workers share.
    pub(crate) fn shares(&self) -> Shared {
        if self.database.starts_with("postgres") { Shared::Server } else { Shared::File }
    }

    /// The arguments of a worker.
    pub(crate) fn arguments(&self, mode: &str) -> Vec<String> {
        let sabotage = self.sabotage.map_or("", Sabotaged::as_str);
        let (folder, package) = (self.folder.display().to_string(), self.package.display().to_string());
        let database = match self.shares() {
            Shared::File => self.database.clone(),
            Shared::Server => {
                let separator = if self.database.contains('?') { '&' } else { '?' };
                format!("{}{separator}application_name={}", self.database, application())
            }
        };
        ["worker", &database, &folder, &package, mode, sabotage].map(str::to_owned).into()
    }
}

impl Process {
    pub(crate) fn spawn(mut command: Command) -> Result<Self, Failure> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut output = BufReader::new(child.stdout.take().ok_or("the worker has no output")?);
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            let mut line = String::new();
            while output.read_line(&mut line).is_ok_and(|n_bytes| n_bytes > 0) {
                match line.strip_suffix('\n') {
                    Some(whole) if sender.send(whole.to_owned()).is_ok() => line.clear(),
                    _ => return,
                }
            }
        });
        Ok(Self { child, lines })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn line(&self, patience: Duration) -> Option<String> {
        self.lines.recv_timeout(patience).ok()
    }

    /// Lets a worker that waits for a word go on.
    pub(crate) fn tell(&mut self, word: &str) -> Result<(), Failure> {
        let input = self.child.stdin.as_mut().ok_or("the worker has no input")?;
        Ok(writeln!(input, "{word}")?)
    }

    /// Listens until that is so after a line.
    pub(crate) fn hear_until(
        &mut self,
        said: &mut Acknowledged,
        mut is_enough: impl FnMut(&Acknowledged, &str) -> bool,
    ) -> Result<(), Failure> {
        loop {
            let line = self.line(PATIENCE).ok_or("a worker died by itself, or does nothing")?;
            said.note(self.id(), &line);
            if is_enough(said, &line) {
                return Ok(());
            }
        }
    }

    /// Listens until it has completed a task of a run that the other one, which is stopped, submitted.
    pub(crate) fn hear_takeover(&self, other: &Self, said: &mut Acknowledged) -> Result<(), Failure> {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            let is_takeover = |said: &Acknowledged, line: &str| said.is_completion_of_another(line, other.id());
            match self.hear_for_a_while(other, said, is_takeover) {
                Heard::Enough => return Ok(()),
                Heard::NotEnough => {}
                Heard::NothingMore => return Err("a worker died by itself".into()),
            }
        }
        Err(format!("nothing was taken over in {} s", PATIENCE.as_secs()).into())
    }

    /// Listens until one of both has completed an attempt that the other one has completed too, but not for ever. Whether
    /// that did harm is for the account to find out. Engines that share a file work in turns, as no engine is sure to get the lock
    /// of a file which another engine requests all the time.
    pub(crate) fn hear_repetition(&self, other: &Self, said: &mut Acknowledged, shares: Shared) -> Result<(), Failure> {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            for (speaks, waits) in [(self, other), (other, self)] {
                if shares == Shared::File {
                    waits.stop_unlocked()?;
                }
                let heard = speaks.hear_for_a_while(waits, said, Acknowledged::is_repetition);
                if shares == Shared::File {
                    waits.signal("CONT")?;
                }
                if !matches!(heard, Heard::NotEnough) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn hear_for_a_while(
        &self,
        other: &Self,
        said: &mut Acknowledged,
        is_enough: impl Fn(&Acknowledged, &str) -> bool,
    ) -> Heard {
        let begun = Instant::now();
        while begun.elapsed() < A_WHILE {
            other.lines.try_iter().for_each(|line| said.note(other.id(), &line));
            match self.lines.recv_timeout(A_WHILE) {
                Ok(line) => {
                    let is_enough = is_enough(said, &line);
                    said.note(self.id(), &line);
                    if is_enough {
                        return Heard::Enough;
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Heard::NothingMore,
            }
        }
        Heard::NotEnough
    }

    /// Stops it at a moment at which it does not keep others from writing to a file.
    fn stop_unlocked(&self) -> Result<(), Failure> {
        self.stop_unless(|worker| worker.holds_write_lock())
    }

    /// Stops it between two of its writes. A server ends the connection of a worker that stands still in the middle of a
    /// transaction, and the worker learns from that alone that it was replaced.
    pub(crate) fn stop_between_writes(&self, started: &Started) -> Result<(), Failure> {
        match started.shares() {
            Shared::File => self.stop_unlocked(),
            Shared::Server => self.stop_unless(|_| is_in_transaction(&started.database, &application())),
        }
    }

    fn stop_unless(&self, writes: impl Fn(&Self) -> Result<bool, Failure>) -> Result<(), Failure> {
        for _ in 0..STOPS_MAX {
            self.signal("STOP")?;
            if !writes(self)? {
                return Ok(());
            }
            self.signal("CONT")?;
        }
        Err("a worker never stands still between two writes".into())
    }

    /// Whether it holds the lock by which SQLite lets one process at a time write: one byte of the shared index, at an
    /// offset that the format of that file fixes.
    fn holds_write_lock(&self) -> Result<bool, Failure> {
        let id = self.id().to_string();
        let locks = fs::read_to_string("/proc/locks")?;
        Ok(locks.lines().any(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let [_, _, _, "WRITE", holder, _, from, to] = fields[..] else { return false };
            let covers = |from: u64, to: u64| (from..=to).contains(&WRITE_LOCK);
            holder == id && matches!((from.parse(), to.parse()), (Ok(from), Ok(to)) if covers(from, to))
        }))
    }

    pub(crate) fn signal(&self, name: &str) -> Result<(), Failure> {
        let sent = Command::new("sh").args(["-c", &format!("kill -{name} {}", self.id())]).status()?;
        if sent.success() { Ok(()) } else { Err(format!("a worker was gone before SIG{name}").into()) }
    }

    /// Kills it. What it said before counts.
    pub(crate) fn kill(mut self, said: &mut Acknowledged) -> Result<(), Failure> {
        self.child.kill()?;
        self.child.wait()?;
        for line in &self.lines {
            said.note(self.child.id(), &line);
        }
        Ok(())
    }

    /// Waits until it has ended by itself, and returns what it said.
    pub(crate) fn finish(mut self) -> Result<Vec<String>, Failure> {
        let lines = self.lines.iter().collect();
        let status = self.child.wait()?;
        if status.success() { Ok(lines) } else { Err(format!("a worker ended with {status}").into()) }
    }
}

/// The name by which a server knows the connections of the workers: one for each run of the harness, as others may use the
/// server too.
pub(crate) fn application() -> String {
    format!("crash_{}", std::process::id())
}

impl Drop for Process {
    fn drop(&mut self) {
        // It has ended already unless the harness failed; one that is stopped would stay for ever.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
